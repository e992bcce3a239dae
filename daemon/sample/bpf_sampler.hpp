// Samples from the kernel programs' records; what a record lacks is read from the files.
#pragma once

#include <optional>

#include "bpf/wire/record.h"
#include "cgroups/cgroup.hpp"
#include "daemon/sample/snapshot.hpp"

namespace sluice::sample {

// Pure: only the groups that are marked valid become present.
Sample from_record(const sluice_record& record);

// Knobs whose files were not there a moment ago: a record that lacks them is believed without another look.
struct KnownAbsent {
  bool cpu_max = false, memory_high = false;
};

// The record, completed from the files of the same cgroup.
Sample complete(const sluice_record& record, const cgroups::Cgroup& cgroup,
                std::optional<Bytes> host_swap_free, KnownAbsent known = {});

}  // namespace sluice::sample
