// One governor per host: a lock that ends with its holder.
#pragma once

#include <string>

#include "cgroups/error.hpp"
#include "cgroups/fd.hpp"

namespace sluice::actuate {

class SingleInstance {
 public:
  // Takes <runtime_dir>/lock; creates the directory (0755) if it is missing. EWOULDBLOCK: another process
  // holds it; `what` contains its pid.
  static cgroups::Result<SingleInstance> acquire(const std::string& runtime_dir);

 private:
  explicit SingleInstance(cgroups::Fd lock) : lock_(std::move(lock)) {}
  cgroups::Fd lock_;
};

}  // namespace sluice::actuate
