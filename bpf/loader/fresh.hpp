// Completes what the kernel program cannot: up-to-date pressure totals and the split of CPU time, as the
// kernel's own files would show them, and never falling. Pure: no clock, no I/O.
//
// The kernel accounts stall time per CPU. It folds this into the totals only every two seconds, or when the
// file is read. In each fold a CPU is weighted by how busy it was (get_recent_times and collect_percpu_times
// of psi_group). Here the same fold is done at every walk, from the same per-CPU times.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "bpf/wire/walk.h"

namespace sluice::bpf {

class Freshener {
 public:
  // Turns what the walk left into the record for userspace. `cpus` follow the tail.
  void finish(sluice_record& record, const sluice_walk_tail& tail, std::span<const sluice_psi_cpu> cpus);

  // Call after each walk: forgets cgroups that were not in it.
  void end_walk();

  std::size_t known() const { return known_.size(); }

 private:
  struct Known {
    std::uint64_t cgroup_id = 0;
    std::uint64_t walk = 0;  // the last walk that contained it
    std::uint64_t pressure_at_ns = 0;
    std::array<std::uint64_t, SLUICE_PSI_STALLS> totals_ns{};
    std::vector<std::array<std::uint32_t, SLUICE_PSI_STATES>> per_cpu_ns;  // empty: there is no earlier value
    std::uint64_t user_ns = 0;
    std::uint64_t system_ns = 0;
  };
  Known& known_of(std::uint64_t cgroup_id);
  static void fold(Known& known, std::span<const sluice_psi_cpu> cpus);
  static void restart(Known& known, std::span<const sluice_psi_cpu> cpus);

  std::uint64_t walk_ = 1;
  std::unordered_map<std::uint64_t, Known> known_;
  std::vector<Known*> order_;  // of the last walk; the next one usually has the same order
  std::size_t at_ = 0;         // index in `order_`
  std::size_t met_ = 0;        // known cgroups in this walk
};

// user_usec and system_usec of cpu.stat: the exact runtime, split in proportion to the ticks.
struct CpuSplit {
  std::uint64_t user_ns = 0;
  std::uint64_t system_ns = 0;
};
CpuSplit split_runtime(std::uint64_t runtime_ns, CpuSplit ticks, CpuSplit shown);

}  // namespace sluice::bpf
