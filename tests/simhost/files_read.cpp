#include <algorithm>
#include <cerrno>
#include <cmath>

#include "tests/simhost/files.hpp"

namespace sluice::simhost {
namespace {

constexpr FileInfo kFiles[] = {
    {File::cgroup_controllers, "cgroup.controllers", 0444, kCore, true},
    {File::cgroup_events, "cgroup.events", 0444, kCore, false},
    {File::cgroup_freeze, "cgroup.freeze", 0644, kCore, false},
    {File::cgroup_kill, "cgroup.kill", 0200, kCore, false},
    {File::cgroup_max_depth, "cgroup.max.depth", 0644, kCore, true},
    {File::cgroup_max_descendants, "cgroup.max.descendants", 0644, kCore, true},
    {File::cgroup_procs, "cgroup.procs", 0644, kCore, true},
    {File::cgroup_stat, "cgroup.stat", 0444, kCore, true},
    {File::cgroup_subtree_control, "cgroup.subtree_control", 0644, kCore, true},
    {File::cgroup_threads, "cgroup.threads", 0644, kCore, true},
    {File::cgroup_type, "cgroup.type", 0644, kCore, false},
    {File::cpu_stat, "cpu.stat", 0444, kCore, true},
    {File::cpu_pressure, "cpu.pressure", 0644, kCore, true},
    {File::io_pressure, "io.pressure", 0644, kCore, true},
    {File::memory_pressure, "memory.pressure", 0644, kCore, true},
    {File::cpu_max, "cpu.max", 0644, kCpu, false},
    {File::cpu_max_burst, "cpu.max.burst", 0644, kCpu, false},
    {File::cpu_weight, "cpu.weight", 0644, kCpu, false},
    {File::cpu_weight_nice, "cpu.weight.nice", 0644, kCpu, false},
    {File::cpu_idle, "cpu.idle", 0644, kCpu, false},
    {File::memory_current, "memory.current", 0444, kMemory, false},
    {File::memory_events, "memory.events", 0444, kMemory, false},
    {File::memory_events_local, "memory.events.local", 0444, kMemory, false},
    {File::memory_high, "memory.high", 0644, kMemory, false},
    {File::memory_low, "memory.low", 0644, kMemory, false},
    {File::memory_max, "memory.max", 0644, kMemory, false},
    {File::memory_min, "memory.min", 0644, kMemory, false},
    {File::memory_oom_group, "memory.oom.group", 0644, kMemory, false},
    {File::memory_peak, "memory.peak", 0444, kMemory, false},
    {File::memory_reclaim, "memory.reclaim", 0200, kMemory, true},
    {File::memory_stat, "memory.stat", 0444, kMemory, true},
    {File::memory_swap_current, "memory.swap.current", 0444, kMemory, false},
    {File::memory_swap_events, "memory.swap.events", 0444, kMemory, false},
    {File::memory_swap_high, "memory.swap.high", 0644, kMemory, false},
    {File::memory_swap_max, "memory.swap.max", 0644, kMemory, false},
};

std::string number(double value) {
  return std::to_string(static_cast<std::uint64_t>(std::llround(std::max(0.0, value))));
}
std::string pages(double bytes) {
  return std::to_string(static_cast<std::uint64_t>(std::max(0.0, bytes) / kPage) *
                        static_cast<std::uint64_t>(kPage));
}
std::string limit_text(const MemoryLimit& limit) {
  // Values from PAGE_COUNTER_MAX on are shown as "max".
  constexpr Bytes kMax = static_cast<Bytes>(INT64_MAX) / 4096 * 4096;
  return (!limit.bytes || *limit.bytes >= kMax ? "max" : std::to_string(*limit.bytes)) + "\n";
}
std::string controllers_text(unsigned set) {
  std::string out;
  if (set & kCpu) out += "cpu";
  if (set & kMemory) out += out.empty() ? "memory" : " memory";
  return out.empty() ? out : out + "\n";
}

std::string cpu_stat(Cgroup& cgroup, double now) {
  const auto usage = std::llround(cgroup.cpu_usage);
  const auto system = std::min(usage, std::llround(cgroup.cpu_system));
  std::string out = "usage_usec " + std::to_string(usage) + "\nuser_usec " + std::to_string(usage - system) +
                    "\nsystem_usec " + std::to_string(system) + "\n";
  if (cgroup.parent == nullptr || !cgroup.has(kCpu)) return out;
  cgroup.bandwidth.catch_up(now);
  const CpuBandwidth stat = cgroup.bandwidth.stat();
  return out + "nr_periods " + std::to_string(stat.nr_periods) + "\nnr_throttled " +
         std::to_string(stat.nr_throttled) + "\nthrottled_usec " + std::to_string(stat.throttled.count()) +
         "\nnr_bursts " + std::to_string(cgroup.bandwidth.nr_bursts()) + "\nburst_usec " +
         number(cgroup.bandwidth.burst_time_usec()) + "\n";
}

std::string cpu_max(const Cgroup& cgroup) {
  const CpuMax max = cgroup.bandwidth.cpu_max();
  return (max.quota ? std::to_string(max.quota->count()) : "max") + " " + std::to_string(max.period.count()) +
         "\n";
}

std::string memory_stat(const Cgroup& cgroup) {
  const double file = cgroup.file_hot + cgroup.file_cold;
  const MemoryCounters& m = cgroup.memory;
  const std::pair<const char*, std::string> lines[] = {
      {"anon", pages(cgroup.anon)},
      {"file", pages(file)},
      {"kernel", pages(cgroup.kernel)},
      {"kernel_stack", pages(cgroup.kernel / 8)},
      {"pagetables", pages(cgroup.kernel / 8)},
      {"sec_pagetables", "0"},
      {"percpu", "0"},
      {"sock", "0"},
      {"vmalloc", "0"},
      {"shmem", "0"},
      {"file_mapped", "0"},
      {"file_dirty", "0"},
      {"file_writeback", "0"},
      {"swapcached", "0"},
      {"anon_thp", "0"},
      {"file_thp", "0"},
      {"shmem_thp", "0"},
      {"inactive_anon", "0"},
      {"active_anon", pages(cgroup.anon)},
      {"inactive_file", pages(cgroup.file_cold)},
      {"active_file", pages(cgroup.file_hot)},
      {"unevictable", "0"},
      {"slab_reclaimable", "0"},
      {"slab_unreclaimable", pages(cgroup.kernel / 2)},
      {"slab", pages(cgroup.kernel / 2)},
      {"workingset_refault_anon", number(m.refault_anon)},
      {"workingset_refault_file", number(m.refault_file)},
      {"workingset_activate_anon", "0"},
      {"workingset_activate_file", number(m.refault_file)},
      {"workingset_restore_anon", "0"},
      {"workingset_restore_file", "0"},
      {"workingset_nodereclaim", "0"},
      {"pgscan", number(m.pgscan)},
      {"pgsteal", number(m.pgsteal)},
      {"pgscan_kswapd", "0"},
      {"pgscan_direct", number(m.pgscan)},
      {"pgsteal_kswapd", "0"},
      {"pgsteal_direct", number(m.pgsteal)},
      {"pgfault", number(cgroup.memory_peak / kPage)},
      {"pgmajfault", number(m.refault_file)},
      {"pgrefill", "0"},
      {"pgactivate", "0"},
      {"pgdeactivate", "0"},
      {"pglazyfree", "0"},
      {"pglazyfreed", "0"},
  };
  std::string out;
  for (const auto& [name, value] : lines) out.append(name).append(" ").append(value).append("\n");
  return out;
}

std::string memory_events(const MemoryEvents& e) {
  return "low " + std::to_string(e.low) + "\nhigh " + std::to_string(e.high) + "\nmax " +
         std::to_string(e.max) + "\noom " + std::to_string(e.oom) + "\noom_kill " +
         std::to_string(e.oom_kill) + "\noom_group_kill 0\n";
}

std::string procs(const Cgroup& cgroup) {
  return cgroup.task != nullptr && cgroup.task->dead_since < 0 ? std::to_string(cgroup.task->pid) + "\n" : "";
}

std::string cgroup_stat(Cgroup& cgroup) {
  std::size_t descendants = 0;
  each(cgroup, [&](Cgroup&) { ++descendants; });
  return "nr_descendants " + std::to_string(descendants - 1) + "\nnr_dying_descendants 0\n";
}

}  // namespace

std::span<const FileInfo> all_files() {
  return kFiles;
}

const FileInfo& info(File file) {
  return kFiles[static_cast<std::size_t>(file)];
}

bool exists(const Cgroup& cgroup, const FileInfo& file) {
  return (cgroup.parent == nullptr ? file.on_root : true) && (file.needs == kCore || cgroup.has(file.needs));
}

std::optional<File> find_file(const Cgroup& cgroup, std::string_view name) {
  const auto* found =
      std::find_if(std::begin(kFiles), std::end(kFiles), [&](const auto& f) { return f.name == name; });
  if (found == std::end(kFiles) || !exists(cgroup, *found)) return std::nullopt;
  return found->file;
}

std::optional<Resource> pressure_of(File file) {
  switch (file) {
    case File::cpu_pressure:
      return Resource::cpu;
    case File::memory_pressure:
      return Resource::memory;
    case File::io_pressure:
      return Resource::io;
    default:
      return std::nullopt;
  }
}

tl::expected<std::string, int> read_file(Host& host, Cgroup& cgroup, File file) {
  if (const auto resource = pressure_of(file)) return cgroup.psi(*resource).text(true);
  switch (file) {
    case File::cgroup_controllers:
      return controllers_text(cgroup.controllers());
    case File::cgroup_subtree_control:
      return controllers_text(cgroup.subtree_control);
    case File::cgroup_events:
      return std::string("populated ") + (cgroup.populated() ? "1" : "0") + "\nfrozen " +
             (cgroup.frozen_here_or_above() ? "1" : "0") + "\n";
    case File::cgroup_freeze:
      return std::string(cgroup.frozen ? "1\n" : "0\n");
    case File::cgroup_max_depth:
    case File::cgroup_max_descendants:
      return "max\n";
    case File::cgroup_procs:
    case File::cgroup_threads:
      return procs(cgroup);
    case File::cgroup_stat:
      return cgroup_stat(cgroup);
    case File::cgroup_type:
      return "domain\n";
    case File::cpu_stat:
      return cpu_stat(cgroup, static_cast<double>(host.now().count()));
    case File::cpu_max:
      return cpu_max(cgroup);
    case File::cpu_max_burst:
      return number(cgroup.bandwidth.burst_usec()) + "\n";
    case File::cpu_weight:
      return std::to_string(cgroup.cpu_weight) + "\n";
    case File::cpu_weight_nice:
    case File::cpu_idle:
      return "0\n";
    case File::memory_current:
      return pages(cgroup.memory_current) + "\n";
    case File::memory_peak:
      return pages(cgroup.memory_peak) + "\n";
    case File::memory_events:
      return memory_events(cgroup.memory.events);
    case File::memory_events_local:
      return memory_events(cgroup.children.empty() ? cgroup.memory.events : MemoryEvents{});
    case File::memory_high:
      return limit_text(cgroup.memory_high);
    case File::memory_max:
      return limit_text(cgroup.memory_max);
    case File::memory_low:
      return limit_text({cgroup.memory_low});
    case File::memory_min:
      return limit_text({cgroup.memory_min});
    case File::memory_oom_group:
      return std::string(cgroup.memory_oom_group ? "1\n" : "0\n");
    case File::memory_stat:
      return memory_stat(cgroup);
    case File::memory_swap_current:
      return pages(cgroup.swapped) + "\n";
    case File::memory_swap_events:
      return "high 0\nmax 0\nfail 0\n";
    case File::memory_swap_high:
      return limit_text(cgroup.memory_swap_high);
    case File::memory_swap_max:
      return limit_text(cgroup.memory_swap_max);
    default:
      return tl::unexpected(EINVAL);  // cgroup.kill, memory.reclaim: write-only
  }
}

}  // namespace sluice::simhost
