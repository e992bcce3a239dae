// What the parts of the memory controller share: memory.cpp (looks, raises), memory_probe.cpp (the way down).
// Private to this folder.
#pragma once

#include <algorithm>
#include <limits>

#include "daemon/decide/memory.hpp"

namespace sluice::memory {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
inline constexpr double kNearLimit = 0.95;      // in use / high: closer than this, the limit is the cause
inline constexpr double kRefaultShare = 0.002;  // of the memory in use, per second: the working set came back
inline constexpr double kFastSeconds = 0.5, kSlowSeconds = 10;

inline constexpr double kStepMin = 0.002, kStepMax = 0.1;  // of the memory in use, into the unknown

// Between probes the limit is this far above what is in use, if anything moves.
inline constexpr double kRoomLeast = 0.03, kRoomMost = 0.2;    // of the memory in use
inline constexpr double kRoomSeconds = 15, kRoomBursts = 1.5;  // of what arrives, and of what came at one go
inline constexpr double kRoomSpent = 0.4;                      // less than this of it left: more
inline constexpr double kMovingInflow = 0.00025;               // of the memory in use, a second
inline constexpr double kMovingBurst = 0.005;                  // ... and at one go
inline constexpr double kInflowSeconds = 5, kRunSeconds = 0.2,
                        kBurstSeconds = 300;  // in which they are forgotten

struct Window {
  double seconds = 0, some = 0, full = 0, pgscan = 0, pgsteal = 0, refaults = 0;
  double known_seconds = 0;  // of them, those whose pressure and refaults were measured
  double some_ratio() const { return seconds > 0 ? some / seconds : 0; }
  double full_ratio() const { return seconds > 0 ? full / seconds : 0; }
  double steal_ratio() const { return pgscan > 0 ? pgsteal / pgscan : 1; }
  double refaults_per_second() const { return seconds > 0 ? refaults / seconds : 0; }
};

inline Window over_last(const MemoryState& s, MonotonicTime now, double length) {
  // Most windows are short and the history is long, and seldom in the cache: found from its end.
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

// Unknown swap is no swap: the careful reading.
inline bool can_swap(const Sample& sample) {
  return sample.swap_free.value_or(0) > 0;
}

// What reclaim cannot free.
inline double held_bytes(const Sample& sample) {
  const auto& m = *sample.memory_stat;
  return static_cast<double>(m.unreclaimable) +
         (can_swap(sample) ? 0 : static_cast<double>(m.anon + m.shmem));
}

inline double reclaimable_bytes(const Sample& sample) {
  return std::max(0.0, static_cast<double>(*sample.memory_current) - held_bytes(sample));
}

// How far the limit is to be above what is in use, until the next probe.
inline double room_bytes(const MemoryState& s, double current) {
  const double moves = std::max(s.inflow_bytes_per_second * kRoomSeconds, s.peak_growth_bytes * kRoomBursts);
  return std::clamp(moves, kRoomLeast * current, kRoomMost * current);
}

// No raise is left that the tolerance would not swallow.
inline bool at_bound(const MemoryInput& in) {
  return in.high_bytes >= in.max_bytes * (1 - in.tolerance);
}

// Downwards: never below the floor, on measured quiet only.
Intent lower(const MemoryInput& in, const MemoryState& s);
// What the last probe took, and what that has cost.
void observe_price(const MemoryInput& in, const Signals& g, MemoryState& s);
// A cut that was no probe: there is nothing to judge.
void forget_probe(const MemoryInput& in, MemoryState& s);
// The last probe is judged, and the next one begins.
void note_probe(const MemoryInput& in, double new_bytes, MemoryState& s);

}  // namespace sluice::memory
