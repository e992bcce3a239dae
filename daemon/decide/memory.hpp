// The memory controller: memory.high as low as gentle pressure allows.
// Downwards it probes: a small step below what is in use, at most one an interval, while nothing stalls and
// nothing that was evicted comes back. Upwards it acts at once, on any tick. Never below anon + unreclaimable
// when there is no swap, and lifted to the bound within a second when reclaim frees nothing (the hang that
// memory.high is known for). Pure: values in, values out.
#pragma once

#include <deque>
#include <optional>

#include "config/config.hpp"
#include "daemon/decide/intent.hpp"
#include "daemon/signal/signal.hpp"

namespace sluice {

struct MemoryState {
  struct Interval {
    MonotonicTime at{};
    double seconds = 0, some_seconds = 0, full_seconds = 0;
    double pgscan = 0, pgsteal = 0, refaults = 0;
    bool quiet_is_known = false;  // pressure and refaults were measured: zero is zero
  };
  std::deque<Interval> recent;     // the last ten seconds, or probe interval
  double recent_some_seconds = 0;  // of all of it: no window within has more
  MonotonicTime observed_since{};  // zero: never
  MonotonicTime probed_at{};       // last cut
  MonotonicTime hold_until{};      // no probing before: after a raise
  double step = 0.02;              // of memory in use; grows while probes stay clean
  double anon_growth_bytes_per_second = 0;
  double growth_bytes_per_second = 0;  // of memory in use, while it is not being probed away
  std::uint32_t futile_count = 0;      // consecutive lifts: each waits longer before probing again
  bool write_blocked = false;          // the last write of memory.high did not finish by its deadline
};

struct MemoryInput {
  MonotonicTime now{};
  double high_bytes = 0;  // in force; infinity = max
  double max_bytes = 0;   // the bound, at most the node's memory
  double min_bytes = 0;
  double pressure_target = 0.001;
  double interval_seconds = 2;
  double tolerance = 0.01;  // a smaller relative change is not written
  const Signals* signals = nullptr;
  const Sample* sample = nullptr;
  bool write_blocked = false;  // a receipt since the last call said timed_out
};

void observe_memory(const MemoryInput& in, MemoryState& state);
Intent decide_memory(const MemoryInput& in, const MemoryState& state);
void memory_written(const MemoryInput& in, double old_bytes, double new_bytes, Rule rule, MemoryState& state);

// The least that memory.high may be: what reclaim cannot free, a tenth more, and the configured minimum.
// Absent when memory.stat was not read: then nothing is lowered.
std::optional<double> memory_floor(const Sample& sample, double min_bytes,
                                   double anon_growth_bytes_per_second);

}  // namespace sluice
