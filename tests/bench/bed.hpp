// One task on its own host, and the figures of one run.
#pragma once

#include <functional>
#include <vector>

#include "tests/bench/trace.hpp"
#include "tests/simhost/model.hpp"

namespace sluice::bench {

inline constexpr double kCapCores = 4;  // upper bound of a task, and the node
// the smallest quota that the kernel accepts with a period of 100 ms
inline constexpr double kFewestCores = 0.01;
inline constexpr Usec kPeriod{100'000};
inline constexpr std::size_t kWarmUpSeconds = 60;

struct Conditions {
  double cost_usec = 5'000;
  double cost_sigma = 0;  // of the logarithm; 0: every record costs the same
  std::uint64_t seed = 1;
  unsigned threads = static_cast<unsigned>(kCapCores);
  double background_cores = 0;
  Usec gc_period{};  // interval at which each collector thread wants gc_usec
  double gc_usec = 0;
  double step_cores = 0;  // > 0: write_cores rounds up to multiples
  std::size_t warm_up_seconds = kWarmUpSeconds;
};

// Figures of one run, without the warm-up.
struct Figures {
  double usage_cores = 0;
  double quota_cores = 0;    // time average of the quota written
  double offered_cores = 0;  // what could run: the pool at the start of each period, and refills by writes
  double q10_cores = 0;      // mean over 10 s windows of the largest quota in each
  double could10_cores = 0;  // likewise, of the most that one period could have run
  double late_share = 0;     // of all arrivals, including those unfinished at the end
  double delay_p50_s = 0, delay_p99_s = 0, delay_worst_s = 0;
  double stall_share = 0;  // of wall time, with the quota used up and work waiting
  double writes_per_minute = 0;
  std::size_t writes_worst_minute = 0;
};

class Bed {
 public:
  using Observer = std::function<void(const ThrottleEvent&)>;

  Bed(const Trace& trace, const Conditions& conditions);
  Bed(const Bed&) = delete;
  Bed& operator=(const Bed&) = delete;

  // Runs the whole trace; calls `each_period` every 100 ms, not in phase with the kernel's periods.
  void run(const std::function<void()>& each_period);
  // Called after each period of the run, for observers.
  void on_period(std::function<void()> observer) { period_observer_ = std::move(observer); }
  // Called at the exact time of a throttle; may write.
  void on_throttle(Observer observer) { host_.on_throttle(std::move(observer)); }

  // Writes cpu.max and counts it. Never above the cap or below the kernel's minimum.
  Receipt write(const Write& write);
  void write_cores(double cores);
  double quota_cores() const { return quota_; }

  simhost::Host& host() { return host_; }
  simhost::Work& work() { return host_.task(id_)->work; }
  CgroupId id() const { return id_; }
  const std::string& cgroup() const { return cgroup_; }
  double now_s() const { return static_cast<double>(host_.now().count()) / 1e6; }

  // Valid after run().
  Figures figures() const { return figures_; }
  double late_share(double deadline_s);
  std::uint64_t arrivals() const { return arrivals_; }

 private:
  void finish();

  std::string cgroup_ = "/bench.slice/task.service";
  std::function<void()> period_observer_;
  double step_cores_;
  simhost::Host host_;
  CgroupId id_;
  std::size_t seconds_ = 0, warm_up_seconds_;
  Usec phase_{};
  double quota_ = kCapCores;
  double stopped_before_ = 0;
  bool measuring_ = false;
  std::vector<double> written_at_;   // in seconds, since the warm-up
  std::vector<double> budgeted_at_;  // without releases, which are exempt from the budget
  std::uint64_t arrivals_ = 0;
  Figures figures_;
};

}  // namespace sluice::bench
