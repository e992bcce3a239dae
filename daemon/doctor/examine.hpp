// Examines this host without changing it: nothing is created, written, locked or pinned.
#pragma once

#include <string>
#include <vector>

#include "daemon/doctor/facts.hpp"

namespace sluice::doctor {

// Values of the daemon's options of these names; the options define the defaults.
struct Places {
  std::string cgroup_root;
  bool any_filesystem = false;
  std::string proc_root;
  std::string runtime_dir;
  std::string bus;
  std::string bus_name;  // the name that the daemon owns
};

HostFacts examine(const Places& places);

// Parts of examine().
CgroupFacts examine_cgroups(const Places& places);
void examine_bus(const Places& places, HostFacts& facts);
// `boot_id` may be empty: then no line of a lease is of this boot.
StateFacts examine_state(const std::string& runtime_dir, const std::string& boot_id);
// Loads every program for a moment, if `load` is set and kernel and user permit it.
void examine_programs(bool load, HostFacts& facts);

// "OPERATION 'PATH': Permission denied (EACCES)", as a Look. EACCES and EPERM make it barred.
Look failed_look(int error, const std::string& what, const std::string& path);

}  // namespace sluice::doctor
