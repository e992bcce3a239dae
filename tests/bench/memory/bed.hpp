// One task on its own host, and the figures of limiting its memory.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "tests/bench/memory/trace.hpp"
#include "tests/simhost/model.hpp"

namespace sluice::bench {

inline constexpr double kMemoryWarmUpSeconds = 300;
inline constexpr double kHangSeconds = 1;

// Figures of one run, without the warm-up.
struct MemoryFigures {
  double mean_bytes = 0;       // in use
  double limit_bytes = 0;      // the smaller of memory.high and memory.max
  double peak_bytes = 0;       // in use
  double stall_share = 0;      // PSI some, of wall time
  double stall_worst_10s = 0;  // share of the worst ten seconds
  std::size_t hangs = 0;       // more than a second with stalls for nine tenths of the time
  double hang_longest_s = 0;
  std::size_t oom_kills = 0;
  double writes_per_minute = 0;
  std::size_t writes_worst_minute = 0;
  double delay_p99_s = 0;
};

class MemoryBed {
 public:
  MemoryBed(const MemoryTrace& trace, std::uint64_t seed, std::optional<Bytes> most);
  MemoryBed(const MemoryBed&) = delete;
  MemoryBed& operator=(const MemoryBed&) = delete;

  // Runs the whole trace; calls `each_period` every 100 ms.
  void run(const std::function<void()>& each_period);

  // Writes, and counts the writes.
  Receipt write(const Write& write);
  void write_high(double bytes);  // as memory.high, rounded to pages
  void reclaim(double bytes);     // as memory.reclaim

  simhost::Host& host() { return host_; }
  CgroupId id() const { return id_; }
  const std::string& cgroup() const { return cgroup_; }
  double now_s() const { return static_cast<double>(host_.now().count()) / 1e6; }
  const MemoryFigures& figures() const { return figures_; }  // after run()

 private:
  void look();
  void finish();

  std::string cgroup_ = "/bench.slice/task.service";
  simhost::Host host_;
  CgroupId id_;
  std::size_t seconds_ = 0;
  double looks_ = 0;
  PressureTotals before_;
  std::uint64_t kills_before_ = 0;
  std::vector<double> stalled_;  // usec, in each 100 ms
  std::vector<double> stood_still_;
  std::vector<double> written_at_;   // in seconds, since the warm-up
  std::vector<double> budgeted_at_;  // without releases, which are exempt from the budget
  MemoryFigures figures_;
};

}  // namespace sluice::bench
