// Rates, ratios and pressure from two samples of one cgroup. Pure.
// A rate exists only when both samples are of the same cgroup (same id), time went on, and the counter did
// not run backwards; otherwise it is absent, and policy never shrinks on an absent signal.
#pragma once

#include <optional>

#include "daemon/sample/snapshot.hpp"

namespace sluice {

struct Signals {
  double interval_seconds = 0;  // between the two samples

  std::optional<double> usage_cores;      // CPU seconds per second
  std::optional<double> throttled_cores;  // CPU seconds per second that throttled run queues stood still
  std::optional<std::uint64_t> periods;   // CFS periods that ended, and how many of them were throttled
  std::optional<std::uint64_t> throttled_periods;
  std::optional<double> cpu_pressure_ratio;  // PSI some, share of the interval

  std::optional<double> memory_pressure_ratio;           // PSI some
  std::optional<double> memory_full_pressure_ratio;      // PSI full
  std::optional<double> refaults_per_second;             // pages, anon and file
  std::optional<double> pgscan_per_second;               // pages
  std::optional<double> pgsteal_per_second;              // pages
  std::optional<double> anon_growth_bytes_per_second;    // may be negative
  std::optional<double> memory_growth_bytes_per_second;  // of memory.current; may be negative
  std::optional<std::uint64_t> high_events;              // memory.events:high in the interval
};

Signals derive_signals(const Sample& previous, const Sample& current);

}  // namespace sluice
