#include "daemon/sample/file_sampler.hpp"

#include <algorithm>
#include <cerrno>

#include "daemon/sample/read_knob.hpp"

namespace sluice::sample {
namespace {

template <class T>
std::optional<T> value_of(cgroups::Result<T> result) {
  return result ? std::optional<T>(std::move(*result)) : std::nullopt;
}

// What the cgroup may still swap out. Its own limit and the host; an ancestor's limit is not looked at.
std::optional<Bytes> swap_free(const cgroups::Cgroup& cgroup, std::optional<Bytes> host_free) {
  const auto limit = cgroup.read_swap_max();
  if (!limit) {
    // No swap accounting: the host's word is all there is. Any other failure: unknown.
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
  // Every cgroup has cpu.stat, whatever its controllers: without it, there is no cgroup.
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
  }
  sample.cpu_pressure = value_of(cgroup.read_cpu_pressure());
  sample.memory_pressure = value_of(cgroup.read_memory_pressure());
  sample.io_pressure = value_of(cgroup.read_io_pressure());
  sample.memory_current = value_of(cgroup.read_memory_current());
  sample.memory_stat = value_of(cgroup.read_memory_stat());
  sample.memory_events = value_of(cgroup.read_memory_events());
  if (sample.memory_current) sample.swap_free = swap_free(cgroup, host_swap_free);
  read_knob(cgroup.read_cpu_max(), sample.cpu_max, sample.cpu_max_absent);
  read_knob(cgroup.read_memory_high(), sample.memory_high, sample.memory_high_absent);
  sample.memory_max = value_of(cgroup.read_memory_max());
  return sample;
}

}  // namespace sluice::sample
