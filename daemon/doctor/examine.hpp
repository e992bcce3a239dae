// Looks at this host, and leaves it as it was: nothing is made, written, locked or pinned.
#pragma once

#include <string>
#include <vector>

#include "daemon/doctor/facts.hpp"

namespace sluice::doctor {

// The daemon's options of these names, which know the defaults.
struct Places {
  std::string cgroup_root;
  bool any_filesystem = false;
  std::string proc_root;
  std::string runtime_dir;
  std::string bus;
  std::string bus_name;  // that the daemon owns
};

HostFacts examine(const Places& places);

// Its parts.
CgroupFacts examine_cgroups(const Places& places);
void examine_bus(const Places& places, HostFacts& facts);
// `boot_id` may be empty: then no line of a lease can be of this boot.
StateFacts examine_state(const std::string& runtime_dir, const std::string& boot_id);
// Loads every program for a moment, if `load` and this kernel and user allow it.
void examine_programs(bool load, HostFacts& facts);

// "OPERATION 'PATH': Permission denied (EACCES)", as a look: EACCES and EPERM bar a stranger.
Look failed_look(int error, const std::string& what, const std::string& path);

}  // namespace sluice::doctor
