// Samples from the files of cgroupfs and procfs: the fallback where BPF is missing, and the truth BPF is held
// to.
#pragma once

#include <optional>

#include "cgroups/cgroup.hpp"
#include "daemon/sample/snapshot.hpp"

namespace sluice::sample {

// One cgroup. A file that cannot be read or understood leaves its optional empty; a cgroup that is gone is an
// Error (ENODEV). `host_swap_free` is read once a tick and given to every call; none: unknown.
cgroups::Result<Sample> sample_files(const cgroups::Cgroup& cgroup, MonotonicTime now,
                                     std::optional<Bytes> host_swap_free = std::nullopt);

}  // namespace sluice::sample
