// Raw -> Config: merges classes and defaults into tasks, and checks relations across keys. An error in a
// class is reported once, at the class; a task is reported only for its own keys.

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "config/raw.hpp"
#include "config/text.hpp"
#include "config/units.hpp"

namespace sluice::config {
namespace {

// The value in force for one key, and its origin (given is null: built in).
template <class T>
struct Held {
  std::optional<T> value;
  const Slot<T>* given = nullptr;
  bool own = false;  // set by the table being checked, not inherited
};

// The keys of one table, and below them those of its class, if it has one.
template <class Raw>
struct Layers {
  const Raw& own;
  const Raw* inherited;

  // Stores the value in force in `out`, which holds the default.
  template <class Out, class T>
  Held<T> take(Out& out, Slot<T> Raw::*key) const {
    auto held = find(key);
    if (held.given == nullptr) held.value = static_cast<T>(out);
    if (held.value) out = static_cast<Out>(*held.value);
    return held;
  }
  template <class Out, class T>
  Held<T> take(std::optional<Out>& out, Slot<T> Raw::*key) const {
    const auto held = find(key);
    if (held.value) out = static_cast<Out>(*held.value);
    return held;
  }

  template <class Part>
  [[nodiscard]] Layers<Part> part(Part Raw::*member) const {
    return {own.*member, inherited != nullptr ? &(inherited->*member) : nullptr};
  }

 private:
  template <class T>
  [[nodiscard]] Held<T> find(Slot<T> Raw::*key) const {
    if ((own.*key).given) return {(own.*key).value, &(own.*key), true};
    if (inherited != nullptr && (inherited->*key).given)
      return {(inherited->*key).value, &(inherited->*key), false};
    return {};
  }
};

template <class T>
void must_not_exceed(const Held<T>& low, std::string_view low_name, const Held<T>& high,
                     std::string_view high_name, std::string (*show)(T), Report& report) {
  if (!low.value || !high.value || *low.value <= *high.value) return;
  if (!low.own && !high.own) return;
  // If two keys conflict, the later one is reported: it broke a valid file.
  const bool blame_low = low.own && (!high.own || high.given->where < low.given->where);
  const auto& culprit = blame_low ? low : high;
  const auto& other = blame_low ? high : low;
  report.add(culprit.given->where, culprit.given->key,
             fmt::format("found {}, must be at {} {}, which is {} ({})", show(*culprit.value),
                         blame_low ? "most" : "least", blame_low ? high_name : low_name, show(*other.value),
                         other.given != nullptr ? report.place(other.given->where) : "the default"));
}

ScalingRules resolve_rules(const Layers<RawScalingRules>& in) {
  ScalingRules out;
  in.take(out.stabilization, &RawScalingRules::stabilization);
  in.take(out.policies, &RawScalingRules::policies);
  in.take(out.select_policy, &RawScalingRules::select_policy);
  return out;
}

Scaling resolve_scaling(const Layers<RawScaling>& in) {
  return {resolve_rules(in.part(&RawScaling::up)), resolve_rules(in.part(&RawScaling::down))};
}

Cpu resolve_cpu(const Layers<RawCpu>& in, Report& report) {
  Cpu out;
  in.take(out.enabled, &RawCpu::enabled);
  const auto min = in.take(out.min_cores, &RawCpu::min);
  const auto max = in.take(out.max_cores, &RawCpu::max);
  const auto initial = in.take(out.initial_cores, &RawCpu::initial);
  const auto step = in.take(out.step_cores, &RawCpu::step);
  in.take(out.burst_ratio, &RawCpu::burst);
  in.take(out.tolerance, &RawCpu::tolerance);
  in.take(out.writes_per_minute, &RawCpu::writes_per_minute);
  out.scaling = resolve_scaling(in.part(&RawCpu::scaling));
  must_not_exceed(min, "cpu.min", max, "cpu.max", show_cores, report);
  must_not_exceed(min, "cpu.min", initial, "cpu.initial", show_cores, report);
  must_not_exceed(initial, "cpu.initial", max, "cpu.max", show_cores, report);
  must_not_exceed(step, "cpu.step", max, "cpu.max", show_cores, report);
  return out;
}

Memory resolve_memory(const Layers<RawMemory>& in, Report& report) {
  Memory out;
  in.take(out.enabled, &RawMemory::enabled);
  const auto min = in.take(out.min_bytes, &RawMemory::min);
  const auto max = in.take(out.max_bytes, &RawMemory::max);
  in.take(out.pressure_target, &RawMemory::pressure_target);
  in.take(out.interval, &RawMemory::interval);
  in.take(out.tolerance, &RawMemory::tolerance);
  in.take(out.writes_per_minute, &RawMemory::writes_per_minute);
  out.scaling = resolve_scaling(in.part(&RawMemory::scaling));
  must_not_exceed(min, "memory.min", max, "memory.max", show_bytes, report);
  return out;
}

// The list is one key: a task's own list replaces its class's.
std::vector<ScheduleEntry> resolve_schedule(const Layers<RawPolicy>& in, Report& report) {
  const bool own = in.own.schedule.given;
  const auto* slot = own ? &in.own.schedule : in.inherited != nullptr ? &in.inherited->schedule : nullptr;
  std::vector<ScheduleEntry> out;
  if (slot == nullptr || !slot->value) return out;
  Cpu bounds;
  const auto min = in.part(&RawPolicy::cpu).take(bounds.min_cores, &RawCpu::min);
  const auto max = in.part(&RawPolicy::cpu).take(bounds.max_cores, &RawCpu::max);
  for (const auto& entry : *slot->value) {
    out.push_back({entry.calendar.value.value_or(Calendar{}),
                   std::chrono::duration_cast<std::chrono::seconds>(entry.length.value.value_or(Duration{})),
                   entry.min.value, entry.max.value});
    const auto held = [&](const Slot<double>& here, const Held<double>& else_) {
      return here.given ? Held<double>{here.value, &here, own} : else_;
    };
    must_not_exceed(held(entry.min, min), entry.min.given ? "its schedule's min" : "cpu.min",
                    held(entry.max, max), entry.max.given ? "its schedule's max" : "cpu.max", show_cores,
                    report);
  }
  return out;
}

TaskPolicy resolve_policy(const Layers<RawPolicy>& in, Report& report) {
  TaskPolicy out;
  in.take(out.weight, &RawPolicy::weight);
  in.take(out.priority, &RawPolicy::priority);
  in.take(out.max_delay, &RawPolicy::max_delay);
  out.cpu = resolve_cpu(in.part(&RawPolicy::cpu), report);
  out.memory = resolve_memory(in.part(&RawPolicy::memory), report);
  out.schedule = resolve_schedule(in, report);
  const auto forecast = in.part(&RawPolicy::forecast);
  forecast.take(out.forecast.mode, &RawForecast::mode);
  forecast.take(out.forecast.season, &RawForecast::season);
  return out;
}

Node resolve_node(const RawNode& raw, Report& report) {
  const Layers<RawNode> in{raw, nullptr};
  Node out;
  in.take(out.mode, &RawNode::mode);
  const auto tick = in.take(out.tick, &RawNode::tick);
  const auto discovery = in.take(out.discovery, &RawNode::discovery);
  in.take(out.sampling, &RawNode::sampling);
  in.take(out.cpu_reserve_cores, &RawNode::cpu_reserve);
  in.take(out.memory_reserve_bytes, &RawNode::memory_reserve);
  in.take(out.on_foreign_write, &RawNode::on_foreign_write);
  in.take(out.share_by, &RawNode::share_by);
  must_not_exceed(tick, "node.tick", discovery, "node.discovery", show_duration, report);
  return out;
}

const RawPolicy* class_of(const RawTask& task, const RawConfig& raw, Report& report) {
  if (!task.class_name.value) return nullptr;
  const auto& name = *task.class_name.value;
  if (const auto it = raw.classes.find(name); it != raw.classes.end()) return &it->second;
  std::vector<std::string_view> known;
  for (const auto& [known_name, policy] : raw.classes) known.push_back(known_name);
  report.add(
      task.class_name.where, task.class_name.key,
      known.empty()
          ? fmt::format("found {}, but no class is defined; add [class.{}]", in_quotes(name), name)
          : fmt::format("found {}, must be {}; or add [class.{}]", in_quotes(name), listed(known), name));
  return nullptr;
}

void check_match(const RawTask& task, std::span<const RawTask> earlier, Report& report) {
  const auto& unit = task.match_unit;
  const auto& cgroup = task.match_cgroup;
  if (unit.given && cgroup.given) {
    report.add(task.where, task.key + ".match",
               "found both match.unit and match.cgroup, must be exactly one");
    return;
  }
  if (!unit.given && !cgroup.given) {
    if (task.match_broken) return;
    report.add(task.where, task.key + ".match",
               R"(missing; add match.unit = "NAME.service" or match.cgroup = "/PATH")");
    return;
  }
  const auto key = unit.given ? &RawTask::match_unit : &RawTask::match_cgroup;
  const auto* mine = &(task.*key);
  if (!mine->value) return;
  const auto same = std::find_if(earlier.begin(), earlier.end(),
                                 [&](const RawTask& t) { return (t.*key).value == mine->value; });
  if (same == earlier.end()) return;
  // A later file may have replaced a task in place; then the task that stands first is the later one.
  const auto* other = &((*same).*key);
  if (mine->where < other->where) std::swap(mine, other);
  report.add(
      mine->where, mine->key,
      fmt::format("found {}, must differ from the match of the task at {}, which would govern them all",
                  in_quotes(*mine->value), report.place(other->where)));
}

// The configured sizes, for the comparison with a node.
struct Sizes {
  const Report& report;
  std::vector<std::pair<Where, Stated>> found{};

  template <class T>
  void add(const Slot<T>& slot, bool reserve = false) {
    if (!slot.given || !slot.value) return;
    Stated s;
    s.file = report.file(slot.where);
    s.key = slot.key;
    s.line = slot.where.line;
    s.column = slot.where.column;
    s.reserve = reserve;
    if constexpr (std::is_same_v<T, double>) {
      s.cores = *slot.value;
    } else {
      s.bytes = static_cast<std::uint64_t>(*slot.value);
    }
    found.emplace_back(slot.where, std::move(s));
  }
  void add(const RawPolicy& policy) {
    for (const auto* slot : {&policy.cpu.min, &policy.cpu.max, &policy.cpu.initial, &policy.cpu.step})
      add(*slot);
    for (const auto* slot : {&policy.memory.min, &policy.memory.max}) add(*slot);
    if (!policy.schedule.value) return;
    for (const auto& entry : *policy.schedule.value) {
      add(entry.min);
      add(entry.max);
    }
  }
  std::vector<Stated> in_order() && {
    std::stable_sort(found.begin(), found.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    std::vector<Stated> out;
    out.reserve(found.size());
    for (auto& [where, stated] : found) out.push_back(std::move(stated));
    return out;
  }
};

std::vector<Stated> stated_sizes(const RawConfig& raw, const Report& report) {
  Sizes sizes{report};
  sizes.add(raw.node.cpu_reserve, true);
  sizes.add(raw.node.memory_reserve, true);
  for (const auto& [name, policy] : raw.classes) sizes.add(policy);
  for (const auto& task : raw.tasks) sizes.add(task.policy);
  return std::move(sizes).in_order();
}

}  // namespace

Config resolve(const RawConfig& raw, Report& report) {
  Config config;
  config.node = resolve_node(raw.node, report);
  for (const auto& [name, policy] : raw.classes) resolve_policy({policy, nullptr}, report);
  for (std::size_t i = 0; i < raw.tasks.size(); ++i) {
    const RawTask& task = raw.tasks[i];
    check_match(task, std::span(raw.tasks).first(i), report);
    const RawPolicy* of_class = class_of(task, raw, report);
    config.tasks.push_back({.match_unit = task.match_unit.value,
                            .match_cgroup = task.match_cgroup.value,
                            .name = task.name.value.value_or(""),
                            .class_name = task.class_name.value.value_or(""),
                            .policy = resolve_policy({task.policy, of_class}, report),
                            .origin = report.place(task.where)});
  }
  config.stated = stated_sizes(raw, report);
  return config;
}

}  // namespace sluice::config
