// What a later process must know of a limit: the projection of a ManagedLimit. Values only.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cgroups/types.hpp"

namespace sluice {

struct LeaseKey {
  CgroupId id;
  Knob knob = Knob::cpu_max;
  auto operator<=>(const LeaseKey&) const = default;
};

struct LeaseEntry {
  CgroupId id;
  std::string path;  // below the cgroup root, raw bytes
  Knob knob = Knob::cpu_max;
  KnobValue baseline;
  std::vector<KnobValue> ours;  // values of ours that may be in force; never empty
  bool operator==(const LeaseEntry&) const = default;
};

// One change of the lease. No entry: there is nothing to restore any more.
struct LeaseChange {
  LeaseKey key;
  std::optional<LeaseEntry> entry;
};

}  // namespace sluice
