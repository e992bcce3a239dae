// The one error channel of everything that touches cgroupfs: an errno, what it happened to, and what was
// tried.
#pragma once

#include <string>
#include <tl/expected.hpp>

namespace sluice::cgroups {

struct Error {
  int errno_value = 0;  // as the kernel said; EBADMSG when its text could not be understood
  std::string path;     // raw bytes, of the file or directory; empty: none is involved
  std::string what;     // what was tried, or what was found wrong; no trailing period
};

template <class T>
using Result = tl::expected<T, Error>;

// "write cpu.max '/a\x20b': Invalid argument (EINVAL)". Always printable ASCII: paths are escaped.
std::string describe(const Error& error);

// The cgroup is gone, rather than the access refused: a held file answers ENODEV, a lookup ENOENT.
bool means_vanished(const Error& error);

}  // namespace sluice::cgroups
