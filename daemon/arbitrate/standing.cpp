#include "daemon/arbitrate/standing.hpp"

#include <algorithm>

#include "daemon/values/knob_value.hpp"

namespace sluice {
namespace {

constexpr double kMemoryRoom = 1.05;

config::Mode mode_of(const PlanContext& c) {
  return c.state->holds.mode.value_or(c.config->node.mode);
}

std::string_view parent_of(std::string_view cgroup) {
  return cgroup.substr(0, cgroup.rfind('/'));
}

// For a governed task its controller knows the head-room that is due, up to the maximum. For any other task
// the head-room is estimated. Without a limit of ours the kernel gives head-room.
std::optional<double> cores_in_use(const TaskState& t, const KnobClaim& claim, const PlanContext& c) {
  if (frozen(t)) return 0;
  if (!claim.governed) return used_cores(t.use, claim.current, c.now, Room::guessed);
  const auto used = used_cores(t.use, claim.current, c.now, Room::none);
  if (!used || !claim.ours) return used;
  return std::min(claim.current, std::max(*used, std::min(t.cpu_need_cores, claim.max)));
}

// Under a limit of ours the page cache counts, because the limit follows the memory in use. Otherwise only
// what reclaim cannot free counts, because page cache fills any node.
std::optional<double> bytes_in_use(const TaskState& t, const KnobClaim& claim) {
  if ((!t.fresh && !frozen(t)) || !t.sample || !t.sample->memory_current) return std::nullopt;
  const auto floor = memory_floor(*t.sample, 0, 0);
  if (!floor) return std::nullopt;
  const double current = kMemoryRoom * static_cast<double>(*t.sample->memory_current);
  return std::min(claim.current, claim.ours ? std::max(*floor, current) : *floor);
}

}  // namespace

double in_force(const KnobState& knob) {
  const double holds = number_of(knob.limit.value());
  if (!knob.limit.in_flight()) return holds;
  const double asked = number_of(knob.limit.order()->value);
  // A release to "max" may be refused. Until it is done the old limit counts.
  if (std::isinf(holds) || std::isinf(asked)) return std::min(holds, asked);
  return std::max(holds, asked);
}

double capacity_of(Knob knob, const PlanContext& c) {
  const auto& node = c.config->node;
  if (knob == Knob::cpu_max) return std::max(0.0, c.node.cpu_capacity_cores - node.cpu_reserve_cores);
  return std::max(
      0.0, static_cast<double>(c.node.memory_capacity) - static_cast<double>(node.memory_reserve_bytes));
}

Bounds bounds_of(const TaskState& t, const PlanContext& c) {
  const auto& policy = rule_of(t.facts, *c.config).policy;
  static const SetBoundsCommand none;
  const auto& ordered = t.hold ? t.hold->bounds : none;
  const double cpu_capacity = std::max(0.01, capacity_of(Knob::cpu_max, c));
  const double memory_capacity = capacity_of(Knob::memory_high, c);
  Bounds b;
  b.cpu_max_is_set = ordered.cpu_max_cores || t.scheduled.max || policy.cpu.max_cores;
  b.cpu_max =
      std::min(ordered.cpu_max_cores.value_or(t.scheduled.max ? t.scheduled.max->cores
                                                              : policy.cpu.max_cores.value_or(cpu_capacity)),
               cpu_capacity);
  // A quota above an ancestor's limit has no effect.
  constexpr double kLeastCores = 0.01;
  if (t.sample && t.sample->ancestor_cpu)
    b.cpu_max = std::min(b.cpu_max, std::max(kLeastCores, t.sample->ancestor_cpu->max_cores));
  b.cpu_min = policy.cpu.least_cores(
      ordered.cpu_min_cores.value_or(t.scheduled.min ? t.scheduled.min->cores : policy.cpu.min_cores),
      b.cpu_max);
  b.memory_max_is_set = ordered.memory_max || policy.memory.max_bytes;
  b.memory_max = memory_capacity;
  if (policy.memory.max_bytes)
    b.memory_max = std::min(b.memory_max, static_cast<double>(*policy.memory.max_bytes));
  if (ordered.memory_max) b.memory_max = std::min(memory_capacity, static_cast<double>(*ordered.memory_max));
  // memory.high has no effect above memory.max or above an ancestor's limit.
  if (t.sample && t.sample->memory_max && t.sample->memory_max->bytes) {
    b.memory_max = std::min(b.memory_max, static_cast<double>(*t.sample->memory_max->bytes));
  }
  if (t.sample && t.sample->ancestor_memory)
    b.memory_max = std::min(b.memory_max, static_cast<double>(*t.sample->ancestor_memory));
  b.memory_min = static_cast<double>(ordered.memory_min.value_or(policy.memory.min_bytes));
  if (t.sample) {
    // Without head-room for growth: growth changes within a tick, and a plan must be validated with the
    // values that it was made from.
    b.memory_min = memory_floor(*t.sample, b.memory_min, 0).value_or(b.memory_min);
  }
  // A task that holds more than its maximum is not pressed below what reclaim cannot free: it would hang.
  b.memory_max = std::max(b.memory_max, b.memory_min);
  return b;
}

bool permitted(const TaskState& t, const PlanContext& c) {
  const bool suspended = c.state->holds.node || (t.hold && t.hold->suspension);
  return mode_of(c) != config::Mode::observe && t.facts.config_index && !suspended &&
         t.breaker.state != BreakerState::open && c.now >= t.yield_until;
}

bool frozen(const TaskState& t) {
  return t.sample && t.sample->frozen;
}

std::size_t writes_in_window(const KnobState& knob, MonotonicTime now) {
  std::size_t old = 0;  // entries at the front
  while (old < knob.writes.size() && now - knob.writes[old] >= kBudgetWindow) ++old;
  return knob.writes.size() - old;
}

KnobClaim standing(const TaskState& t, Knob which, const Bounds& b, const PlanContext& c) {
  const bool cpu = which == Knob::cpu_max;
  const auto& policy = rule_of(t.facts, *c.config).policy;
  const KnobState& knob = cpu ? t.cpu : t.memory;
  const auto& limit = knob.limit;
  KnobClaim out;
  out.id = t.facts.id;
  out.current = limit.present() && limit.baseline() ? in_force(knob) : kUnlimited;
  out.ours = limit.touched() || limit.pretends();
  if (limit.in_flight() && limit.order()->reason.rule != Rule::released)
    out.ordered = number_of(limit.order()->value);
  out.governed = (cpu ? policy.cpu.enabled : policy.memory.enabled) && limit.present() && permitted(t, c);
  out.movable =
      out.governed && !frozen(t) && limit.may_send() &&
      (mode_of(c) == config::Mode::enforce || !limit.touched()) &&
      writes_in_window(knob, c.now) < (cpu ? policy.cpu.writes_per_minute : policy.memory.writes_per_minute);
  out.min = cpu ? b.cpu_min : b.memory_min;
  out.max = cpu ? b.cpu_max : b.memory_max;
  out.max_is_set = cpu ? b.cpu_max_is_set : b.memory_max_is_set;
  if (!cpu && t.sample) out.floor = std::min(out.min, memory_floor(*t.sample, 0, 0).value_or(0));
  out.weight = policy.weight;
  out.priority = policy.priority;
  out.tolerance = cpu ? policy.cpu.tolerance : policy.memory.tolerance;
  if (cpu) {
    out.step = policy.cpu.step_cores;
    const Reason& why = limit.in_flight() ? limit.order()->reason : limit.reason();
    out.by_weight = why.rule == Rule::by_weight;
    out.parent = parent_of(t.facts.cgroup);
    const auto& cpu_weight = t.weight.limit;
    if (cpu_weight.present() && cpu_weight.baseline())
      out.weight_held = number_of(cpu_weight.value()) / number_of(*cpu_weight.baseline());
    const bool held_up =
        t.signals.throttled_periods.value_or(0) > 0 || t.signals.ancestor_throttled_ratio.value_or(0) > 0;
    if (t.fresh && !held_up) out.waiting_ratio = t.signals.cpu_pressure_ratio.value_or(0);
  }
  if (cpu && t.sample && t.sample->ancestor_cpu) {
    out.ancestor = t.sample->ancestor_cpu->path;
    out.ancestor_max = t.sample->ancestor_cpu->max_cores;
  }
  out.use = cpu ? cores_in_use(t, out, c) : bytes_in_use(t, out);
  return out;
}

}  // namespace sluice
