// The memory controller: memory in use as little as gentle pressure allows, with memory.high.
// Downwards it probes: memory.high goes below what is in use, which evicts, and up again a little above it,
// so that the task meets no limit between two probes. What it keeps of reclaimable memory is learned: a step
// that was read again was one too many, and the next one below that waits until its stall is paid off. What
// comes above (logs, files read once) is taken without asking. Upwards it acts at once, on any tick. Never
// below anon
// + unreclaimable when there is no swap, and lifted to the bound within a second when reclaim frees nothing
// (the hang that memory.high is known for). Pure: values in, values out.
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
    bool quiet_is_known = false;  // pressure and refaults were measured: zero is zero
  };
  Ring<Interval> recent;           // the last ten seconds, or probe interval, and some before
  double recent_some_seconds = 0;  // of all of it: no window within has more
  MonotonicTime observed_since{};  // zero: never
  MonotonicTime probed_at{};       // last cut
  MonotonicTime hold_until{};      // no probing before: after a raise
  double step = 0.02;              // of memory in use, into the unknown; grows while probes stay clean
  double anon_growth_bytes_per_second = 0;
  double growth_bytes_per_second = 0;  // of memory in use, while it is not being probed away
  std::uint32_t futile_count = 0;      // consecutive lifts: each waits longer before probing again
  bool write_blocked = false;          // the last write of memory.high did not finish by its deadline

  // What arrives: growth, and what reclaim took meanwhile.
  double inflow_bytes_per_second = 0;
  double recent_growth_bytes = 0,
         peak_growth_bytes = 0;  // lately at one go, and the most of that, slowly forgotten
  double debt_seconds = 0;       // stall beyond what a share of the target allows
  // The last probe, and what came of it.
  double keep_bytes = 0;        // reclaimable memory that was needed; 0: none known
  double probe_left_bytes = 0;  // reclaimable memory below which it did not go
  double probe_took_bytes = 0;
  double probe_unsure_bytes = 0;                      // of them, those that nobody had found unneeded before
  double probe_refaults = 0, probe_some_seconds = 0;  // since
  bool probe_explored = false;                        // it went below `keep_bytes`
  bool probe_failed = false;
  bool cut_by_others = false;  // the last cut was not a probe: bounds, capacity or a pin took it
  MonotonicTime explore_at{};  // not below `keep_bytes` before
};

struct MemoryInput {
  MonotonicTime now{};
  double high_bytes = 0;  // in force; infinity = max
  double max_bytes = 0;   // the bound, at most the node's memory
  double min_bytes = 0;
  double pressure_target = 0.001;
  double interval_seconds = 2;
  double tolerance = 0.01;  // a smaller relative change is not written
  std::uint32_t writes_left = 60, writes_per_minute = 60;
  const Signals* signals = nullptr;
  const Sample* sample = nullptr;
  bool write_blocked = false;  // a receipt since the last call said timed_out
  double page_bytes = 4096;
};

void observe_memory(const MemoryInput& in, MemoryState& state);
// The task was paused for `length`: all times move by it, so that nothing known ages.
void skip_pause(Nsec length, MemoryState& state);
Intent decide_memory(const MemoryInput& in, const MemoryState& state);
// Whether decide_memory may lower the limit now or when, or what is in the way: it asks this itself.
ProbeOutlook probe_outlook(const MemoryInput& in, const MemoryState& state);
void memory_written(const MemoryInput& in, double old_bytes, double new_bytes, Rule rule, MemoryState& state);

// The least that memory.high may be: what reclaim cannot free, a tenth more, and the configured minimum.
// Absent when memory.stat was not read: then nothing is lowered.
std::optional<double> memory_floor(const Sample& sample, double min_bytes,
                                   double anon_growth_bytes_per_second);

}  // namespace sluice
