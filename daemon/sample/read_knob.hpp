// What a knob's file gave: a value, or the certainty that it is not there, or nothing.
#pragma once

#include <optional>

#include "cgroups/error.hpp"

namespace sluice::sample {

// A file that is not there means that its controller is off; one that could not be read is unknown.
template <class T>
void read_knob(const cgroups::Result<T>& read, std::optional<T>& value, bool& absent) {
  if (read) value = *read;
  absent = !read && cgroups::means_vanished(read.error());
}

}  // namespace sluice::sample
