// Rates, ratios and pressure from two samples of one cgroup. Pure. A rate exists only if both samples have
// the same cgroup id, time increased, and the counter did not fall. Otherwise it is absent, and policy never
// shrinks a limit on an absent signal.
#pragma once

#include <optional>

#include "daemon/sample/snapshot.hpp"

namespace sluice {

struct Signals {
  double interval_seconds = 0;  // between the two samples

  std::optional<double> usage_cores;      // CPU seconds per second
  std::optional<double> system_cores;     // part of it in the kernel
  std::optional<double> throttled_cores;  // CPU seconds per second lost by throttled run queues
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
  std::optional<std::uint64_t> oom_kills;                // memory.events:oom_kill in the interval
  std::optional<double> io_pressure_ratio;               // PSI some

  std::optional<double> ancestor_throttled_ratio;  // of the periods of the smallest cpu.max above it

  // From kernel programs.
  std::optional<double> throttled_wall_ratio;         // share of the interval with a throttled run queue
  std::optional<double> stopped_tasks_per_throttle;   // mean number of runnable tasks that a throttle stopped
  std::optional<double> run_queue_wait_per_second;    // seconds that tasks waited for a CPU, per second
  std::optional<double> run_queue_wait_p99_usec;      // upper edge of the histogram's bucket
  std::optional<double> memory_stall_per_second;      // seconds that tasks stalled, per second
  std::optional<double> memory_high_throttled_ratio;  // part of them spent asleep above memory.high
  std::optional<double> runnable_threads;             // at the second sample
  std::optional<MonotonicTime> idle_until;            // the last moment with nothing to run, known by then

  // Stream data from sockets. Absent if the task has no sockets or they are not observed.
  std::optional<double> arrival_bytes_per_second;
  std::optional<double> service_bytes_per_second;  // read by the task
  std::optional<double> backlog_bytes;             // arrived and unread, at the second sample
  std::optional<double> backlog_growth_bytes_per_second;
  std::optional<double> output_bytes_per_second;
  std::optional<double> unsent_bytes;  // written and not acknowledged, at the second sample
  std::optional<double> unsent_growth_bytes_per_second;
  std::optional<double> zero_window_ratio;  // mean share of the interval with a closed receive window
};

Signals derive_signals(const Sample& previous, const Sample& current);

}  // namespace sluice
