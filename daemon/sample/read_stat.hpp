// The result of reading a cgroup's file: a value, or known to be absent, or unknown.
#pragma once

#include <cerrno>
#include <optional>

#include "cgroups/error.hpp"
#include "daemon/sample/snapshot.hpp"

namespace sluice::sample {

// A missing file means that its controller is off. A file that could not be read is unknown.
template <class T>
void read_knob(const cgroups::Result<T>& read, std::optional<T>& value, bool& absent) {
  if (read) value = *read;
  absent = !read && cgroups::means_vanished(read.error());
}

// A file that exists but cannot be read or parsed is recorded as unreadable. EOPNOTSUPP is not: a kernel
// without PSI returns it.
template <class T>
void take(const cgroups::Result<T>& read, StatFile file, std::optional<T>& field, Sample& sample) {
  if (read) {
    field = *read;
  } else if (!cgroups::means_vanished(read.error()) && read.error().errno_value != EOPNOTSUPP) {
    sample.unreadable |= bit(file);
  }
}

}  // namespace sluice::sample
