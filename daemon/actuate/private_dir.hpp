// Directories in which the daemon keeps what it will later trust.
#pragma once

#include <sys/types.h>

#include <string>

#include "cgroups/error.hpp"
#include "cgroups/fd.hpp"

namespace sluice::actuate {

// Opens it, making it (with `mode`) when it is missing; its parent must exist. EPERM when another user could
// change what is in it.
cgroups::Result<cgroups::Fd> open_own_directory(const std::string& path, mode_t mode);

}  // namespace sluice::actuate
