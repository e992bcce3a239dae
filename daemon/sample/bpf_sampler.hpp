// Samples from the records of the kernel programs. What a record lacks is read from the files.
#pragma once

#include <optional>

#include "bpf/wire/record.h"
#include "cgroups/cgroup.hpp"
#include "daemon/sample/snapshot.hpp"

namespace sluice::sample {

// Pure: only groups marked valid become present.
Sample from_record(const sluice_record& record);

// Knobs whose files did not exist recently. If a record lacks them too, the files are not tried again.
struct KnownAbsent {
  bool cpu_max = false, memory_high = false;
};

// The sample of the record, completed from the files of the same cgroup.
Sample complete(const sluice_record& record, const cgroups::Cgroup& cgroup,
                std::optional<Bytes> host_swap_free, KnownAbsent known = {});

}  // namespace sluice::sample
