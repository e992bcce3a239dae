// One load in three runs: a static quota for its peak, a static quota equal to our mean, and ours. It
// illustrates what governing does; `run_study` does the comparison.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/bench/bed.hpp"

namespace sluice::bench {

inline constexpr double kHourDeadline = 1;   // s, max_delay of ours
inline constexpr std::size_t kHourCell = 5;  // seconds of the trace in each point below

struct HourRun {
  std::string name;
  std::vector<double> quota_cores;  // mean of each cell
  std::vector<double> waited_s;     // age of the oldest waiting record; maximum of each cell
  double mean_quota_cores = 0;
  double late_share = 0;
};

struct Hour {
  std::string trace;
  std::vector<double> load_cores;  // arriving work; mean of each cell
  HourRun peak, same, ours;
  std::size_t violations = 0;  // of the daemon's own invariants; must be 0
};

// Equal conditions give equal results. Kernel signals only, 60 writes a minute.
Hour run_hour(const Trace& trace, const Conditions& conditions);

// Two panels over time: cores above, waiting below.
std::string to_svg(const Hour& hour);

}  // namespace sluice::bench
