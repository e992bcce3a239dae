#include "daemon/run/registry.hpp"

#include <algorithm>
#include <utility>

#include "cgroups/escape.hpp"
#include "cgroups/glob.hpp"

namespace sluice {
namespace {

bool has_wildcard(std::string_view pattern) {
  return pattern.find_first_of("*?[") != std::string_view::npos;
}

std::string_view without_suffix(std::string_view unit) {
  for (const std::string_view suffix : {".service", ".scope", ".slice"}) {
    if (unit.ends_with(suffix)) return unit.substr(0, unit.size() - suffix.size());
  }
  return unit;
}

bool matches(const config::Task& rule, std::string_view path) {
  if (rule.match_unit) return cgroups::unit_match(*rule.match_unit, path);
  return rule.match_cgroup && cgroups::glob_match(*rule.match_cgroup, path);
}

std::string own_name(std::string_view path) {
  const auto component = cgroups::unescape_unit(cgroups::last_component(path));
  return cgroups::escape(without_suffix(component));
}

}  // namespace

std::optional<std::size_t> first_match(const config::Config& config, std::string_view path) {
  for (std::size_t i = 0; i < config.tasks.size(); ++i) {
    if (matches(config.tasks[i], path)) return i;
  }
  return std::nullopt;
}

std::string task_name(const config::Task& rule, std::string_view path) {
  auto own = own_name(path);
  if (rule.name.empty()) return own;
  return has_wildcard(rule.match_unit ? *rule.match_unit : rule.match_cgroup.value_or(""))
             ? rule.name + "@" + own
             : rule.name;
}

const TaskFacts* Registry::find(CgroupId id) const {
  const auto found = tasks_.find(id);
  return found == tasks_.end() ? nullptr : &found->second;
}

void Registry::inherit(CgroupId id, const std::string& path) {
  auto& facts = tasks_[id];
  facts.id = id;
  facts.cgroup = path;
  naming_[id].base = own_name(path);
  set_changed_ = true;
}

void Registry::forget(Host& host, CgroupId id) {
  const auto found = tasks_.find(id);
  if (found == tasks_.end()) return;
  if (const auto name = names_.find(found->second.name); name != names_.end() && name->second == id)
    names_.erase(name);
  tasks_.erase(found);
  naming_.erase(id);
  host.close(id);
  set_changed_ = true;
}

void Registry::report(std::string sentence) {
  if (problems_.insert(sentence).second && !reported_.contains(sentence))
    new_problems_.push_back(std::move(sentence));
}

Registry::Changes Registry::rescan(Host& host, const config::Config& config, const NameOwners& owners) {
  problems_.clear();
  // Of those too that cannot be seen this time: the rules may be new.
  for (auto& [id, facts] : tasks_) facts.config_index = first_match(config, facts.cgroup);
  const auto walked = host.walk();
  std::set<CgroupId> seen;
  if (walked) {
    for (const auto& p : walked->problems) report("Not everything was walked: " + describe(p));
    for (const auto& found : walked->cgroups) {
      seen.insert(found.id);
      see(host, found, config);
    }
    drop_gone(host, seen);
  } else {
    report("The cgroup tree could not be walked: " + describe(walked.error()));
  }
  name_tasks(config, owners);
  reported_ = problems_;
  return {std::exchange(set_changed_, false), std::exchange(new_problems_, {})};
}

void Registry::see(Host& host, const cgroups::Found& found, const config::Config& config) {
  auto known = tasks_.find(found.id);
  const auto rule = known == tasks_.end() ? first_match(config, found.path) : known->second.config_index;
  if (known == tasks_.end() && !rule) return;
  const bool opened = known != tasks_.end() && naming_[found.id].opened;
  if (!opened) {
    const auto now = host.open(found.id, found.path);
    if (!now && cgroups::means_vanished(now.error())) return;  // recreated meanwhile: the next walk has it
    if (!now) report("A matching cgroup cannot be governed: " + describe(now.error()));
    if (!now && known == tasks_.end()) return;
    naming_[found.id].opened = now.has_value();
    if (known == tasks_.end()) {
      known = tasks_.emplace(found.id, TaskFacts{}).first;
      known->second.id = found.id;
      known->second.cgroup = found.path;
    }
    set_changed_ = true;
  }
  known->second.config_index = rule;
}

void Registry::drop_gone(Host& host, const std::set<CgroupId>& seen) {
  std::vector<CgroupId> gone;
  for (const auto& [id, facts] : tasks_) {
    if (seen.contains(id)) continue;
    if (naming_[id].opened) {
      if (!host.alive(id)) gone.push_back(id);
      continue;
    }
    const auto opened = host.open(id, facts.cgroup);  // inherited, and not at hand yet
    if (opened) {
      naming_[id].opened = true;
    } else if (cgroups::means_vanished(opened.error())) {
      gone.push_back(id);
    } else {
      report("A cgroup whose limits have to be given back cannot be opened: " + describe(opened.error()));
    }
  }
  for (const auto id : gone) forget(host, id);
}

// A name once given stays with its cgroup. Newcomers take what is free; one that had the name before, when an
// administrator used it, is served first.
void Registry::name_tasks(const config::Config& config, const NameOwners& owners) {
  std::vector<CgroupId> nameless;
  for (auto& [id, facts] : tasks_) {
    auto& base = naming_[id].base;
    const auto wanted =
        facts.config_index ? task_name(config.tasks[*facts.config_index], facts.cgroup) : base;
    if (!facts.name.empty() && wanted == base) continue;
    if (!facts.name.empty()) names_.erase(facts.name);
    facts.name.clear();
    base = wanted;
    nameless.push_back(id);
  }
  const auto owns = [&](CgroupId id) {
    const auto owner = owners.find(naming_.at(id).base);
    return owner != owners.end() && owner->second == tasks_.at(id).cgroup;
  };
  std::stable_partition(nameless.begin(), nameless.end(), owns);
  for (const auto id : nameless) {
    auto& facts = tasks_.at(id);
    auto name = naming_.at(id).base;
    if (names_.contains(name)) name = cgroups::escape(facts.cgroup);
    for (std::size_t n = 2; names_.contains(name); ++n)
      name = cgroups::escape(facts.cgroup) + "#" + std::to_string(n);
    names_.emplace(name, id);
    facts.name = std::move(name);
  }
}

}  // namespace sluice
