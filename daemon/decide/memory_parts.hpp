// Shared by memory.cpp (observation, raises) and memory_probe.cpp (probes). Private to this folder.
#pragma once

#include <algorithm>
#include <limits>

#include "daemon/decide/memory.hpp"

namespace sluice::memory {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
inline constexpr double kNearLimit = 0.95;  // in use / high; above it, the limit causes the stalls
// of the memory in use, per second; above it, needed pages were evicted
inline constexpr double kRefaultShare = 0.002;
inline constexpr double kFastSeconds = 0.5, kSlowSeconds = 10;

// ratio to the memory in use; step of a probe below keep_bytes
inline constexpr double kStepMin = 0.002, kStepMax = 0.1;

// Head-room: how far above the memory in use the limit is between probes.
inline constexpr double kRoomLeast = 0.03, kRoomMost = 0.2;    // ratios to the memory in use
inline constexpr double kRoomSeconds = 15, kRoomBursts = 1.5;  // seconds of inflow; factor on the peak growth
inline constexpr double kRoomSpent = 0.4;  // share of the head-room; with less left, the limit is raised
// of the memory in use, per second; above it the task's memory moves
inline constexpr double kMovingInflow = 0.00025;
inline constexpr double kMovingBurst = 0.005;  // of the memory in use; likewise for the peak growth
inline constexpr double kInflowSeconds = 5, kRunSeconds = 0.2,
                        kBurstSeconds = 300;  // time constants of the decay

struct Window {
  double seconds = 0, some = 0, full = 0, pgscan = 0, pgsteal = 0, refaults = 0;
  double known_seconds = 0;  // of `seconds`, with pressure and refaults measured
  double some_ratio() const { return seconds > 0 ? some / seconds : 0; }
  double full_ratio() const { return seconds > 0 ? full / seconds : 0; }
  double steal_ratio() const { return pgscan > 0 ? pgsteal / pgscan : 1; }
  double refaults_per_second() const { return seconds > 0 ? refaults / seconds : 0; }
};

inline Window over_last(const MemoryState& s, MonotonicTime now, double length) {
  // Searches from the end: most windows are short, and old entries are rarely in the CPU cache.
  std::size_t first = s.recent.size();
  while (first > 0 && in_seconds(now - s.recent[first - 1].at) < length) --first;
  Window w;
  for (std::size_t i = first; i < s.recent.size(); ++i) {
    const auto& one = s.recent[i];
    w.seconds += one.seconds;
    w.some += one.some_seconds;
    w.full += one.full_seconds;
    w.pgscan += one.pgscan;
    w.pgsteal += one.pgsteal;
    w.refaults += one.refaults;
    w.known_seconds += one.quiet_is_known ? one.seconds : 0;
  }
  return w;
}

inline Reason reason_of(Rule rule, const Window& w, double wanted) {
  Reason r;
  r.rule = rule;
  r.wanted = wanted;
  r.pressure_ratio = w.some_ratio();
  r.refaults_per_second = w.refaults_per_second();
  r.steal_scan_ratio = w.steal_ratio();
  return r;
}

// Unknown swap counts as no swap, which is the safe assumption.
inline bool can_swap(const Sample& sample) {
  return sample.swap_free.value_or(0) > 0;
}

// Memory that reclaim cannot free.
inline double held_bytes(const Sample& sample) {
  const auto& m = *sample.memory_stat;
  return static_cast<double>(m.unreclaimable) +
         (can_swap(sample) ? 0 : static_cast<double>(m.anon + m.shmem));
}

inline double reclaimable_bytes(const Sample& sample) {
  return std::max(0.0, static_cast<double>(*sample.memory_current) - held_bytes(sample));
}

// Head-room between the memory in use and the limit, until the next probe.
inline double room_bytes(const MemoryState& s, double current) {
  const double moves = std::max(s.inflow_bytes_per_second * kRoomSeconds, s.peak_growth_bytes * kRoomBursts);
  return std::clamp(moves, kRoomLeast * current, kRoomMost * current);
}

// True if a raise to the bound would be within the tolerance.
inline bool at_bound(const MemoryInput& in) {
  return in.high_bytes >= in.max_bytes * (1 - in.tolerance);
}

// The probe. It never goes below the floor, and needs measured quiet.
Intent lower(const MemoryInput& in, const MemoryState& s);
// Updates the result of the last probe: its refaults and stalls.
void observe_price(const MemoryInput& in, const Signals& g, MemoryState& s);
// After a cut that was no probe: there is no result to judge.
void forget_probe(const MemoryInput& in, MemoryState& s);
// Judges the last probe and begins the next one.
void note_probe(const MemoryInput& in, double new_bytes, MemoryState& s);

}  // namespace sluice::memory
