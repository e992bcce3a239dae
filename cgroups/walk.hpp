// Every cgroup below a root, as it is found while others come and go.
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
  std::vector<Found> cgroups;  // a parent before its children, siblings by name; without the root itself
  // What could not be entered, or lay beyond a limit. A cgroup that vanished meanwhile is no problem.
  std::vector<Error> problems;
};

struct WalkLimits {
  std::size_t depth = 128;
  std::size_t cgroups = 100'000;
};

// Fails only when the root itself cannot be read.
Result<Walk> walk(const Root& root, const WalkLimits& limits = {});

}  // namespace sluice::cgroups
