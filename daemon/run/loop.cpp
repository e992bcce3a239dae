#include "daemon/run/loop.hpp"

#include <spdlog/spdlog.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <csignal>
#include <ctime>

#include "daemon/actuate/restore.hpp"
#include "daemon/actuate/scheduling.hpp"
#include "daemon/publish/words/words.hpp"
#include "daemon/sample/counters_sampler.hpp"
#include "daemon/sample/node.hpp"

namespace sluice {
namespace {

using boost::asio::posix::stream_descriptor;
using Clock = std::chrono::steady_clock;

constexpr auto kNodeInterval = std::chrono::seconds(10);
constexpr auto kSwapInterval = std::chrono::seconds(1);
constexpr auto kStatusInterval = std::chrono::seconds(5);
// While the kernel's walk shows the same cgroups, all that a rescan could find is a controller enabled later.
constexpr auto kRescanAnywayInterval = std::chrono::seconds(10);

}  // namespace

MonotonicTime Loop::now() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec);
}

Loop::Loop(boost::asio::io_context& io, cgroups::Root root, config::Config config, actuate::Lease lease,
           LoopOptions options)
    : io_(io),
      root_(std::move(root)),
      config_(std::move(config)),
      lease_(std::move(lease)),
      options_(std::move(options)),
      actuator_(std::make_shared<actuate::CgroupfsWriter>()),
      report_(std::make_shared<Report>()),
      timer_(io),
      signals_(io, SIGTERM, SIGINT, SIGHUP),
      // Duplicates, because Asio closes what it is given.
      receipts_ready_(io, dup(actuator_.wake_fd())) {
  facts_.version = options_.version;
  facts_.sampling = options_.bpf && options_.bpf->has_iterator() ? SampleSource::bpf : SampleSource::files;
  facts_.sampling_reason = options_.sampling_reason;
  refresh_facts();
  std::uint64_t usec = 0;
  if (sd_watchdog_enabled(0, &usec) > 0) watchdog_interval_ = std::chrono::microseconds(usec / 4);
}

int Loop::run() {
  if (const auto node = sample::node_facts(options_.proc.get()); node) {
    node_ = *node;
  } else {
    spdlog::error("The node's size is not known: {}", describe(node.error()));
    return 1;
  }
  if (const auto problem = config::check_minima(config_, node_.cpu_capacity_cores, node_.memory_capacity)) {
    spdlog::error("{}", config::describe(*problem));
    return 2;
  }
  if (options_.bus_address) {
    publish::BusHooks hooks;
    hooks.submit = [this](Command c) { return submit(std::move(c)); };
    hooks.reload = [this](auto done) { reload(done); };
    hooks.plan = [this] { return plan_; };
    hooks.name_taken = [this] {
      spdlog::error("Another process owns org.sluice.Governor1 on the bus: one governor a host. Stopping.");
      stop(1);
    };
    bus_ =
        std::make_unique<publish::BusService>(io_, publish::BusOptions{*options_.bus_address, facts_}, hooks);
  }
  if (options_.bpf && options_.bpf->events_fd() >= 0)
    events_ready_.emplace(io_, dup(options_.bpf->events_fd()));

  std::function<void()> wait_signal = [&] {
    signals_.async_wait([&](auto error, int signal) {
      if (error) return;
      on_signal(signal);
      wait_signal();
    });
  };
  wait_signal();
  if (const auto first = actuate::run_first(); !first)
    spdlog::info("Throttle events may wait for busy CPUs: {}.", describe(first.error()));
  on_receipts();
  if (events_ready_) on_bpf_events();
  if (options_.recorder) options_.recorder->add(record::ConfigEntry{config_});
  deadline_ = Clock::now();
  full_tick();
  arm_tick();
  io_.run();
  return status_;
}

void Loop::arm_tick() {
  // Absolute deadlines: the work of a tick causes no drift. A tick that took too long skips, never bunches.
  const auto now = Clock::now();
  do {
    deadline_ += config_.node.tick;
  } while (deadline_ <= now);
  timer_.expires_at(deadline_);
  timer_.async_wait([this](auto error) {
    if (!error) on_tick();
  });
}

void Loop::on_tick() {
  full_tick();
  arm_tick();
}

void Loop::full_tick() {
  const auto at = now();
  ticked_at_ = at;
  oom_killed_ = false;
  if (rescan_due(at)) {
    rescan();
    cgroups_scanned_ = cgroups_seen_;
    rescan_at_ = at + config_.node.discovery;
    rescan_anyway_at_ = at + kRescanAnywayInterval;
  }
  if (at >= swap_at_) {
    const auto free = sample::host_swap_free(options_.proc.get());
    swap_free_ = free ? std::optional(*free) : std::nullopt;
    swap_at_ = at + kSwapInterval;
  }
  if (at >= node_at_) {
    if (const auto node = sample::node_facts(options_.proc.get()); node) node_ = *node;
    node_at_ = at + kNodeInterval;
  }
  collect_receipts();
  Input input;
  input.kind = Input::Kind::full;
  input.tasks = observe();
  react();
  input.now = now();  // after sampling: no sample is from the future
  input.wall = sample::wall_clock();
  input.profiles = std::exchange(options_.profiles, {});
  run_tick(std::move(input));
  react();
  publish_reports();
  feed_watchdog(*report_);
  if (at >= profiles_at_) save_profiles();
}

bool Loop::rescan_due(MonotonicTime at) const {
  if (at < rescan_at_) return false;
  return cgroups_seen_ == 0 || cgroups_seen_ != cgroups_scanned_ || at >= rescan_anyway_at_;
}

void Loop::event_tick(std::vector<ThrottleEvent> events) {
  collect_receipts();
  Input input;
  input.kind = Input::Kind::event;
  input.now = now();
  input.events = std::move(events);
  run_tick(std::move(input));
}

// An event does not wait for the rest of a tick: this is called wherever a tick has a seam.
void Loop::react() {
  if (!events_ready_) return;
  std::vector<ThrottleEvent> events;
  const auto on_event = [&](const sluice_event& e) {
    const MonotonicTime at{static_cast<std::int64_t>(e.at_ktime_ns)};
    if (e.kind == SLUICE_EVENT_THROTTLED) {
      auto& event = events.emplace_back(ThrottleEvent{CgroupId{e.cgroup_id}, at, e.cpu});
      if (const auto until = options_.bpf->idle_until(e.cgroup_id, e.at_ktime_ns))
        event.idle_until = MonotonicTime{static_cast<std::int64_t>(until)};
      if (const auto awake = options_.bpf->awake_threads(e.cgroup_id)) event.runnable_threads = awake;
    }
    if (e.kind == SLUICE_EVENT_OOM_KILL) on_oom_kill(CgroupId{e.cgroup_id});
  };
  const auto on_write = [&](const sluice_write_event& e) {
    const Knob knob = e.knob == SLUICE_KNOB_CPU_MAX ? Knob::cpu_max : Knob::memory_high;
    writes_seen_.push_back({CgroupId{e.event.cgroup_id}, knob,
                            MonotonicTime{static_cast<std::int64_t>(e.event.at_ktime_ns)},
                            sample::writer_of(e)});
  };
  const auto drained = options_.bpf->drain(on_event, on_write);
  if (!drained) return lose_bpf(drained.error().sentence);
  if (!events.empty()) event_tick(std::move(events));
}

void Loop::on_oom_kill(CgroupId id) {
  oom_killed_ = true;
  const auto* task = registry_.find(id);
  if (task) spdlog::warn("The kernel killed a process of '{}' for memory.", task->facts.name);
}

void Loop::run_tick(Input input) {
  input.node = node_;
  input.receipts = std::exchange(receipts_, {});
  input.commands = std::exchange(commands_, {});
  auto outcome = tick(input, config_, std::move(state_));
  state_ = std::move(outcome.state);
  carry_out(outcome.plan);
  if (!outcome.plan.writes.empty()) plan_ = outcome.plan;
  name_writers(outcome.report);
  const auto report = std::make_shared<const Report>(std::move(outcome.report));
  if (report->whole) report_ = report;
  unpublished_.push_back(report);
  if (options_.recorder) options_.recorder->add(record::TickEntry{std::move(input), std::move(outcome.plan)});
}

void Loop::publish_reports() {
  while (!unpublished_.empty()) {
    const auto report = unpublished_.front();
    unpublished_.pop_front();
    follow_notices(*report);
    log_.publish(*report);
    react();
    if (bus_) bus_->publish(report);
    react();
  }
  if (options_.recorder) {
    if (const auto why = options_.recorder->ended()) spdlog::error("{}", *why);
  }
  refresh_facts();
}

void Loop::carry_out(const Plan& plan) {
  std::vector<actuate::Order> orders;
  for (const auto& w : plan.writes) {
    const auto* task = registry_.find(w.id);
    Receipt failed;
    failed.id = w.id;
    failed.knob = w.knob;
    failed.asked = w.value;
    failed.caused_at = w.caused_at;
    failed.started_at = failed.finished_at = now();
    if (!task) {
      failed.result = Receipt::Result::vanished;
      receipts_.push_back(failed);
    } else if (plan.dry_run) {
      failed.result = Receipt::Result::dry_run;
      receipts_.push_back(failed);
    } else if (!lease_.holds(w.id, w.knob)) {
      // No baseline on disk, no write: the journal failed earlier. Try again, and say so through the breaker.
      journal_baselines({w.id});
      failed.result = Receipt::Result::refused;
      failed.error_number = EIO;
      failed.path = "the lease journal";
      receipts_.push_back(failed);
    } else {
      orders.push_back({w, task->cgroup});
    }
  }
  if (!orders.empty()) actuator_.submit(std::move(orders));
}

// What the tick noticed and the loop must remember: a baseline that an administrator moved.
void Loop::follow_notices(const Report& report) {
  for (const auto& n : report.notices) {
    if (n.kind != Notice::Kind::foreign_write || !n.found) continue;
    const Knob knob = std::holds_alternative<CpuMax>(*n.found) ? Knob::cpu_max : Knob::memory_high;
    const auto state = state_.tasks.find(n.id);
    if (state == state_.tasks.end()) continue;
    const KnobState& held = knob == Knob::cpu_max ? state->second.cpu : state->second.memory;
    const auto* task = registry_.find(n.id);
    if (!task) continue;
    const auto& facts = task->facts;
    const KnobValue known =
        knob == Knob::cpu_max ? KnobValue{facts.cpu_baseline} : KnobValue{facts.memory_baseline};
    if (held.baseline == known) continue;  // overridden, not adopted
    registry_.set_baseline(n.id, knob, held.baseline);
    (void)lease_.remove(n.id, knob);
    journal_baselines({n.id});
  }
}

void Loop::collect_receipts() {
  for (auto& r : actuator_.drain()) {
    const auto leaving = leaving_.find(r.id);
    if (leaving == leaving_.end()) {
      receipts_.push_back(std::move(r));
      continue;
    }
    if (r.result == Receipt::Result::written || r.result == Receipt::Result::vanished) {
      (void)lease_.remove(r.id, r.knob);
    } else {
      spdlog::error("The baseline of '{}' could not be restored: {}", leaving->second.facts.name,
                    publish::sentence(r));
    }
    if (!lease_.holds(r.id, Knob::cpu_max) && !lease_.holds(r.id, Knob::memory_high)) leaving_.erase(leaving);
  }
}

void Loop::on_receipts() {
  receipts_ready_.async_wait(stream_descriptor::wait_read, [this](auto error) {
    if (error) return;
    collect_receipts();
    if (!receipts_.empty()) {
      event_tick({});
      publish_reports();
    }
    on_receipts();
  });
}

void Loop::on_bpf_events() {
  events_ready_->async_wait(stream_descriptor::wait_read, [this](auto error) {
    if (error || !events_ready_) return;
    react();
    publish_reports();
    // A kill calls for a look at everything, unless the last one is so fresh that rates would mean nothing.
    if (oom_killed_ && now() >= ticked_at_ + config_.node.tick / 4) full_tick();
    if (events_ready_) on_bpf_events();
  });
}

tl::expected<void, CommandError> Loop::submit(Command command) {
  if (auto checked = check_command(command, *report_); !checked) return checked;
  commands_.push_back(std::move(command));
  // Soon, but not inside the bus's dispatch, and once for a burst of calls.
  if (!std::exchange(command_tick_posted_, true)) {
    boost::asio::post(io_, [this] {
      command_tick_posted_ = false;
      if (commands_.empty()) return;
      event_tick({});
      publish_reports();
    });
  }
  return {};
}

void Loop::reload(const std::function<void(publish::ReloadResult)>& done) {
  auto fail = [&](std::vector<std::string> problems) {
    facts_.last_error = problems.front();
    for (const auto& p : problems) spdlog::error("{}", p);
    spdlog::error("Reload refused: {} problem(s), the old configuration stays.", problems.size());
    refresh_facts();
    if (done) done(tl::unexpected(std::move(problems)));
  };
  auto loaded = options_.load_config();
  std::vector<std::string> problems;
  if (!loaded) {
    for (const auto& p : loaded.error()) problems.push_back(config::describe(p));
  } else if (const auto p = config::check_minima(*loaded, node_.cpu_capacity_cores, node_.memory_capacity)) {
    problems.push_back(config::describe(*p));
  }
  if (!problems.empty()) return fail(std::move(problems));
  config_ = std::move(*loaded);
  facts_.last_error.clear();
  config_reloaded(state_);
  if (options_.recorder) options_.recorder->add(record::ConfigEntry{config_});
  // Facts index the config: rescan and tick before anything else looks.
  rescan();
  rescan_at_ = now() + config_.node.discovery;
  full_tick();
  spdlog::info("Configuration reloaded: {} task rule(s).", config_.tasks.size());
  if (done) done({});
}

void Loop::on_signal(int signal) {
  if (signal != SIGHUP) return stop(0);
  sd_notify(0, "STATUS=Reloading the configuration");
  reload({});
}

void Loop::refresh_facts() {
  std::vector<std::string> capabilities;
  if (options_.bpf) {
    facts_.events_lost = options_.bpf->stats().lost_events;
    capabilities = options_.bpf->capabilities();
  }
  if (facts_.sampling == SampleSource::files) capabilities.insert(capabilities.begin(), "files");
  facts_.capabilities = std::move(capabilities);
  if (bus_ && !(bus_->facts() == facts_)) bus_->set_facts(facts_);
}

void Loop::feed_watchdog(const Report& report) {
  const auto at = now();
  if (!std::exchange(ready_told_, true)) sd_notify(0, "READY=1");
  if (watchdog_interval_ && at >= watchdog_at_) {
    sd_notify(0, "WATCHDOG=1");
    watchdog_at_ = at + *watchdog_interval_;
  }
  if (at < status_at_) return;
  status_at_ = at + kStatusInterval;
  sd_notifyf(0, "STATUS=%zu tasks, %.2f of %.0f cores granted, sampling by %s", report.tasks.size(),
             report.node.cpu_allocated_cores, report.node.cpu_capacity_cores,
             facts_.sampling == SampleSource::bpf ? "BPF" : "files");
}

void Loop::stop(int status) {
  status_ = status;
  sd_notify(0, "STOPPING=1");
  facts_.stopping = true;
  refresh_facts();
  timer_.cancel();
  signals_.cancel();
  events_ready_.reset();
  receipts_ready_.cancel();
  constexpr auto kDrain = std::chrono::seconds(2);
  actuator_.wait_idle(kDrain);
  save_profiles();

  // Only what was touched: a knob that another hand has set since is its own.
  std::set<std::pair<CgroupId, Knob>> touched;
  for (const auto& w : restore_plan(state_).writes) touched.emplace(w.id, w.knob);
  for (const auto& [id, task] : leaving_) {
    touched.emplace(id, Knob::cpu_max);
    touched.emplace(id, Knob::memory_high);
  }
  std::vector<actuate::LeaseEntry> entries;
  for (const auto& e : lease_.entries()) {
    if (touched.contains({e.id, e.knob})) entries.push_back(e);
  }
  std::size_t failed = 0, restored = 0;
  for (const auto& r : actuate::restore(root_, entries)) {
    if (r.result == actuate::Restored::Result::failed) {
      ++failed;
      spdlog::error("{}", r.message);
    } else {
      restored += r.result == actuate::Restored::Result::restored ? 1 : 0;
    }
  }
  spdlog::info("Stopping: {} baseline(s) restored, {} failed.", restored, failed);
  if (failed == 0) {
    if (const auto cleared = lease_.clear(); !cleared) spdlog::error("{}", describe(cleared.error()));
  } else if (status_ == 0) {
    status_ = 1;
  }
  bus_.reset();
  io_.stop();
}

}  // namespace sluice
