// Hosts BusService over a made-up node, so that the bus can be tested without cgroups or a governor. Commands
// are checked by the real check_command, then shown in the next report as the governor would.
//
//   bus_fixture ADDRESS [--tasks N] [--journal]
//
// Lines on stdin make things happen: "adjust TASK CORES", "saturate", "remove TASK", "add TASK", "facts
// ERROR". Lines on stdout tell what reached the loop. Exit 3: the name is another's.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/streambuf.hpp>
#include <iostream>
#include <limits>
#include <memory>
#include <sstream>
#include <string>

#include "daemon/process/clock.hpp"
#include "daemon/publish/bus/bus_service.hpp"
#include "daemon/publish/journal/journal.hpp"
#include "daemon/tick/tick.hpp"

namespace asio = boost::asio;
using namespace sluice;
using namespace std::chrono_literals;

namespace {

constexpr Bytes kMiB = 1ULL << 20;

CpuMax quota(double cores) {
  return {Usec(static_cast<std::int64_t>(cores * 100'000)), Usec(100'000)};
}

TaskReport make_task(const std::string& name, const std::string& cgroup, std::uint64_t id) {
  TaskReport task;
  task.id = {id};
  task.name = name;
  task.class_name = "stream";
  task.cgroup = cgroup;
  task.cpu_usage_cores = 0.4;
  task.cpu_demand_cores = 0.9;
  task.cpu_throttled_ratio = 0.25;
  task.memory_pressure_ratio = 0.0005;
  task.memory_current = 300 * kMiB;
  task.cpu_max = quota(0.5);
  task.memory_high = {512 * kMiB};
  task.cpu_min_cores = 0.1;
  task.cpu_max_cores = 4;
  task.memory_min = 64 * kMiB;
  task.memory_max = 2048 * kMiB;
  task.signals.interval_seconds = 0.1;
  task.signals.system_cores = 0.1;
  task.signals.run_queue_wait_p99_usec = 4096;
  task.signals.backlog_bytes = 65'536;
  task.signals.arrival_bytes_per_second = 1e6;
  task.flow.cpu_seconds_per_mib = 0.25;
  task.flow.drain_seconds = std::numeric_limits<double>::infinity();
  task.diagnosis.cause = Cause::starved_by_quota;
  task.diagnosis.inputs.throttled_share = 0.8;
  task.source = SampleSource::bpf;
  task.cpu_story.origin = Origin::ours;
  task.memory_story.origin = Origin::found;
  task.cpu_reason = {.rule = Rule::cpu_throttled,
                     .cause = Cause::starved_by_quota,
                     .wanted = 0.5,
                     .demand_cores = 0.9,
                     .binding_seconds = 0.9,
                     .throttled_ratio = 0.9,
                     .clamped_max = true,
                     .clamped_capacity = true};
  return task;
}

class Fixture {
 public:
  Fixture(asio::io_context& io, const std::string& address, unsigned many)
      : io_(io), tick_(io), input_(io, ::dup(0)) {
    report_.node.cpu_capacity_cores = 8;
    report_.node.memory_capacity = 16384 * kMiB;
    add(make_task("alpha", "system.slice/alpha.service", 11));
    add(make_task("beta", "system.slice/beta.service", 12));
    add(make_task("bad\xff\x1b[31m name", "strange/bad\xff\x1b[31m name", 13));
    for (unsigned i = 0; i < many; ++i) {
      add(make_task(fmt::format("many-{:05}", i), fmt::format("many.slice/many-{:05}.scope", i), 1000 + i));
    }
    publish::BusOptions options;
    options.address = address;
    options.facts.version = "0.0-test";
    options.facts.capabilities = {"psi"};
    options.facts.sampling_reason = "the fixture has no kernel";
    publish::BusHooks hooks;
    hooks.submit = [this](Command command) { return submit(std::move(command)); };
    hooks.reexecute = [this] {
      say("reexecute");
      return true;
    };
    hooks.reload = [this](auto done) { reload(std::move(done)); };
    hooks.plan = [this] { return plan(); };
    hooks.name_taken = [this] {
      say("name taken");
      exit_code = 3;
      io_.stop();
    };
    bus_ = std::make_unique<publish::BusService>(io, std::move(options), std::move(hooks));
    tick();
    read_line();
  }

  int exit_code = 0;

 private:
  void say(const std::string& line) { std::cout << line << std::endl; }

  void add(TaskReport task) {
    report_.tasks.push_back(std::move(task));
    std::sort(report_.tasks.begin(), report_.tasks.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
  }

  TaskReport* find(const std::string& name) {
    const auto found = std::find_if(report_.tasks.begin(), report_.tasks.end(),
                                    [&](const auto& task) { return task.name == name; });
    return found == report_.tasks.end() ? nullptr : &*found;
  }

  void tick() {
    ++report_.tick;
    ++report_.node.ticks;
    report_.now = monotonic_now();
    for (auto& task : report_.tasks) {
      task.sampled_at = report_.now;
      task.cpu_looks_again_at = report_.now + 3600s;
    }
    log_.publish(report_);
    bus_->publish(std::make_shared<Report>(report_));
    report_.adjustments.clear();
    tick_.expires_after(100ms);
    tick_.async_wait([this](const boost::system::error_code& failed) {
      if (!failed) tick();
    });
  }

  tl::expected<void, CommandError> submit(Command command) {
    if (auto checked = check_command(command, report_); !checked) return checked;
    std::visit([this](const auto& c) { obey(c); }, command);
    return {};
  }

  void obey(const PinCommand& c) {
    auto& task = *find(c.task);
    task.mode = TaskMode::pinned;
    task.pinned_by = c.owner;
    task.hold_reason = c.reason;
    hold({c.task, true, false, c.uid, c.owner});
    if (c.cpu_cores) task.cpu_max = quota(*c.cpu_cores);
    if (c.memory_high) task.memory_high = {*c.memory_high};
    say(fmt::format("pin {} owner={} until={}", c.task, c.owner.empty() ? "-" : "caller",
                    c.until ? "set" : "-"));
  }
  void obey(const UnpinCommand& c) { release(c.task, "unpin"); }
  void obey(const SuspendCommand& c) {
    if (c.task.empty()) {
      report_.node.suspended = true;
      report_.node.suspend_reason = c.reason;
    } else {
      find(c.task)->mode = TaskMode::suspended;
      find(c.task)->hold_reason = c.reason;
      hold({c.task, false, true, c.uid, {}});
    }
    say(fmt::format("suspend '{}'", c.task));
  }
  void obey(const ResumeCommand& c) {
    if (!c.task.empty()) return release(c.task, "resume");
    report_.node.suspended = false;
    say("resume ''");
  }
  void obey(const SetBoundsCommand& c) {
    auto& task = *find(c.task);
    if (c.cpu_min_cores) task.cpu_min_cores = *c.cpu_min_cores;
    if (c.cpu_max_cores) task.cpu_max_cores = *c.cpu_max_cores;
    if (c.memory_min) task.memory_min = *c.memory_min;
    if (c.memory_max) task.memory_max = *c.memory_max;
    say("bounds " + c.task);
  }
  void obey(const ReportLoadCommand& c) {
    find(c.task)->lag = c.load.lag;
    say("load " + c.task);
  }
  void obey(const SetModeCommand& c) { report_.node.mode = c.mode; }
  void obey(const RestoreCommand&) { say("restore"); }
  void obey(const OwnerVanishedCommand& c) {
    say("vanished");
    for (auto& task : report_.tasks) {
      if (task.pinned_by == c.owner) release(task.name, "lapse");
    }
  }
  void hold(const HoldReport& hold) {
    std::erase_if(report_.holds, [&](const auto& h) { return h.task == hold.task; });
    report_.holds.push_back(hold);
  }
  void release(const std::string& name, const char* why) {
    auto& task = *find(name);
    std::erase_if(report_.holds, [&](const auto& h) { return h.task == name; });
    task.mode = TaskMode::governed;
    task.pinned_by.clear();
    task.hold_reason.clear();
    say(fmt::format("{} {}", why, name));
  }

  // Every second reload fails, and every one answers late.
  void reload(std::function<void(publish::ReloadResult)> done) {
    auto timer = std::make_shared<asio::steady_timer>(io_, 50ms);
    timer->async_wait([this, timer, done](const boost::system::error_code&) {
      if (++reloads_ % 2 == 1) return done({});
      done(tl::unexpected(
          std::vector<std::string>{"sluice.toml:3:1: unknown key 'nod'", "sluice.toml:9:5: no"}));
    });
  }

  Plan plan() {
    Plan plan;
    plan.writes.push_back(
        {.id = {11}, .knob = Knob::cpu_max, .value = quota(1.5), .reason = {}, .caused_at = {}});
    plan.writes.back().reason = report_.tasks.front().cpu_reason;
    return plan;
  }

  void read_line() {
    asio::async_read_until(input_, buffer_, '\n',
                           [this](const boost::system::error_code& failed, std::size_t) {
                             if (failed) return;
                             std::istream stream(&buffer_);
                             std::string line;
                             std::getline(stream, line);
                             act(line);
                             read_line();
                           });
  }

  void act(const std::string& line) {
    std::istringstream words(line);
    std::string verb, name;
    words >> verb >> name;
    if (verb == "adjust") {
      double cores = 0;
      words >> cores;
      auto& task = *find(name);
      report_.adjustments.push_back({.id = task.id,
                                     .task = name,
                                     .cgroup = task.cgroup,
                                     .knob = Knob::cpu_max,
                                     .old_value = task.cpu_max,
                                     .new_value = quota(cores),
                                     .reason = task.cpu_reason,
                                     .at = monotonic_now(),
                                     .reaction = {},
                                     .dry_run = false});
      task.cpu_max = quota(cores);
      task.cpu_changed_at = report_.adjustments.back().at;
    } else if (verb == "saturate") {
      report_.node.saturated = true;
      report_.node.cpu_missing_cores = 1.5;
    } else if (verb == "remove") {
      std::erase_if(report_.tasks, [&](const auto& task) { return task.name == name; });
    } else if (verb == "add") {
      add(make_task(name, "added/" + name, 99));
    } else if (verb == "facts") {
      auto facts = bus_->facts();
      facts.last_error = name;
      bus_->set_facts(facts);
    } else if (verb == "quit") {
      io_.stop();
    }
  }

  asio::io_context& io_;
  Report report_;
  asio::steady_timer tick_;
  asio::posix::stream_descriptor input_;
  asio::streambuf buffer_;
  unsigned reloads_ = 0;
  publish::LogPublisher log_;
  std::unique_ptr<publish::BusService> bus_;
};

}  // namespace

int main(int argc, char** argv) {
  unsigned many = 0;
  auto target = publish::LogTarget::standard_error;
  for (int i = 2; i < argc; ++i) {
    const std::string option = argv[i];
    if (option == "--journal") {
      target = publish::LogTarget::journal;
    } else if (option == "--tasks" && i + 1 < argc) {
      many = static_cast<unsigned>(std::stoul(argv[++i]));
    } else {
      argc = 0;
    }
  }
  if (argc < 2) {
    std::cerr << "usage: bus_fixture ADDRESS [--tasks N] [--journal]\n";
    return 2;
  }
  publish::set_up_log({.target = target});
  asio::io_context io;
  asio::signal_set signals(io, SIGTERM, SIGINT);
  signals.async_wait([&](const boost::system::error_code&, int) { io.stop(); });
  Fixture fixture(io, argv[1], many);
  io.run();
  spdlog::info("the fixture ends");
  publish::shut_down_log();
  return fixture.exit_code;
}
