// The error of every access to cgroupfs: an errno, the path, and what was tried.
#pragma once

#include <string>
#include <tl/expected.hpp>

namespace sluice::cgroups {

struct Error {
  int errno_value = 0;  // from the kernel; EBADMSG if its text could not be parsed
  std::string path;     // raw bytes, of the file or directory; empty: no path is involved
  std::string what;     // what was tried, or what is wrong; no trailing period
};

template <class T>
using Result = tl::expected<T, Error>;

// "write cpu.max '/a\x20b': Invalid argument (EINVAL)". Always printable ASCII: paths are escaped.
std::string describe(const Error& error);

// True if the cgroup is gone, false if the access was refused: an open file returns ENODEV, a lookup ENOENT.
bool means_vanished(const Error& error);

}  // namespace sluice::cgroups
