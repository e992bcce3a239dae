#include "daemon/sample/file_sampler.hpp"

#include <algorithm>
#include <cerrno>

#include "daemon/sample/read_stat.hpp"

namespace sluice::sample {
namespace {

// The swap that the cgroup may still use, by its own limit and the host's. ancestors.hpp adds the ancestors'
// limits.
std::optional<Bytes> swap_free(const cgroups::Cgroup& cgroup, std::optional<Bytes> host_free) {
  const auto limit = cgroup.read_swap_max();
  if (!limit) {
    // No swap accounting: only the host's value counts. Any other failure: unknown.
    return cgroups::means_vanished(limit.error()) ? host_free : std::nullopt;
  }
  if (!limit->bytes) return host_free;
  if (*limit->bytes == 0 || host_free == Bytes{0}) return 0;
  const auto used = cgroup.read_swap_current();
  if (!used) return std::nullopt;
  const Bytes own_free = *limit->bytes > *used ? *limit->bytes - *used : 0;
  if (own_free == 0) return 0;
  return host_free ? std::optional(std::min(own_free, *host_free)) : std::nullopt;
}

}  // namespace

cgroups::Result<Sample> sample_files(const cgroups::Cgroup& cgroup, MonotonicTime now,
                                     std::optional<Bytes> host_swap_free) {
  // Every cgroup has cpu.stat, whatever its controllers. If it is missing, the cgroup is gone.
  auto cpu = cgroup.read_cpu_stat();
  if (!cpu && cgroups::means_vanished(cpu.error())) {
    cpu.error().errno_value = ENODEV;
    return tl::unexpected(std::move(cpu.error()));
  }
  Sample sample;
  sample.id = cgroup.id();
  sample.read_at = now;
  sample.source = SampleSource::files;
  if (cpu) {
    sample.cpu = cpu->usage;
    sample.bandwidth = cpu->bandwidth;
  } else {
    sample.unreadable |= bit(StatFile::cpu_stat);
  }
  take(cgroup.read_cpu_pressure(), StatFile::cpu_pressure, sample.cpu_pressure, sample);
  take(cgroup.read_memory_pressure(), StatFile::memory_pressure, sample.memory_pressure, sample);
  take(cgroup.read_io_pressure(), StatFile::io_pressure, sample.io_pressure, sample);
  take(cgroup.read_memory_current(), StatFile::memory_current, sample.memory_current, sample);
  take(cgroup.read_memory_stat(), StatFile::memory_stat, sample.memory_stat, sample);
  take(cgroup.read_memory_events(), StatFile::memory_events, sample.memory_events, sample);
  if (sample.memory_current) sample.swap_free = swap_free(cgroup, host_swap_free);
  read_knob(cgroup.read_cpu_max(), sample.cpu_max, sample.cpu_max_absent);
  read_knob(cgroup.read_memory_high(), sample.memory_high, sample.memory_high_absent);
  if (const auto max = cgroup.read_memory_max()) sample.memory_max = *max;
  return sample;
}

}  // namespace sluice::sample
