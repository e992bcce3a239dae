// Lists all cgroups below a root while others appear and vanish.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "cgroups/error.hpp"
#include "cgroups/root.hpp"
#include "cgroups/types.hpp"

namespace sluice::cgroups {

struct Found {
  std::string path;  // below the root, begins with '/', raw bytes
  CgroupId id;
  bool operator==(const Found&) const = default;
};

struct Walk {
  std::vector<Found> cgroups;  // parents before children, siblings by name; without the root
  // What could not be entered or exceeded a limit. A cgroup that vanished meanwhile is no problem.
  std::vector<Error> problems;
};

struct WalkLimits {
  std::size_t depth = 128;
  std::size_t cgroups = 100'000;
};

// Fails only if the root cannot be read.
Result<Walk> walk(const Root& root, const WalkLimits& limits = {});

}  // namespace sluice::cgroups
