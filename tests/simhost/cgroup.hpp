// One cgroup of the simulated host: its place in the tree, its knobs and counters. Plain state, changed by
// Host.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "cgroups/types.hpp"
#include "tests/simhost/bandwidth.hpp"
#include "tests/simhost/psi.hpp"

namespace sluice::simhost {

struct Task;

enum Controller : unsigned { kCore = 0, kCpu = 1, kMemory = 2 };
enum class Resource : std::uint8_t { cpu, memory, io };

struct MemoryCounters {
  double pgscan = 0;
  double pgsteal = 0;
  double refault_file = 0;
  double refault_anon = 0;
  MemoryEvents events;
};

struct Cgroup {
  CgroupId id;
  std::string name;  // empty: the root
  Cgroup* parent = nullptr;
  std::map<std::string, std::unique_ptr<Cgroup>, std::less<>> children;
  Task* task = nullptr;

  unsigned subtree_control = 0;  // bits of Controller
  unsigned controllers() const { return parent == nullptr ? (kCpu | kMemory) : parent->subtree_control; }
  bool has(Controller controller) const { return (controllers() & controller) == controller; }
  bool populated() const;

  Bandwidth bandwidth;
  std::uint64_t cpu_weight = 100;
  double cpu_usage = 0;  // usec; hierarchical, like all that follows
  double cpu_system = 0;

  MemoryLimit memory_high;
  MemoryLimit memory_max;
  MemoryLimit memory_swap_max;
  MemoryLimit memory_swap_high;
  Bytes memory_low = 0;
  Bytes memory_min = 0;
  bool memory_oom_group = false;
  double memory_current = 0;
  double memory_peak = 0;
  double anon = 0;
  double file_hot = 0;
  double file_cold = 0;
  double kernel = 0;
  double swapped = 0;
  MemoryCounters memory;

  std::array<Psi, 3> pressure;  // by Resource
  Psi& psi(Resource r) { return pressure[static_cast<std::size_t>(r)]; }

  bool frozen = false;
  std::map<std::string, std::string> xattrs;
  // What poll(2) on cgroup.events and memory.events detects.
  std::uint64_t cgroup_events_changes = 0;
  std::uint64_t memory_events_changes = 0;

  // Sums of the current step, turned into pressure at its end.
  struct StepPressure {
    double some = 0;
    double full = 0;
    bool touched = false;
  };
  std::array<StepPressure, 2> step_pressure;  // cpu, memory
  double step_ancestor_demand = 0;

  // The last two readings of cpu.stat by a sampler of tasks below.
  struct Readings {
    double at = -1;
    CpuBandwidth before, last;
  } readings;

  std::string path() const {
    return parent == nullptr ? "/" : (parent->parent ? parent->path() : "") + "/" + name;
  }
  bool frozen_here_or_above() const {
    return frozen || (parent != nullptr && parent->frozen_here_or_above());
  }
};

// Calls visit(cgroup) for the cgroup and all below it, parents first.
template <typename Visit>
void each(Cgroup& cgroup, const Visit& visit) {
  visit(cgroup);
  for (auto& [name, child] : cgroup.children) each(*child, visit);
}

}  // namespace sluice::simhost
