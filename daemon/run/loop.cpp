#include "daemon/run/loop.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <systemd/sd-daemon.h>

#include <boost/asio/post.hpp>
#include <csignal>
#include <ctime>
#include <exception>

#include "daemon/actuate/scheduling.hpp"
#include "daemon/process/clock.hpp"
#include "daemon/process/notify.hpp"
#include "daemon/publish/words/words.hpp"
#include "daemon/run/release.hpp"
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
      config_reader_(io, {.load = options_.load_config,
                          .apply = [this](auto read) { return apply(std::move(read)); },
                          .slow =
                              [this] {
                                facts_.last_error = fmt::format(
                                    "Reading the configuration takes more than {} s; the old one "
                                    "stays until it was read.",
                                    ConfigReader::kPatience.count());
                                spdlog::warn("{}", facts_.last_error);
                                refresh_facts();
                              }}),
      timer_(io),
      signals_(io, SIGTERM, SIGINT, SIGHUP),
      // Duplicates, because Asio closes what it is given.
      receipts_ready_(io, ::fcntl(host.receipts_fd(), F_DUPFD_CLOEXEC, 0)) {
  facts_.version = options_.version;
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
  warn_of_sizes(engine_.config());
  if (options_.bus_address) {
    publish::BusHooks hooks;
    hooks.submit = [this](Command c) { return submit(std::move(c)); };
    hooks.reload = [this](auto done) { config_reader_.ask(std::move(done)); };
    hooks.reexecute = [this] { return reexecute_ = !stop_by_; };
    hooks.plan = [this] { return engine_.plan(); };
    hooks.name_taken = [this] {
      spdlog::error("Another process owns org.sluice.Governor1 on the bus: one governor a host. Stopping.");
      stop(1);
    };
    bus_ =
        std::make_unique<publish::BusService>(io_, publish::BusOptions{*options_.bus_address, facts_}, hooks);
  }
  std::function<void()> wait_signal = [&] {
    signals_.async_wait([&](auto error, int signal) {
      if (error) return;
      on_signal(signal);
      wait_signal();
    });
  };
  wait_signal();
  if (const auto first = actuate::request_realtime(); !first)
    spdlog::info("Throttle events may wait for busy CPUs: {}.", describe(first.error()));
  on_receipts();
  listen_to_bpf();
  if (options_.recorder) options_.recorder->add(record::ConfigEntry{engine_.config()});
  deadline_ = Clock::now();
  try {
    full_tick();
    arm_tick();
    io_.run();
  } catch (const std::exception& e) {
    spdlog::error("sluiced must stop: {}. Every limit goes back to its baseline.", e.what());
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

// CPUs and huge pages come and go.
void Loop::look_at_node() {
  std::string fault;
  const auto node = sample::node_facts(options_.proc_fd, &fault);
  if (!node) return;
  node_ = *node;
  if (!fault.empty() && node_fault_.empty()) {
    spdlog::warn("{}.", fault);
    facts_.last_error = fault;
  }
  node_fault_ = std::move(fault);
}

void Loop::full_tick() {
  const auto at = monotonic_now();
  ticked_at_ = at;
  oom_killed_ = false;
  std::erase_if(writes_seen_, [&](const WriteSeen& w) { return w.at + kWriterMemory < at; });
  if (at >= node_at_) {
    look_at_node();
    node_at_ = at + kNodeInterval;
  }
  engine_.look(at);
  if (follow_bpf() || engine_.set_changed()) watch_tasks();
  react();
  engine_.full_tick(moment());  // after sampling: no sample is from the future
  react();
  publish_reports();
  feed_watchdog();
  if (at >= profiles_at_) save_profiles();
  if (reexecute_ && !stop_by_) return leave_in_force();
  finish_when_released();
}

void Loop::event_tick(std::vector<ThrottleEvent> events) {
  engine_.event_tick(moment(), std::move(events));
}

void Loop::publish_reports() {
  for (const auto& sentence : engine_.take_sentences()) {
    if (sentence.tone == Engine::Sentence::Tone::bad) facts_.last_error = sentence.text;
    log_.say(publish::LogPublisher::Source::engine, level_of(sentence), {}, sentence.text, monotonic_now());
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

// What was read takes effect at once, whole, or not at all.
publish::ReloadResult Loop::apply(tl::expected<config::Config, ConfigReader::Problems> read) {
  std::vector<std::string> problems;
  if (stop_by_) {
    problems.emplace_back("The daemon is stopping.");
  } else if (!read) {
    problems = std::move(read.error());
  } else if (const auto p = config::check_minima(*read, node_.cpu_capacity_cores, node_.memory_capacity)) {
    problems.push_back(config::describe(*p));
  }
  if (!problems.empty()) {
    facts_.last_error = problems.front();
    for (const auto& p : problems) spdlog::error("{}", p);
    spdlog::error("Reload refused: {} problem(s), the old configuration stays.", problems.size());
    refresh_facts();
    return tl::unexpected(std::move(problems));
  }
  warn_of_sizes(*read);
  engine_.reload(std::move(*read));
  facts_.last_error.clear();
  if (options_.recorder) options_.recorder->add(record::ConfigEntry{engine_.config()});
  full_tick();  // the tasks' rules are of the old configuration until then
  spdlog::info("Configuration reloaded: {} task rule(s).", engine_.config().tasks.size());
  return {};
}

void Loop::warn_of_sizes(const config::Config& config) const {
  for (const auto& p : config::check_sizes(config, node_.cpu_capacity_cores, node_.memory_capacity))
    spdlog::warn("{}", config::describe(p));
}

void Loop::on_signal(int signal) {
  if (signal != SIGHUP) return stop(0);
  if (stop_by_) return;
  process::notify("STATUS=Reloading the configuration");
  config_reader_.ask({});
}

void Loop::refresh_facts() {
  std::vector<std::string> capabilities;
  if (const auto* bpf = host_.bpf()) capabilities = bpf->capabilities();
  facts_.events_lost = host_.lost_events();
  facts_.sampling = host_.samples_by_bpf() ? SampleSource::bpf : SampleSource::files;
  if (facts_.sampling == SampleSource::files) capabilities.insert(capabilities.begin(), "files");
  facts_.capabilities = std::move(capabilities);
  facts_.unmatched_rules = engine_.registry().silent();
  facts_.sampling_reason = options_.sampling_reason;
  if (const auto unknown = engine_.report()->node.pressure_unknown; unknown > 0) {
    if (!facts_.sampling_reason.empty()) facts_.sampling_reason += ' ';
    facts_.sampling_reason += publish::pressure_words(unknown) + ".";
  }
  if (bus_ && !(bus_->facts() == facts_)) bus_->set_facts(facts_);
}

void Loop::feed_watchdog() {
  const auto at = monotonic_now();
  const Report& report = *engine_.report();
  if (!ready_told_) ready_told_ = process::notify("READY=1");
  if (watchdog_interval_ && at >= watchdog_at_ && process::notify("WATCHDOG=1"))
    watchdog_at_ = at + *watchdog_interval_;
  if (at < status_at_) return;
  status_at_ = at + kStatusInterval;
  process::notify(fmt::format("STATUS={} tasks, {:.2f} of {:.0f} cores granted, sampling by {}",
                              report.tasks.size(), report.node.cpu_allocated_cores,
                              report.node.cpu_capacity_cores,
                              facts_.sampling == SampleSource::bpf ? "BPF" : "files"));
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
  process::notify("STOPPING=1");
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
  end();
}

// The next program finds in lease and holds what this one leaves, as after a crash.
void Loop::leave_in_force() {
  save_profiles();
  process::notify("STATUS=Being replaced by the installed program; every limit stays in force");
  spdlog::info("The installed program takes over; every limit stays in force.");
  status_ = kReexecute;
  end();
}

void Loop::end() {
  timer_.cancel();
  signals_.cancel();
  events_ready_.reset();
  receipts_ready_.cancel();
  bus_.reset();
  io_.stop();
}

}  // namespace sluice
