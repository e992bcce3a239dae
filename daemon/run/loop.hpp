// The Asio loop: ticks at absolute deadlines, kernel events at once, administrators' commands in between.
// Everything here runs on one thread; writes run on the actuator's. The loop carries values between the
// rooms and decides nothing.
#pragma once

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "bpf/loader/source.hpp"
#include "cgroups/root.hpp"
#include "config/load.hpp"
#include "daemon/actuate/actuator.hpp"
#include "daemon/actuate/lease.hpp"
#include "daemon/publish/bus/bus_service.hpp"
#include "daemon/publish/journal/journal.hpp"
#include "daemon/record/profile_store.hpp"
#include "daemon/record/recorder.hpp"
#include "daemon/run/registry.hpp"
#include "daemon/tick/tick.hpp"

namespace sluice {

struct LoopOptions {
  std::function<config::Result()> load_config;  // for SIGHUP and Reload
  std::optional<std::string> bus_address;       // none: no bus at all
  std::string version;
  std::optional<bpf::Source> bpf;
  std::string sampling_reason;  // why not BPF; empty when it is
  cgroups::Fd proc;
  std::unique_ptr<record::Recorder> recorder;           // none: nothing is recorded
  std::unique_ptr<record::ProfileStore> profile_store;  // none: what is learned ends with the daemon
  std::vector<NamedProfile> profiles;                   // what it held
};

class Loop {
 public:
  Loop(boost::asio::io_context& io, cgroups::Root root, config::Config config, actuate::Lease lease,
       LoopOptions options);
  // Runs until SIGTERM, SIGINT or a fatal cause, then restores every baseline. The exit status.
  int run();

 private:
  static MonotonicTime now();  // CLOCK_MONOTONIC, which BPF's ktime is too

  void arm_tick();
  void full_tick();
  void event_tick(std::vector<ThrottleEvent> events);
  void on_tick();
  void on_bpf_events();
  void react();
  void on_receipts();
  void on_signal(int signal);
  void reload(const std::function<void(publish::ReloadResult)>& done);
  void stop(int status);

  void rescan();
  void journal_baselines(const std::vector<CgroupId>& ids);
  void release(const Governed& task);
  std::vector<Observation> observe();
  void on_oom_kill(CgroupId id);
  void add_counters(std::vector<Observation>& observations);
  void name_writers(Report& report);
  void run_tick(Input input);
  void publish_reports();
  bool rescan_due(MonotonicTime at) const;
  void carry_out(const Plan& plan);
  void follow_notices(const Report& report);
  void collect_receipts();
  void refresh_facts();
  void feed_watchdog(const Report& report);
  void save_profiles();
  void lose_bpf(const std::string& why);
  tl::expected<void, CommandError> submit(Command command);

  boost::asio::io_context& io_;
  cgroups::Root root_;
  config::Config config_;
  actuate::Lease lease_;
  LoopOptions options_;
  Registry registry_;
  actuate::Actuator actuator_;
  publish::LogPublisher log_;
  std::unique_ptr<publish::BusService> bus_;

  State state_;
  Plan plan_;
  std::shared_ptr<const Report> report_;                   // the last whole one
  std::deque<std::shared_ptr<const Report>> unpublished_;  // oldest first
  NodeFacts node_;
  std::vector<Receipt> receipts_;
  std::vector<Command> commands_;
  struct WriteSeen {
    CgroupId id;
    Knob knob = Knob::cpu_max;
    MonotonicTime at{};
    Writer writer;
  };
  std::vector<WriteSeen> writes_seen_;    // by others, not yet found by a tick; in order
  std::map<CgroupId, Governed> leaving_;  // no longer governed, baseline under way
  publish::DaemonFacts facts_;

  boost::asio::steady_timer timer_;
  boost::asio::signal_set signals_;
  boost::asio::posix::stream_descriptor receipts_ready_;
  std::optional<boost::asio::posix::stream_descriptor> events_ready_;
  std::chrono::steady_clock::time_point deadline_;
  std::optional<Bytes> swap_free_;  // of the host
  // Which cgroups exist, as the last walk and the last rescan saw them; zero: not known.
  std::uint64_t cgroups_seen_ = 0, cgroups_scanned_ = 0;
  MonotonicTime rescan_at_{}, rescan_anyway_at_{}, node_at_{}, swap_at_{}, watchdog_at_{}, status_at_{},
      profiles_at_{};
  std::optional<MonotonicTime> watchdog_interval_;
  MonotonicTime ticked_at_{};
  bool oom_killed_ = false;  // since the last full tick
  bool command_tick_posted_ = false;
  bool ready_told_ = false;
  int status_ = 0;
};

}  // namespace sluice
