#include "daemon/arbitrate/validate.hpp"

#include <algorithm>

#include "daemon/arbitrate/knob_value.hpp"

namespace sluice {
namespace {

constexpr double kSlack = 1e-6;
constexpr double kQuotaRounding = 0.002;  // cores: quotas are whole microseconds, and at least 1 ms

const config::TaskPolicy& policy_of(const TaskState& t, const config::Config& config) {
  return config.tasks[t.facts.config_index].policy;
}

std::size_t writes_within_window(const KnobState& knob, MonotonicTime now) {
  return static_cast<std::size_t>(std::count_if(knob.writes.begin(), knob.writes.end(),
                                                [&](MonotonicTime at) { return now - at < kBudgetWindow; }));
}

std::optional<Invariant> check_cpu(const Write& w, const TaskState& t, const Bounds& b) {
  const auto* value = std::get_if<CpuMax>(&w.value);
  if (!value || !t.cpu.present) return Invariant::knob_absent;
  if (value->period < kCpuPeriodMin || value->period > kCpuPeriodMax) return Invariant::out_of_bounds;
  if (value->quota && *value->quota < kCpuQuotaMin) return Invariant::out_of_bounds;
  if (w.reason.rule == Rule::released) return std::nullopt;
  if (value->quota && value->burst.value_or(Usec{0}) > *value->quota) return Invariant::out_of_bounds;
  if (w.reason.rule == Rule::pinned) return std::nullopt;
  const double cores = cores_of(*value);
  if (cores > b.cpu_max + kQuotaRounding || cores < b.cpu_min - kQuotaRounding)
    return Invariant::out_of_bounds;
  return std::nullopt;
}

std::optional<Invariant> check_memory(const Write& w, const TaskState& t, const Bounds& b) {
  const auto* value = std::get_if<MemoryLimit>(&w.value);
  if (!value || !t.memory.present) return Invariant::knob_absent;
  if (w.reason.rule == Rule::released) return std::nullopt;
  const double bytes = bytes_of(*value);
  if (t.sample) {
    const auto floor = memory_floor(*t.sample, 0, 0);
    // Raising is always safe, even when it does not reach the floor.
    if (floor && bytes < *floor * (1 - kSlack) && bytes < number_of(t.memory.holds))
      return Invariant::below_floor;
  }
  if (w.reason.rule == Rule::pinned) return std::nullopt;
  constexpr double kPageBytes = 4096;
  if (bytes > b.memory_max + kPageBytes || bytes < b.memory_min - kPageBytes) return Invariant::out_of_bounds;
  return std::nullopt;
}

bool permitted(const TaskState& t, const PlanContext& c) {
  return !c.state->suspended && !t.suspended && t.breaker.state != BreakerState::open &&
         c.now >= t.yield_until;
}

}  // namespace

std::string_view to_string(Invariant invariant) {
  switch (invariant) {
    case Invariant::unknown_task:
      return "unknown-task";
    case Invariant::duplicate:
      return "duplicate";
    case Invariant::knob_absent:
      return "knob-absent";
    case Invariant::out_of_bounds:
      return "out-of-bounds";
    case Invariant::over_budget:
      return "over-budget";
    case Invariant::over_capacity:
      return "over-capacity";
    case Invariant::below_floor:
      return "below-floor";
    case Invariant::not_permitted:
      return "not-permitted";
  }
  return "unknown";
}

double in_force(const KnobState& knob) {
  const double holds = number_of(knob.holds);
  if (!knob.in_flight) return holds;
  const double asked = number_of(knob.asked);
  // A release to "max" may yet be refused: until then the old limit stands, and counts.
  if (std::isinf(holds) || std::isinf(asked)) return std::min(holds, asked);
  return std::max(holds, asked);
}

Bounds bounds_of(const TaskState& t, const PlanContext& c) {
  const auto& policy = policy_of(t, *c.config);
  const double cpu_capacity = std::max(0.01, c.node.cpu_capacity_cores - c.config->node.cpu_reserve_cores);
  const double memory_capacity = std::max(0.0, static_cast<double>(c.node.memory_capacity) -
                                                   static_cast<double>(c.config->node.memory_reserve_bytes));
  Bounds b;
  b.cpu_max =
      std::min(t.bounds.cpu_max_cores.value_or(policy.cpu.max_cores.value_or(cpu_capacity)), cpu_capacity);
  b.cpu_min = std::min(t.bounds.cpu_min_cores.value_or(policy.cpu.min_cores), b.cpu_max);
  b.memory_max = memory_capacity;
  if (policy.memory.max_bytes)
    b.memory_max = std::min(b.memory_max, static_cast<double>(*policy.memory.max_bytes));
  if (t.bounds.memory_max)
    b.memory_max = std::min(memory_capacity, static_cast<double>(*t.bounds.memory_max));
  // memory.high above memory.max never acts.
  if (t.sample && t.sample->memory_max && t.sample->memory_max->bytes) {
    b.memory_max = std::min(b.memory_max, static_cast<double>(*t.sample->memory_max->bytes));
  }
  b.memory_min = static_cast<double>(t.bounds.memory_min.value_or(policy.memory.min_bytes));
  if (t.sample) {
    // Without room for growth, which changes within a tick: a plan must be judged by what it was made from.
    b.memory_min = memory_floor(*t.sample, b.memory_min, 0).value_or(b.memory_min);
  }
  // A task that holds more than its maximum cannot be squeezed under it: that would only hang it.
  b.memory_max = std::max(b.memory_max, b.memory_min);
  return b;
}

std::vector<Violation> validate_plan(const Plan& plan, const PlanContext& c) {
  std::vector<Violation> out;
  double allocated = 0, before = 0;
  for (const auto& [id, t] : c.state->tasks) {
    const double cores = in_force(t.cpu);
    if (t.cpu.present && !std::isinf(cores)) before += cores;
  }
  allocated = before;
  for (std::size_t i = 0; i < plan.writes.size(); ++i) {
    const Write& w = plan.writes[i];
    auto violates = [&](Invariant invariant) { out.push_back({i, invariant}); };
    if (i > 0) {
      const Write& p = plan.writes[i - 1];
      if (std::tie(p.id, p.knob) >= std::tie(w.id, w.knob)) violates(Invariant::duplicate);
    }
    const auto found = c.state->tasks.find(w.id);
    if (found == c.state->tasks.end()) {
      violates(Invariant::unknown_task);
      continue;
    }
    const TaskState& t = found->second;
    const Bounds b = bounds_of(t, c);
    const bool cpu = w.knob == Knob::cpu_max;
    if (const auto bad = cpu ? check_cpu(w, t, b) : check_memory(w, t, b)) {
      violates(*bad);
      if (*bad == Invariant::knob_absent) continue;
    }
    if (w.reason.rule == Rule::released) continue;  // giving back is always allowed
    if (!permitted(t, c)) violates(Invariant::not_permitted);
    const auto& policy = policy_of(t, *c.config);
    const auto budget = cpu ? policy.cpu.writes_per_minute : policy.memory.writes_per_minute;
    const bool pinned = w.reason.rule == Rule::pinned;  // an administrator does not wait for the budget
    if (!pinned && writes_within_window(cpu ? t.cpu : t.memory, c.now) >= budget)
      violates(Invariant::over_budget);
    if (!cpu) continue;
    const double old_cores = in_force(t.cpu), new_cores = number_of(w.value);
    allocated += new_cores - (std::isinf(old_cores) ? 0 : old_cores);
  }
  const double capacity = c.node.cpu_capacity_cores - c.config->node.cpu_reserve_cores;
  const double rounding = kQuotaRounding * static_cast<double>(1 + plan.writes.size());
  if (allocated > capacity + rounding && allocated > before) {
    // Every raise is to blame: none of them is written. A task's guaranteed minimum is exempt.
    for (std::size_t i = 0; i < plan.writes.size(); ++i) {
      const Write& w = plan.writes[i];
      const auto found = c.state->tasks.find(w.id);
      if (w.knob != Knob::cpu_max || found == c.state->tasks.end() || w.reason.rule == Rule::released)
        continue;
      const double to = number_of(w.value);
      const bool raise =
          to > number_of(found->second.cpu.holds) || std::isinf(number_of(found->second.cpu.holds));
      if (raise && to > bounds_of(found->second, c).cpu_min + kQuotaRounding &&
          w.reason.rule != Rule::pinned) {
        out.push_back({i, Invariant::over_capacity});
      }
    }
  }
  return out;
}

}  // namespace sluice
