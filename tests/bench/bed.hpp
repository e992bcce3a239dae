// One task on a host of its own, and what came of governing it.
#pragma once

#include <functional>
#include <vector>

#include "tests/bench/trace.hpp"
#include "tests/simhost/model.hpp"

namespace sluice::bench {

inline constexpr double kCapCores = 4;        // a task's most, and the node
inline constexpr double kFewestCores = 0.01;  // the least quota the kernel takes in a period of 100 ms
inline constexpr Usec kPeriod{100'000};
inline constexpr std::size_t kWarmUpSeconds = 60;

struct Conditions {
  double cost_usec = 5'000;
  double cost_sigma = 0;  // of the lognormal's logarithm; 0: every record costs the same
  std::uint64_t seed = 1;
  unsigned threads = static_cast<unsigned>(kCapCores);
  double background_cores = 0;
  Usec gc_period{};  // each of its threads wants gc_usec then
  double gc_usec = 0;
  double step_cores = 0;  // > 0: write_cores rounds up to multiples
  std::size_t warm_up_seconds = kWarmUpSeconds;
};

// Of one run, its warm-up left out.
struct Figures {
  double usage_cores = 0;
  double quota_cores = 0;    // time mean of what was written
  double offered_cores = 0;  // of what could run: the pool at each period's start, and refills by writes
  double q10_cores = 0;      // mean over 10 s windows of each one's largest quota
  double could10_cores = 0;  // and of the most that one of its periods could have run
  double late_share = 0;     // of all arrivals, those unfinished at the end included
  double delay_p50_s = 0, delay_p99_s = 0, delay_worst_s = 0;
  double stall_share = 0;  // of wall time, with the quota spent and work waiting
  double writes_per_minute = 0;
  std::size_t writes_worst_minute = 0;
};

class Bed {
 public:
  using Observer = std::function<void(const ThrottleEvent&)>;

  Bed(const Trace& trace, const Conditions& conditions);
  Bed(const Bed&) = delete;
  Bed& operator=(const Bed&) = delete;

  // Runs the whole trace; `each_period` comes every 100 ms, out of step with the kernel's own periods.
  void run(const std::function<void()>& each_period);
  // After each period of the run, for who only watches.
  void on_period(std::function<void()> observer) { period_observer_ = std::move(observer); }
  // At the very moment; may write.
  void on_throttle(Observer observer) { host_.on_throttle(std::move(observer)); }

  // A write to cpu.max, counted. Never above the cap or below the kernel's least.
  Receipt write(const Write& write);
  void write_cores(double cores);
  double quota_cores() const { return quota_; }

  simhost::Host& host() { return host_; }
  simhost::Work& work() { return host_.task(id_)->work; }
  CgroupId id() const { return id_; }
  const std::string& cgroup() const { return cgroup_; }
  double now_s() const { return static_cast<double>(host_.now().count()) / 1e6; }

  // After run().
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
  std::vector<double> written_at_;  // since the warm-up
  std::vector<double>
      budgeted_at_;  // of them, all but the ways back to the baseline, which the budget exempts
  std::uint64_t arrivals_ = 0;
  Figures figures_;
};

}  // namespace sluice::bench
