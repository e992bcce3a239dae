#include "daemon/run/registry.hpp"

#include <algorithm>
#include <utility>

#include "cgroups/escape.hpp"
#include "cgroups/glob.hpp"
#include "config/text.hpp"

namespace sluice {
namespace {

// A service that starts a little later than sluiced is no spelling mistake.
constexpr int kWalksBeforeSilence = 10;

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

namespace {

// Of the rules that `governs` does not have; each path is one that some rule governs.
std::vector<SilentRule> silent_among(const config::Config& config, const std::vector<bool>& governs,
                                     const std::vector<std::pair<std::string_view, std::size_t>>& governed) {
  std::vector<SilentRule> silent;
  for (std::size_t i = 0; i < config.tasks.size(); ++i) {
    if (governs[i]) continue;
    const auto taken = std::find_if(governed.begin(), governed.end(),
                                    [&](const auto& path) { return matches(config.tasks[i], path.first); });
    silent.push_back({i, taken == governed.end() ? std::nullopt : std::optional(taken->second)});
  }
  return silent;
}

// "sluice.toml:7: match.unit = "x.service""
std::string place_of(const config::Task& rule) {
  return rule.origin + ": " +
         (rule.match_unit ? "match.unit = " + config::in_quotes(*rule.match_unit)
                          : "match.cgroup = " + config::in_quotes(rule.match_cgroup.value_or("")));
}

}  // namespace

std::vector<SilentRule> silent_rules(const config::Config& config, const std::vector<std::string>& paths) {
  std::vector<bool> governs(config.tasks.size());
  std::vector<std::pair<std::string_view, std::size_t>> governed;
  for (const auto& path : paths) {
    const auto rule = first_match(config, path);
    if (!rule) continue;
    governs[*rule] = true;
    governed.emplace_back(path, *rule);
  }
  return silent_among(config, governs, governed);
}

std::string describe(const config::Config& config, const SilentRule& silent) {
  const std::string rule = place_of(config.tasks[silent.rule]);
  if (!silent.taken_by) return rule + " matches no cgroup";
  return rule + " governs nothing: the rule at " + config.tasks[*silent.taken_by].origin +
         " comes first and takes what it matches; put that one behind it";
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

void Registry::forget_rules() {
  governs_.clear();
  walks_ = 0;
  silent_.clear();
  silent_rules_.clear();
}

// A rule that never matched is most often a spelling mistake; one that did once is not.
void Registry::note_rules(const config::Config& config, Changes& changes) {
  governs_.resize(config.tasks.size());
  std::vector<std::pair<std::string_view, std::size_t>> governed;
  for (const auto& [id, facts] : tasks_) {
    if (!facts.config_index) continue;
    governs_[*facts.config_index] = true;
    governed.emplace_back(facts.cgroup, *facts.config_index);
  }
  if (walks_ < kWalksBeforeSilence && ++walks_ < kWalksBeforeSilence) return;
  std::vector<std::string> silent;
  std::vector<std::size_t> now_silent;
  for (const auto& rule : silent_among(config, governs_, governed)) {
    silent.push_back(describe(config, rule));
    now_silent.push_back(rule.rule);
    if (std::find(silent_.begin(), silent_.end(), silent.back()) == silent_.end())
      changes.silent.push_back(silent.back());
  }
  silent_ = std::move(silent);
  for (const auto rule : std::exchange(silent_rules_, std::move(now_silent))) {
    if (governs_[rule]) changes.heard.push_back(place_of(config.tasks[rule]) + " has found its first cgroup");
  }
}

Registry::Changes Registry::rescan(Host& host, const config::Config& config, const NameOwners& owners) {
  problems_.clear();
  // Of those too that cannot be seen this time: the rules may be new.
  for (auto& [id, facts] : tasks_) facts.config_index = first_match(config, facts.cgroup);
  const auto walked = host.walk();
  std::set<CgroupId> seen;
  if (walked) {
    for (const auto& p : walked->problems) report("Not everything was walked: " + describe(p));
    const auto rules = rules_of(walked->cgroups, config);
    for (std::size_t i = 0; i < rules.size(); ++i) {
      seen.insert(walked->cgroups[i].id);
      see(host, walked->cgroups[i], rules[i]);
    }
    drop_gone(host, seen);
  } else {
    report("The cgroup tree could not be walked: " + describe(walked.error()));
  }
  name_tasks(config, owners);
  Changes changes;
  if (walked && walked->problems.empty()) note_rules(config, changes);
  reported_ = problems_;
  changes.set_changed = std::exchange(set_changed_, false);
  changes.problems = std::exchange(new_problems_, {});
  return changes;
}

// Which rule governs each. What a cgroup uses is used by all those above it too: were both governed, it would
// count twice. So the inner one is governed, and the outer one is refused.
std::vector<std::optional<std::size_t>> Registry::rules_of(const std::vector<cgroups::Found>& cgroups,
                                                           const config::Config& config) {
  std::vector<std::optional<std::size_t>> rules(cgroups.size());
  std::map<std::string_view, std::size_t> matched;
  for (std::size_t i = 0; i < cgroups.size(); ++i) {
    const auto known = tasks_.find(cgroups[i].id);
    rules[i] = known == tasks_.end() ? first_match(config, cgroups[i].path) : known->second.config_index;
    if (rules[i]) matched.emplace(cgroups[i].path, i);
  }
  for (const auto& [id, facts] : tasks_) {  // and those that cannot be seen this time
    if (facts.config_index) matched.emplace(facts.cgroup, cgroups.size());
  }
  std::vector<std::size_t> outer;
  for (const auto& [path, i] : matched) {
    for (auto end = path.rfind('/'); end != 0 && end != std::string::npos; end = path.rfind('/', end - 1)) {
      const auto above = matched.find(path.substr(0, end));
      if (above != matched.end() && above->second < cgroups.size()) outer.push_back(above->second);
    }
  }
  for (const auto i : outer) {
    if (!std::exchange(rules[i], std::nullopt)) continue;
    report(cgroups::escape(cgroups[i].path) +
           " matches a rule and is not governed: cgroups inside it match too, and are. What they use would "
           "count twice. Match only the one or the others");
  }
  return rules;
}

void Registry::see(Host& host, const cgroups::Found& found, std::optional<std::size_t> rule) {
  auto known = tasks_.find(found.id);
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
