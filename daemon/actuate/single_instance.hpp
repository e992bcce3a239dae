// One governor a host: a lock that dies with its holder.
#pragma once

#include <string>

#include "cgroups/error.hpp"
#include "cgroups/fd.hpp"

namespace sluice::actuate {

class SingleInstance {
 public:
  // Takes <runtime_dir>/lock; makes the directory (0755) when it is missing. EWOULDBLOCK: another process has
  // it, and `what` names its pid.
  static cgroups::Result<SingleInstance> acquire(const std::string& runtime_dir);

 private:
  explicit SingleInstance(cgroups::Fd lock) : lock_(std::move(lock)) {}
  cgroups::Fd lock_;
};

}  // namespace sluice::actuate
