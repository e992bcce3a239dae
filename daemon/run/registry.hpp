// Which cgroups are governed: the tree as it is, matched against the config, with names that are unique.
// The loop's; one thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cgroups/cgroup.hpp"
#include "cgroups/walk.hpp"
#include "config/config.hpp"
#include "daemon/actuate/lease.hpp"
#include "daemon/tick/tick.hpp"

namespace sluice {

struct Governed {
  TaskFacts facts;
  cgroups::CgroupRef cgroup;
};

class Registry {
 public:
  struct Changes {
    std::vector<CgroupId> added;
    std::vector<Governed>
        removed;  // gone, or no longer matched: the latter still exist and need their baseline
    std::vector<std::string> problems;  // whole sentences; each is told once
  };

  // Walks the tree and matches it. A cgroup that stays keeps its facts but for the config index.
  Changes rescan(const cgroups::Root& root, const config::Config& config);

  // Another hand set a new starting point.
  void set_baseline(CgroupId id, Knob knob, const KnobValue& value);

  const std::map<CgroupId, Governed>& tasks() const { return tasks_; }
  const Governed* find(CgroupId id) const;
  std::vector<actuate::LeaseEntry> lease_entries(const Governed& task) const;

 private:
  std::map<CgroupId, Governed> tasks_;
  std::map<std::string, bool> told_;  // problems already told
};

// The rule that governs a cgroup: the first that matches. Pure.
std::optional<std::size_t> first_match(const config::Config& config, std::string_view path);

// The name of a matched cgroup: the config's, the unit's, or the escaped path. Pure.
std::string task_name(const config::Task& spec, std::string_view path);

}  // namespace sluice
