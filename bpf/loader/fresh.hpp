// Finishes what the kernel program cannot: fresh pressure totals and the split of CPU time, each as the
// kernel's own files would show them, and never falling. Pure: no clock, no I/O.
//
// The kernel books stall time per CPU and folds it into the totals only every two seconds, or when somebody
// reads the file: in each fold, a CPU counts as much as it was busy (psi_group's get_recent_times and
// collect_percpu_times). The same fold is done here at every walk, over the same per-CPU times.
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
  // Turns what the walk left into the record that userspace sees. `cpus` follow the tail.
  void finish(sluice_record& record, const sluice_walk_tail& tail, std::span<const sluice_psi_cpu> cpus);

  // After each walk: forgets the cgroups that it did not meet.
  void end_walk();

  std::size_t known() const { return known_.size(); }

 private:
  struct Known {
    std::uint64_t cgroup_id = 0;
    std::uint64_t walk = 0;  // the last that met it
    std::uint64_t pressure_at_ns = 0;
    std::array<std::uint64_t, SLUICE_PSI_STALLS> totals_ns{};
    std::vector<std::array<std::uint32_t, SLUICE_PSI_STATES>> per_cpu_ns;  // empty: nothing to subtract from
    std::uint64_t user_ns = 0;
    std::uint64_t system_ns = 0;
  };
  Known& known_of(std::uint64_t cgroup_id);
  static void fold(Known& known, std::span<const sluice_psi_cpu> cpus);
  static void restart(Known& known, std::span<const sluice_psi_cpu> cpus);

  std::uint64_t walk_ = 1;
  std::unordered_map<std::uint64_t, Known> known_;
  std::vector<Known*> order_;  // of the last walk: the next one mostly meets the same ones again
  std::size_t at_ = 0;         // in the order
  std::size_t met_ = 0;        // of those known, in this walk
};

// cpu.stat's user_usec and system_usec: the exact runtime, split as the ticks saw it.
struct CpuSplit {
  std::uint64_t user_ns = 0;
  std::uint64_t system_ns = 0;
};
CpuSplit split_runtime(std::uint64_t runtime_ns, CpuSplit ticks, CpuSplit shown);

}  // namespace sluice::bpf
