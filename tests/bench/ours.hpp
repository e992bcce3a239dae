// Our governor on a bed.
#pragma once

#include "tests/bench/bed.hpp"
#include "tests/bench/governed.hpp"

namespace sluice::bench {

struct OursSpec {
  double deadline_s = 1;
  std::uint32_t writes_per_minute = 60;
  Visibility visibility = Visibility::kernel;
  double burst_ratio = 0;
  double max_cores = kCapCores;
  double step_cores = 0;
  config::Forecast forecast{};
};

// Runs the trace. Returns the number of plans that broke an invariant of the daemon; must be 0.
std::size_t run_ours(Bed& bed, const OursSpec& spec);

}  // namespace sluice::bench
