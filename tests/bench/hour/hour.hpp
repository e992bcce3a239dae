// One load, three ways: a static quota for its peak, a static quota as large as ours on average, and ours.
// For people who want to see what governing does, not for judging: `run_study` judges.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/bench/bed.hpp"

namespace sluice::bench {

inline constexpr double kHourDeadline = 1;   // s, max_delay of ours
inline constexpr std::size_t kHourCell = 5;  // s of the trace in each of the points below

struct HourRun {
  std::string name;
  std::vector<double> quota_cores;  // mean of each cell
  std::vector<double> waited_s;     // age of the record that waits longest, the cell's largest
  double mean_quota_cores = 0;
  double late_share = 0;
};

struct Hour {
  std::string trace;
  std::vector<double> load_cores;  // work that arrives, mean of each cell
  HourRun peak, same, ours;
  std::size_t violations = 0;  // of the daemon's own invariants; 0, or it is broken
};

// The same for equal conditions. With the kernel's signals only, 60 writes a minute.
Hour run_hour(const Trace& trace, const Conditions& conditions);

// Two panels over time: cores above, waiting below.
std::string to_svg(const Hour& hour);

}  // namespace sluice::bench
