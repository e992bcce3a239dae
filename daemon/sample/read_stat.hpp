// What a file of a cgroup gave: a value, or the certainty that it is not there, or nothing.
#pragma once

#include <cerrno>
#include <optional>

#include "cgroups/error.hpp"
#include "daemon/sample/snapshot.hpp"

namespace sluice::sample {

// A file that is not there means that its controller is off; one that could not be read is unknown.
template <class T>
void read_knob(const cgroups::Result<T>& read, std::optional<T>& value, bool& absent) {
  if (read) value = *read;
  absent = !read && cgroups::means_vanished(read.error());
}

// One that is there and refuses, or cannot be understood, is remarked. A kernel without PSI says so
// (EOPNOTSUPP): that is no fault of this file.
template <class T>
void take(const cgroups::Result<T>& read, StatFile file, std::optional<T>& field, Sample& sample) {
  if (read) {
    field = *read;
  } else if (!cgroups::means_vanished(read.error()) && read.error().errno_value != EOPNOTSUPP) {
    sample.unreadable |= bit(file);
  }
}

}  // namespace sluice::sample
