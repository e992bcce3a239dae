// A task: one process with threads, in one cgroup.
#pragma once

#include <optional>
#include <string>

#include "tests/simhost/cgroup.hpp"
#include "tests/simhost/memory.hpp"
#include "tests/simhost/work.hpp"

namespace sluice::simhost {

struct TaskSpec {
  std::string cgroup;  // absolute path in the tree; created if missing
  WorkSpec work;
  MemorySpec memory;
  double system_share = 0.15;              // of its CPU time, in the kernel
  double reclaim_cpu_usec_per_page = 0.5;  // direct reclaim, charged to the task
  std::optional<Usec> restart_after;       // after an OOM kill; absent: never
};

struct Task {
  TaskSpec spec;
  int pid = 0;
  Cgroup* cgroup = nullptr;  // null: exited
  Work work;
  WorkingSet memory;
  double seen_memory[5] = {};  // included in its ancestors' counters: anon, hot, cold, kernel, swapped
  double share_cores = 0;      // in the current step
  double dead_since = -1;      // OOM-killed, waiting for its restart
  bool reclaiming = false;     // above memory.high and still finding pages to free
  double owed_cpu = 0;         // reclaim on its behalf, not yet charged
  double cpu_used = 0;
  double allocated = 0;  // integral of the quota in core-usec
  double observed = 0;   // usec covered by `allocated`
  double allocated_until = 0;
  double granted_before = 0;
  double offered_before = 0;
  std::uint64_t throttles = 0;
  double memory_stalled = 0;
  double memory_byte_usec = 0;
  // q10: the mean over 10 s windows of the largest quota in each window.
  double window_end = 0;
  double window_peak = 0;
  double window_sum = 0;
  double window_could_sum = 0;  // likewise, of the most that one period could run
  double windows = 0;
};

struct TaskStats {
  std::uint64_t arrivals = 0;
  std::uint64_t finished = 0;
  std::uint64_t backlog = 0;  // records waiting or in service
  double backlog_cpu_usec = 0;
  double oldest_age_usec = 0;
  double busy_for_usec = 0;  // since the last moment with nothing runnable
  unsigned runnable_threads = 0;
  double delay_p50_usec = 0;
  double delay_p99_usec = 0;
  double delay_worst_usec = 0;
  double delay_mean_usec = 0;
  double late_share = 0;  // finished late or waiting beyond the deadline, of all arrivals
  double usage_usec = 0;
  double granted_usec = 0;     // refills of the pool; without a quota, the whole node
  double offered_usec = 0;     // what it could have run: quotas of all periods, and refills by writes
  double allocated_cores = 0;  // time average of quota/period, at most the node
  double q10_cores = 0;
  double could10_cores = 0;  // likewise of what one period could have run: quota, burst and refills by writes
  double observed_usec = 0;
  std::uint64_t throttles = 0;
  double memory_stall_share = 0;
  double memory_mean_bytes = 0;
  bool alive = true;
};

}  // namespace sluice::simhost
