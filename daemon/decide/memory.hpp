// The memory controller. It keeps memory in use as low as its pressure target allows, with memory.high.
//
// Down: it probes. It sets memory.high below the memory in use, which evicts pages, and then slightly above
// what is left, so that the task meets no limit between two probes. It learns how much reclaimable memory the
// task needs: if evicted pages are read back, the step was too large, and the next step below that level
// waits until its stall is paid off. Memory above that level (logs, files read once) is reclaimed at once.
//
// Up: it raises at once, on any tick. memory.high never goes below anon + unreclaimable without swap. It is
// lifted to the upper bound within a second if reclaim frees nothing (the known memory.high hang).
//
// Pure: values in, values out.
#pragma once

#include <optional>

#include "config/config.hpp"
#include "daemon/decide/intent.hpp"
#include "daemon/decide/ring.hpp"
#include "daemon/signal/signal.hpp"
#include "daemon/values/knob_story.hpp"

namespace sluice {

struct MemoryState {
  struct Interval {
    MonotonicTime at{};
    double seconds = 0, some_seconds = 0, full_seconds = 0;
    double pgscan = 0, pgsteal = 0, refaults = 0;
    bool quiet_is_known = false;  // pressure and refaults were measured, so zero means none
  };
  Ring<Interval> recent;           // the last ten seconds or one probe interval, and some older ones
  double recent_some_seconds = 0;  // sum over `recent`, so an upper bound for each window in it
  MonotonicTime observed_since{};  // zero: never observed
  MonotonicTime probed_at{};       // last cut
  MonotonicTime hold_until{};      // no probe before this time; set by a raise
  double step = 0.02;  // ratio to the memory in use, of a probe below keep_bytes; grows while probes succeed
  double anon_growth_bytes_per_second = 0;
  double growth_bytes_per_second = 0;  // of the memory in use, between probes
  std::uint32_t futile_count = 0;      // consecutive lifts; each doubles the time before the next probe
  bool write_blocked = false;          // the last write of memory.high missed its deadline

  // Memory that arrives: growth, and what reclaim freed meanwhile.
  double inflow_bytes_per_second = 0;
  double recent_growth_bytes = 0,
         peak_growth_bytes = 0;  // recent growth, and its slowly decaying maximum
  double debt_seconds = 0;       // stall beyond the permitted share of the pressure target
  // The last probe and its result.
  double keep_bytes = 0;        // reclaimable memory that the task needs; 0: unknown
  double probe_left_bytes = 0;  // reclaimable memory that the probe left
  double probe_took_bytes = 0;
  double probe_unsure_bytes = 0;                      // part of it that no earlier probe had found unneeded
  double probe_refaults = 0, probe_some_seconds = 0;  // since the probe
  bool probe_explored = false;                        // the probe went below `keep_bytes`
  bool probe_failed = false;
  bool cut_by_others = false;  // the last cut came from bounds, capacity or a pin, not from a probe
  MonotonicTime explore_at{};  // no probe below `keep_bytes` before this time
};

struct MemoryInput {
  MonotonicTime now{};
  double high_bytes = 0;  // in force; infinity: "max"
  double max_bytes = 0;   // upper bound, at most the node's memory
  double min_bytes = 0;
  double pressure_target = 0.001;
  double interval_seconds = 2;
  double tolerance = 0.01;  // ratio; a smaller change is not written
  std::uint32_t writes_left = 60, writes_per_minute = 60;
  const Signals* signals = nullptr;
  const Sample* sample = nullptr;
  bool write_blocked = false;  // since the last call a write timed out
  double page_bytes = 4096;
};

void observe_memory(const MemoryInput& in, MemoryState& state);
// The task was frozen for `length`: shifts all times by it, so that no knowledge ages meanwhile.
void skip_pause(Nsec length, MemoryState& state);
Intent decide_memory(const MemoryInput& in, const MemoryState& state);
// When decide_memory may lower the limit, or what prevents it. decide_memory itself uses it.
ProbeOutlook probe_outlook(const MemoryInput& in, const MemoryState& state);
void memory_written(const MemoryInput& in, double old_bytes, double new_bytes, Rule rule, MemoryState& state);

// Lower bound of memory.high: what reclaim cannot free, plus a tenth, and at least the configured minimum.
// Absent if memory.stat was not read: then the limit is not lowered.
std::optional<double> memory_floor(const Sample& sample, double min_bytes,
                                   double anon_growth_bytes_per_second);

}  // namespace sluice
