// Which cgroups exist and which rule of the configuration matches each: the tree as it is, with names that
// are unique and stay. It reads no limit. A cgroup leaves only when the kernel says that it is gone, or when
// the tick has let it go: a part of the tree that cannot be seen for a moment is not gone. The engine's; one
// thread.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "daemon/run/host.hpp"
#include "daemon/tick/tick.hpp"

namespace sluice {

// Where a name belongs that an administrator has used: the path of the cgroup that had it.
using NameOwners = std::map<std::string, std::string, std::less<>>;

class Registry {
 public:
  struct Changes {
    bool set_changed = false;           // cgroups came or went
    std::vector<std::string> problems;  // whole sentences; each is reported once while it lasts
  };

  // Before the first rescan: a limit that an earlier process left there. It is listed until the tick lets it
  // go.
  void inherit(CgroupId id, const std::string& path);
  Changes rescan(Host& host, const config::Config& config, const NameOwners& owners);
  // The tick has let go of one that no rule matches.
  void forget(Host& host, CgroupId id);

  [[nodiscard]] const std::map<CgroupId, TaskFacts>& tasks() const { return tasks_; }
  [[nodiscard]] const TaskFacts* find(CgroupId id) const;

 private:
  struct Naming {
    std::string base;  // what it would be called alone
    bool opened = false;
  };
  void see(Host& host, const cgroups::Found& found, const config::Config& config);
  void drop_gone(Host& host, const std::set<CgroupId>& seen);
  void name_tasks(const config::Config& config, const NameOwners& owners);
  void report(std::string sentence);

  std::map<CgroupId, TaskFacts> tasks_;
  std::map<CgroupId, Naming> naming_;
  std::map<std::string, CgroupId, std::less<>> names_;
  std::set<std::string> problems_, reported_;  // of this rescan, and of the last one
  std::vector<std::string> new_problems_;
  bool set_changed_ = false;
};

// The rule that governs a cgroup: the first that matches. Pure.
std::optional<std::size_t> first_match(const config::Config& config, std::string_view path);

// The name of a matched cgroup: the config's, the unit's, or the escaped path. Pure.
std::string task_name(const config::Task& rule, std::string_view path);

}  // namespace sluice
