// The governor's own tick, closed around the bed: what the daemon does, without its threads.
#pragma once

#include <string_view>

#include "daemon/governor.hpp"
#include "tests/bench/bed.hpp"

namespace sluice::bench {

enum class Visibility : std::uint8_t {
  kernel,  // the scheduler's and cgroup's counters
  bytes,   // and the bytes waiting in the task's sockets
  lag,     // and, instead, what the task reports: records waiting and processed
};
constexpr std::string_view to_string(Visibility v) {
  return v == Visibility::kernel ? "kernel" : v == Visibility::bytes ? "bytes" : "lag";
}

struct OursSpec {
  double deadline_s = 1;
  std::uint32_t writes_per_minute = 60;
  Visibility visibility = Visibility::kernel;
};

// Runs the trace; returns how many plans broke an invariant of the daemon's own (0, or it is broken).
std::size_t run_ours(Bed& bed, const OursSpec& spec);

}  // namespace sluice::bench
