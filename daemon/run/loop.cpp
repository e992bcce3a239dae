#include "daemon/run/loop.hpp"

#include <spdlog/spdlog.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <csignal>
#include <ctime>
#include <exception>

#include "daemon/actuate/scheduling.hpp"
#include "daemon/process/clock.hpp"
#include "daemon/publish/words/words.hpp"
#include "daemon/run/release.hpp"
#include "daemon/sample/counters_sampler.hpp"
#include "daemon/sample/node.hpp"

namespace sluice {
namespace {

using boost::asio::posix::stream_descriptor;
using Clock = std::chrono::steady_clock;

constexpr auto kNodeInterval = std::chrono::seconds(10);
constexpr auto kStatusInterval = std::chrono::seconds(5);
// From an external write to the tick that finds its value: the next one, unless the tick was late.
constexpr auto kWriterMemory = std::chrono::seconds(10);

}  // namespace

Loop::Loop(boost::asio::io_context& io, CgroupHost& host, Engine::Parts parts, LoopOptions options)
    : io_(io),
      host_(host),
      options_(std::move(options)),
      engine_(host, std::move(parts)),
      timer_(io),
      signals_(io, SIGTERM, SIGINT, SIGHUP),
      // Duplicates, because Asio closes what it is given.
      receipts_ready_(io, dup(host.receipts_fd())) {
  facts_.version = options_.version;
  facts_.sampling = host_.bpf() && host_.bpf()->has_iterator() ? SampleSource::bpf : SampleSource::files;
  facts_.sampling_reason = options_.sampling_reason;
  refresh_facts();
  if (options_.recorder) {
    engine_.on_tick = [this](const Input& input, const Plan& plan) {
      options_.recorder->add(record::TickEntry{input, plan});
    };
  }
  std::uint64_t usec = 0;
  if (sd_watchdog_enabled(0, &usec) > 0) watchdog_interval_ = std::chrono::microseconds(usec / 4);
}

int Loop::run() {
  if (const auto node = sample::node_facts(options_.proc_fd); node) {
    node_ = *node;
  } else {
    spdlog::error("The node's size is not known: {}", describe(node.error()));
    return 1;
  }
  if (const auto problem =
          config::check_minima(engine_.config(), node_.cpu_capacity_cores, node_.memory_capacity)) {
    spdlog::error("{}", config::describe(*problem));
    return 2;
  }
  if (options_.bus_address) {
    publish::BusHooks hooks;
    hooks.submit = [this](Command c) { return submit(std::move(c)); };
    hooks.reload = [this](auto done) { reload(done); };
    hooks.plan = [this] { return engine_.plan(); };
    hooks.name_taken = [this] {
      spdlog::error("Another process owns org.sluice.Governor1 on the bus: one governor a host. Stopping.");
      stop(1);
    };
    bus_ =
        std::make_unique<publish::BusService>(io_, publish::BusOptions{*options_.bus_address, facts_}, hooks);
  }
  if (host_.bpf() && host_.bpf()->events_fd() >= 0) events_ready_.emplace(io_, dup(host_.bpf()->events_fd()));

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
  if (options_.recorder) options_.recorder->add(record::ConfigEntry{engine_.config()});
  deadline_ = Clock::now();
  try {
    full_tick();
    arm_tick();
    io_.run();
  } catch (const std::exception& e) {
    spdlog::error("sluiced cannot go on: {}. Every limit is given back.", e.what());
    bus_.reset();
    (void)release_everything(host_, engine_, node_);
    return 1;
  }
  return status_;
}

void Loop::arm_tick() {
  // Absolute deadlines: the work of a tick causes no drift. A tick that took too long skips, never bunches.
  const auto now = Clock::now();
  do {
    deadline_ += engine_.config().node.tick;
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

Engine::Moment Loop::moment() {
  return {monotonic_now(), sample::wall_clock(), node_};
}

void Loop::full_tick() {
  const auto at = monotonic_now();
  ticked_at_ = at;
  oom_killed_ = false;
  if (at >= node_at_) {
    if (const auto node = sample::node_facts(options_.proc_fd); node) node_ = *node;
    node_at_ = at + kNodeInterval;
  }
  engine_.look(at);
  if (const auto why = host_.take_bpf_failure()) lose_bpf(*why);
  if (engine_.set_changed()) watch_tasks();
  react();
  engine_.full_tick(moment());  // after sampling: no sample is from the future
  react();
  publish_reports();
  feed_watchdog();
  if (at >= profiles_at_) save_profiles();
  finish_when_released();
}

void Loop::event_tick(std::vector<ThrottleEvent> events) {
  engine_.event_tick(moment(), std::move(events));
}

// An event does not wait for the rest of a tick: this is called wherever a tick has a seam.
void Loop::react() {
  if (!events_ready_) return;
  std::vector<ThrottleEvent> events;
  const auto on_event = [&](const sluice_event& e) {
    const auto at = since_boot_nsec(e.at_ktime_ns);
    if (e.kind == SLUICE_EVENT_THROTTLED) {
      auto& event = events.emplace_back(ThrottleEvent{CgroupId{e.cgroup_id}, at, e.cpu});
      if (const auto until = host_.bpf()->idle_until(e.cgroup_id, e.at_ktime_ns))
        event.idle_until = since_boot_nsec(until);
      if (const auto awake = host_.bpf()->awake_threads(e.cgroup_id)) event.runnable_threads = awake;
    }
    if (e.kind == SLUICE_EVENT_OOM_KILL) on_oom_kill(CgroupId{e.cgroup_id});
  };
  const auto on_write = [&](const sluice_write_event& e) {
    const Knob knob = e.knob == SLUICE_KNOB_CPU_MAX ? Knob::cpu_max : Knob::memory_high;
    writes_seen_.push_back(
        {CgroupId{e.event.cgroup_id}, knob, since_boot_nsec(e.event.at_ktime_ns), sample::writer_of(e)});
  };
  const auto drained = host_.bpf()->drain(on_event, on_write);
  if (!drained) return lose_bpf(drained.error().sentence);
  if (!events.empty()) event_tick(std::move(events));
}

void Loop::on_oom_kill(CgroupId id) {
  oom_killed_ = true;
  const auto* task = engine_.registry().find(id);
  if (task) spdlog::warn("The kernel killed a process of '{}' for memory.", task->name);
}

void Loop::publish_reports() {
  for (const auto& sentence : engine_.take_sentences()) {
    if (!sentence.good) facts_.last_error = sentence.text;
    spdlog::log(sentence.good ? spdlog::level::info : spdlog::level::err, "{}", sentence.text);
  }
  for (const auto& shared : engine_.take_reports()) {
    auto report = shared;
    if (!report->notices.empty() && !writes_seen_.empty()) {
      auto named = std::make_shared<Report>(*report);
      name_writers(*named);
      report = named;
    }
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

// A write of ours that an external writer undid is noticed by its value; who it was, only the kernel can
// tell.
void Loop::name_writers(Report& report) {
  std::erase_if(writes_seen_, [&](const WriteSeen& w) { return w.at + kWriterMemory < report.now; });
  for (auto& notice : report.notices) {
    if (notice.kind != Notice::Kind::foreign_write && notice.kind != Notice::Kind::knob_reset) continue;
    if (!notice.found) continue;
    const Knob knob = std::holds_alternative<CpuMax>(*notice.found) ? Knob::cpu_max : Knob::memory_high;
    for (const auto& write : writes_seen_)  // the last one is the one that was found
      if (write.id == notice.id && write.knob == knob) notice.writer = write.writer;
    std::erase_if(writes_seen_, [&](const WriteSeen& w) { return w.id == notice.id && w.knob == knob; });
  }
}

// The kernel programs count and report governed cgroups only.
void Loop::watch_tasks() {
  if (!host_.bpf()) return;
  std::vector<std::uint64_t> ids;
  for (const auto& [id, facts] : engine_.registry().tasks()) ids.push_back(id.value);
  if (const auto set = host_.bpf()->set_governed(ids); !set)
    spdlog::error("The kernel programs do not watch new tasks: {}", set.error().sentence);
}

void Loop::lose_bpf(const std::string& why) {
  spdlog::error("The BPF iterator failed, cgroups are read through files from now on: {}", why);
  events_ready_.reset();
  host_.lose_bpf();
  facts_.sampling = SampleSource::files;
  facts_.sampling_reason = why;
  facts_.capabilities = {"files"};
}

void Loop::on_receipts() {
  receipts_ready_.async_wait(stream_descriptor::wait_read, [this](auto error) {
    if (error) return;
    if (engine_.collect_receipts()) {
      event_tick({});
      publish_reports();
      finish_when_released();
    }
    on_receipts();
  });
}

void Loop::on_bpf_events() {
  events_ready_->async_wait(stream_descriptor::wait_read, [this](auto error) {
    if (error || !events_ready_) return;
    react();
    publish_reports();
    // An OOM kill calls for a full tick, unless the last one is so recent that rates would mean nothing.
    if (oom_killed_ && monotonic_now() >= ticked_at_ + engine_.config().node.tick / 4) full_tick();
    if (events_ready_) on_bpf_events();
  });
}

tl::expected<void, CommandError> Loop::submit(Command command) {
  auto accepted = engine_.submit(std::move(command));
  if (!accepted) return accepted;
  // Soon, but not inside the bus's dispatch, and once for a burst of calls.
  if (!std::exchange(command_tick_posted_, true)) {
    boost::asio::post(io_, [this] {
      command_tick_posted_ = false;
      if (!engine_.has_commands()) return;
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
  engine_.reload(std::move(*loaded));
  facts_.last_error.clear();
  if (options_.recorder) options_.recorder->add(record::ConfigEntry{engine_.config()});
  full_tick();  // the tasks' rules are of the old configuration until then
  spdlog::info("Configuration reloaded: {} task rule(s).", engine_.config().tasks.size());
  if (done) done({});
}

void Loop::on_signal(int signal) {
  if (signal != SIGHUP) return stop(0);
  if (stop_by_) return;
  sd_notify(0, "STATUS=Reloading the configuration");
  reload({});
}

void Loop::refresh_facts() {
  std::vector<std::string> capabilities;
  if (const auto* bpf = host_.bpf()) {
    facts_.events_lost = bpf->stats().lost_events;
    capabilities = bpf->capabilities();
  }
  if (facts_.sampling == SampleSource::files) capabilities.insert(capabilities.begin(), "files");
  facts_.capabilities = std::move(capabilities);
  if (bus_ && !(bus_->facts() == facts_)) bus_->set_facts(facts_);
}

void Loop::feed_watchdog() {
  const auto at = monotonic_now();
  const Report& report = *engine_.report();
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

// What is lost when the host goes down is at most so old. Not at the start: what is on disk is what is known.
void Loop::save_profiles() {
  constexpr auto kInterval = std::chrono::minutes(10);
  const bool first = profiles_at_ == MonotonicTime{};
  profiles_at_ = monotonic_now() + kInterval;
  if (!options_.profile_store || first) return;
  if (const auto why = options_.profile_store->failed()) spdlog::error("{}", *why);
  if (auto profiles = profiles_of(engine_.state()); !profiles.empty())
    options_.profile_store->save(std::move(profiles));
}

// Ticks go on, with every limit released, until nothing is left to give back.
void Loop::stop(int status) {
  if (stop_by_) return;
  status_ = status;
  sd_notify(0, "STOPPING=1");
  facts_.stopping = true;
  refresh_facts();
  save_profiles();
  stop_by_ = monotonic_now() + kReleaseTime;
  engine_.stop();
  boost::asio::post(io_, [this] { full_tick(); });
}

void Loop::finish_when_released() {
  if (!stop_by_ || !(engine_.all_given_back() || monotonic_now() >= *stop_by_)) return;
  if (!report_release(engine_) && status_ == 0) status_ = 1;
  timer_.cancel();
  signals_.cancel();
  events_ready_.reset();
  receipts_ready_.cancel();
  bus_.reset();
  io_.stop();
}

}  // namespace sluice
