// Samples from the files of cgroupfs and procfs: the fallback without BPF, and the reference that BPF is
// tested against.
#pragma once

#include <optional>

#include "cgroups/cgroup.hpp"
#include "daemon/sample/snapshot.hpp"

namespace sluice::sample {

// Samples one cgroup. A file that cannot be read or parsed leaves its optional empty. If the cgroup is gone:
// an Error (ENODEV). `host_swap_free` is read once per tick and passed to every call; none: unknown.
cgroups::Result<Sample> sample_files(const cgroups::Cgroup& cgroup, MonotonicTime now,
                                     std::optional<Bytes> host_swap_free = std::nullopt);

}  // namespace sluice::sample
