#include "daemon/run/registry.hpp"

#include <algorithm>
#include <optional>
#include <set>

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

bool matches(const config::Task& spec, std::string_view path) {
  if (spec.match_unit) return cgroups::unit_match(*spec.match_unit, path);
  return spec.match_cgroup && cgroups::glob_match(*spec.match_cgroup, path);
}

// Reads the knobs as they are before Sluice touches them.
cgroups::Result<Governed> adopt(const cgroups::Root& root, const std::string& path, std::size_t index) {
  auto opened = cgroups::Cgroup::open(root, path);
  if (!opened) return tl::unexpected(opened.error());
  Governed g;
  g.cgroup = *opened;
  g.facts.id = g.cgroup->id();
  g.facts.cgroup = path;
  g.facts.config_index = index;
  const auto cpu = g.cgroup->read_cpu_max();
  const auto memory = g.cgroup->read_memory_high();
  g.facts.has_cpu = cpu.has_value();
  g.facts.has_memory = memory.has_value();
  if (cpu) g.facts.cpu_baseline = *cpu;
  if (memory) g.facts.memory_baseline = *memory;
  return g;
}

}  // namespace

std::optional<std::size_t> first_match(const config::Config& config, std::string_view path) {
  for (std::size_t i = 0; i < config.tasks.size(); ++i) {
    if (matches(config.tasks[i], path)) return i;
  }
  return std::nullopt;
}

std::string task_name(const config::Task& spec, std::string_view path) {
  const auto component = cgroups::unescape_unit(cgroups::last_component(path));
  std::string own = cgroups::escape(without_suffix(component));
  if (spec.name.empty()) return own;
  return has_wildcard(spec.match_unit ? *spec.match_unit : spec.match_cgroup.value_or(""))
             ? spec.name + "@" + own
             : spec.name;
}

Registry::Changes Registry::rescan(const cgroups::Root& root, const config::Config& config) {
  Changes changes;
  auto tell = [&](std::string sentence) {
    if (told_.emplace(sentence, true).second) changes.problems.push_back(std::move(sentence));
  };
  const auto walked = cgroups::walk(root);
  if (!walked) {
    tell("The cgroup tree could not be walked: " + describe(walked.error()));
    return changes;
  }
  for (const auto& p : walked->problems) tell("Not everything was walked: " + describe(p));

  std::map<CgroupId, Governed> now;
  std::set<std::string> names;
  for (const auto& found : walked->cgroups) {
    const auto index = first_match(config, found.path);
    if (!index) continue;
    auto known = tasks_.extract(found.id);
    Governed task;
    if (!known.empty()) {
      task = std::move(known.mapped());
      task.facts.config_index = *index;
      // A controller may have been enabled since.
      if (!task.facts.has_cpu || !task.facts.has_memory) {
        const auto again = adopt(root, found.path, *index);
        if (again && again->facts.id == task.facts.id) task = *again;
      }
    } else {
      auto fresh = adopt(root, found.path, *index);
      if (!fresh) {
        if (!cgroups::means_vanished(fresh.error()))
          tell("A matching cgroup cannot be governed: " + describe(fresh.error()));
        continue;
      }
      if (fresh->facts.id != found.id) continue;  // recreated meanwhile: the next walk has it
      task = std::move(*fresh);
      changes.added.push_back(task.facts.id);
    }
    std::string name = task_name(config.tasks[*index], found.path);
    if (!names.insert(name).second) {
      name = cgroups::escape(found.path);
      names.insert(name);
    }
    task.facts.name = std::move(name);
    if (!task.facts.has_cpu && !task.facts.has_memory) {
      tell("Task '" + task.facts.name +
           "' has neither cpu.max nor memory.high: enable the controllers in its parent's "
           "cgroup.subtree_control (for a unit: CPUAccounting=yes, MemoryAccounting=yes)");
    }
    const CgroupId id = task.facts.id;
    now.emplace(id, std::move(task));
  }
  for (auto& [id, gone] : tasks_) changes.removed.push_back(std::move(gone));
  tasks_ = std::move(now);
  return changes;
}

void Registry::set_baseline(CgroupId id, Knob knob, const KnobValue& value) {
  const auto found = tasks_.find(id);
  if (found == tasks_.end()) return;
  if (knob == Knob::cpu_max) {
    found->second.facts.cpu_baseline = std::get<CpuMax>(value);
  } else {
    found->second.facts.memory_baseline = std::get<MemoryLimit>(value);
  }
}

const Governed* Registry::find(CgroupId id) const {
  const auto found = tasks_.find(id);
  return found == tasks_.end() ? nullptr : &found->second;
}

std::vector<actuate::LeaseEntry> Registry::lease_entries(const Governed& task) const {
  std::vector<actuate::LeaseEntry> entries;
  const auto& f = task.facts;
  if (f.has_cpu) entries.push_back({f.id, f.cgroup, Knob::cpu_max, f.cpu_baseline});
  if (f.has_memory) entries.push_back({f.id, f.cgroup, Knob::memory_high, f.memory_baseline});
  return entries;
}

}  // namespace sluice
