#include "daemon/sample/bpf_sampler.hpp"

#include <algorithm>

#include "daemon/sample/read_stat.hpp"

namespace sluice::sample {
namespace {

Usec usec(std::uint64_t nsec) {
  return std::chrono::duration_cast<Usec>(Nsec{static_cast<std::int64_t>(nsec)});
}

MemoryLimit limit(std::uint64_t bytes) {
  return bytes == SLUICE_NO_LIMIT ? MemoryLimit{} : MemoryLimit{bytes};
}

PressureTotals pressure(const sluice_pressure& p) {
  return {usec(p.some_ns), usec(p.full_ns)};
}

}  // namespace

Sample from_record(const sluice_record& r) {
  Sample s;
  s.id = CgroupId{r.cgroup_id};
  s.read_at = since_boot_nsec(r.at_ktime_ns);
  s.source = SampleSource::bpf;
  const auto has = [&](sluice_group group) { return (r.valid & group) != 0; };
  if (has(SLUICE_HAS_USAGE)) s.cpu = CpuUsage{usec(r.usage_ns), usec(r.user_ns), usec(r.system_ns)};
  if (has(SLUICE_HAS_BANDWIDTH))
    s.bandwidth = CpuBandwidth{r.nr_periods, r.nr_throttled, usec(r.throttled_ns)};
  if (has(SLUICE_HAS_CPU_MAX)) {
    s.cpu_max = CpuMax{std::nullopt, Usec{static_cast<std::int64_t>(r.cfs_period_us)}};
    if (r.cfs_quota_us != SLUICE_NO_LIMIT) s.cpu_max->quota = Usec{static_cast<std::int64_t>(r.cfs_quota_us)};
    if (has(SLUICE_HAS_CPU_BURST)) s.cpu_max->burst = Usec{static_cast<std::int64_t>(r.cfs_burst_us)};
  }
  if (has(SLUICE_HAS_CPU_PRESSURE)) s.cpu_pressure = pressure(r.pressure[SLUICE_CPU]);
  if (has(SLUICE_HAS_MEMORY_PRESSURE)) s.memory_pressure = pressure(r.pressure[SLUICE_MEMORY]);
  if (has(SLUICE_HAS_MEMORY)) {
    s.memory_current = r.memory_current_bytes;
    s.memory_high = limit(r.memory_high_bytes);
    s.memory_max = limit(r.memory_max_bytes);
  }
  if (has(SLUICE_HAS_MEMORY_EVENTS)) {
    const auto& e = r.memory_events;
    s.memory_events = MemoryEvents{e.low, e.high, e.max, e.oom, e.oom_kill};
  }
  if (has(SLUICE_HAS_MEMORY_STAT)) {
    const auto& m = r.memory_stat;
    const Bytes kernel =
        m.kernel_bytes > m.slab_reclaimable_bytes ? m.kernel_bytes - m.slab_reclaimable_bytes : 0;
    s.memory_stat = MemoryStat{.anon = m.anon_bytes,
                               .file = m.file_bytes,
                               .unreclaimable = kernel + m.sock_bytes + m.unevictable_bytes,
                               .workingset_refault_anon = m.workingset_refault_anon,
                               .workingset_refault_file = m.workingset_refault_file,
                               .pgscan = m.pgscan,
                               .pgsteal = m.pgsteal,
                               .shmem = m.shmem_bytes};
  }
  if (has(SLUICE_HAS_IO_PRESSURE)) s.io_pressure = pressure(r.pressure[SLUICE_IO]);
  if (has(SLUICE_HAS_RUNNABLE)) s.runnable_threads = static_cast<std::uint32_t>(r.runnable_threads);
  return s;
}

Sample complete(const sluice_record& record, const cgroups::Cgroup& cgroup,
                std::optional<Bytes> host_swap_free, KnownAbsent known) {
  Sample s = from_record(record);
  if (!s.cpu) {
    const auto usage = cgroup.read_cpu_stat().map([](const cgroups::CpuStat& stat) { return stat.usage; });
    take(usage, StatFile::cpu_stat, s.cpu, s);
  }
  if (!s.memory_stat && s.memory_current)
    take(cgroup.read_memory_stat(), StatFile::memory_stat, s.memory_stat, s);
  // The programs skip a controller that is off. If they cannot read a knob at all, its file is read.
  s.cpu_max_absent = !s.cpu_max && known.cpu_max;
  if (!s.cpu_max_absent && (!s.cpu_max || !s.cpu_max->burst))
    read_knob(cgroup.read_cpu_max(), s.cpu_max, s.cpu_max_absent);
  s.memory_high_absent = !s.memory_high && known.memory_high;
  if (!s.memory_high_absent && !s.memory_high)
    read_knob(cgroup.read_memory_high(), s.memory_high, s.memory_high_absent);
  if (!s.cpu_pressure) take(cgroup.read_cpu_pressure(), StatFile::cpu_pressure, s.cpu_pressure, s);
  if (!s.memory_pressure)
    take(cgroup.read_memory_pressure(), StatFile::memory_pressure, s.memory_pressure, s);
  if (!s.io_pressure) take(cgroup.read_io_pressure(), StatFile::io_pressure, s.io_pressure, s);
  if (host_swap_free && (record.valid & SLUICE_HAS_SWAP) != 0) {
    const Bytes room = record.swap_max_bytes > record.swap_current_bytes
                           ? record.swap_max_bytes - record.swap_current_bytes
                           : 0;
    s.swap_free = std::min(*host_swap_free, room);
  }
  return s;
}

}  // namespace sluice::sample
