// The Asio loop: ticks at absolute deadlines, kernel events at once, administrators' commands in between. It
// has the clock, the bus, the log and the signals, and hands everything to the engine; it decides nothing.
// One thread; writes run on the actuator's.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cgroups/fd.hpp"
#include "config/load.hpp"
#include "daemon/publish/bus/bus_service.hpp"
#include "daemon/publish/journal/journal.hpp"
#include "daemon/record/profile_store.hpp"
#include "daemon/record/recorder.hpp"
#include "daemon/run/cgroup_host.hpp"
#include "daemon/run/config_reader.hpp"
#include "daemon/run/engine.hpp"

namespace sluice {

struct LoopOptions {
  std::function<config::Result()> load_config;  // for SIGHUP and Reload; on another thread
  std::optional<std::string> bus_address;       // none: no bus at all
  std::string version;
  std::string sampling_reason;                          // why not BPF; empty when it is
  int proc_fd = -1;                                     // of procfs; borrowed
  std::unique_ptr<record::Recorder> recorder;           // none: nothing is recorded
  std::unique_ptr<record::ProfileStore> profile_store;  // none: what is learned ends with the daemon
};

class Loop {
 public:
  Loop(boost::asio::io_context& io, CgroupHost& host, Engine::Parts parts, LoopOptions options);
  // run() ended to be replaced by the installed program: every limit is in force, and the lease says which.
  static constexpr int kReexecute = -1;
  // Runs until SIGTERM, SIGINT or a fatal cause, then gives every limit back. The exit status, or kReexecute.
  int run();

 private:
  void arm_tick();
  void on_tick();
  void full_tick();
  void look_at_node();
  void event_tick(std::vector<ThrottleEvent> events);
  void react();
  void on_receipts();
  void on_bpf_events();
  void on_oom_kill(CgroupId id);
  void on_signal(int signal);
  void warn_of_sizes(const config::Config& config) const;
  publish::ReloadResult apply(tl::expected<config::Config, ConfigReader::Problems> read);
  void stop(int status);
  void finish_when_released();
  void leave_in_force();
  void end();

  void watch_tasks();
  void name_writers(Report& report);
  void publish_reports();
  void refresh_facts();
  void feed_watchdog();
  void save_profiles();
  void listen_to_bpf();
  bool follow_bpf();
  Engine::Moment moment();
  tl::expected<void, CommandError> submit(Command command);

  boost::asio::io_context& io_;
  CgroupHost& host_;
  LoopOptions options_;
  Engine engine_;
  ConfigReader config_reader_;
  publish::LogPublisher log_;
  std::unique_ptr<publish::BusService> bus_;
  publish::DaemonFacts facts_;
  NodeFacts node_;
  std::string node_fault_;  // what procfs says of it and cannot be; said once

  struct WriteSeen {
    CgroupId id;
    Knob knob = Knob::cpu_max;
    MonotonicTime at{};
    Writer writer;
  };
  std::vector<WriteSeen> writes_seen_;  // by others, not yet found by a tick; in order

  boost::asio::steady_timer timer_;
  boost::asio::signal_set signals_;
  boost::asio::posix::stream_descriptor receipts_ready_;
  std::optional<boost::asio::posix::stream_descriptor> events_ready_;
  std::uint64_t listening_ = 0;  // to which programs' events: an older wait ends
  std::chrono::steady_clock::time_point deadline_;
  MonotonicTime node_at_{}, watchdog_at_{}, status_at_{}, profiles_at_{}, ticked_at_{};
  std::optional<MonotonicTime> stop_by_;  // stopping: what is not given back by then is reported
  std::optional<Usec> watchdog_interval_;
  bool reexecute_ = false;   // asked for; the next full tick is the last
  bool oom_killed_ = false;  // since the last full tick
  bool command_tick_posted_ = false;
  bool ready_told_ = false;
  int status_ = 0;
};

}  // namespace sluice
