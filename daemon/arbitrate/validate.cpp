#include "daemon/arbitrate/validate.hpp"

#include <algorithm>

#include "daemon/values/knob_value.hpp"

namespace sluice {
namespace {

constexpr double kSlack = 1e-6;
constexpr double kQuotaRounding = 0.002;  // cores: quotas are whole microseconds, and at least 1 ms
constexpr double kPageBytes = 4096;

const config::TaskPolicy& policy_of(const TaskState& t, const config::Config& config) {
  return rule_of(t.facts, config).policy;
}

std::size_t writes_within_window(const KnobState& knob, MonotonicTime now) {
  std::size_t old = 0;  // the first ones
  while (old < knob.writes.size() && now - knob.writes[old] >= kBudgetWindow) ++old;
  return knob.writes.size() - old;
}

// Whole steps, or the maximum, or the least that the kernel takes. A burst follows any quota.
bool is_whole(const CpuMax& value, double step, double max) {
  const double cores = cores_of(value);
  return step <= 0 || cores > max - kQuotaRounding || value.quota == kCpuQuotaMin ||
         std::abs(cores - std::round(cores / step) * step) < kQuotaRounding;
}

std::optional<Invariant> check_cpu(const Write& w, const TaskState& t, const Bounds& b, double step) {
  const auto* value = std::get_if<CpuMax>(&w.value);
  if (!value || !t.cpu.limit.present()) return Invariant::knob_absent;
  if (value->period < kCpuPeriodMin || value->period > kCpuPeriodMax) return Invariant::out_of_bounds;
  if (value->quota && *value->quota < kCpuQuotaMin) return Invariant::out_of_bounds;
  if (w.reason.rule == Rule::released) return std::nullopt;
  if (value->quota && value->burst.value_or(Usec{0}) > *value->quota) return Invariant::out_of_bounds;
  if (w.reason.rule == Rule::pinned) return std::nullopt;
  const double cores = cores_of(*value);
  if (cores > b.cpu_max + kQuotaRounding || cores < b.cpu_min - kQuotaRounding)
    return Invariant::out_of_bounds;
  if (w.reason.rule != Rule::burst && !is_whole(*value, step, b.cpu_max)) return Invariant::whole_steps;
  return std::nullopt;
}

std::optional<Invariant> check_memory(const Write& w, const TaskState& t, const Bounds& b) {
  const auto* value = std::get_if<MemoryLimit>(&w.value);
  if (!value || !t.memory.limit.present()) return Invariant::knob_absent;
  if (w.reason.rule == Rule::released) return std::nullopt;
  const double bytes = bytes_of(*value);
  if (t.sample) {
    const auto floor = memory_floor(*t.sample, 0, 0);
    // Raising is always safe, even when it does not reach the floor.
    if (floor && bytes < *floor * (1 - kSlack) && bytes < number_of(t.memory.limit.value()))
      return Invariant::below_floor;
  }
  if (w.reason.rule == Rule::pinned) return std::nullopt;
  if (bytes > b.memory_max + kPageBytes || bytes < b.memory_min - kPageBytes) return Invariant::out_of_bounds;
  return std::nullopt;
}

// What has to be known of the rest of the plan before a cut beyond its rate policy is right: that the node
// was too small for the policies.
struct Hasty {
  std::size_t write = 0;
  double beyond = 0;  // of what the policy would have left it
};

std::optional<Hasty> check_rate(std::size_t i, const Write& w, const TaskState& t, const Bounds& b,
                                const PlanContext& c) {
  const bool cpu = w.knob == Knob::cpu_max;
  const auto& policy = policy_of(t, *c.config);
  const auto& scaling = cpu ? policy.cpu.scaling : policy.memory.scaling;
  if (scaling.none() || beyond_rates(w.reason.rule)) return std::nullopt;
  const KnobState& knob = cpu ? t.cpu : t.memory;
  const double to = number_of(w.value);
  const double step = cpu ? policy.cpu.step_cores : 0;
  const auto limits = rate_limits(scaling, knob.rates, c.now, in_force(knob), step);
  if (std::isinf(limits.lowest) && !std::isinf(to)) return Hasty{i, 0};
  // No value may stay out of its bounds, whatever the policy.
  const double min = cpu ? b.cpu_min : b.memory_min, max = cpu ? b.cpu_max : b.memory_max;
  const double lowest = std::clamp(limits.lowest, min, max);
  const double highest = std::clamp(limits.highest, min, max);
  const double rounding = cpu ? kQuotaRounding : kPageBytes;
  if (to > highest + rounding) return Hasty{i, 0};
  if (to < lowest - rounding) return Hasty{i, lowest - to};
  return std::nullopt;
}

// The sum of the knob's limits after the plan. A release may yet be refused: its limit stands, and counts.
double sum_after(const Plan& plan, Knob knob, const State& state) {
  double sum = 0;
  const auto finite = [](double v) { return std::isinf(v) ? 0 : v; };
  const auto knob_of = [&](const TaskState& t) -> const KnobState& {
    return knob == Knob::cpu_max ? t.cpu : t.memory;
  };
  for (const auto& [id, t] : state.tasks) {
    if (knob_of(t).limit.present()) sum += finite(in_force(knob_of(t)));
  }
  for (const auto& w : plan.writes) {
    const auto t = state.tasks.find(w.id);
    if (w.knob != knob || t == state.tasks.end() || w.reason.rule == Rule::released) continue;
    sum += finite(number_of(w.value)) - finite(in_force(knob_of(t->second)));
  }
  return sum;
}

// A cut beyond its rate policy is only for a node that is too small without it: with every such cut ending
// where its policy does, the sum would be more than there is.
void judge_hasty(const Plan& plan, const std::vector<Hasty>& hasty, const PlanContext& c,
                 std::vector<Violation>& out) {
  if (hasty.empty()) return;
  for (const Knob knob : {Knob::cpu_max, Knob::memory_high}) {
    const bool cpu = knob == Knob::cpu_max;
    double sum = sum_after(plan, knob, *c.state);
    for (const auto& h : hasty) sum += plan.writes[h.write].knob == knob ? h.beyond : 0;
    const double capacity = cpu ? c.node.cpu_capacity_cores - c.config->node.cpu_reserve_cores
                                : static_cast<double>(c.node.memory_capacity) -
                                      static_cast<double>(c.config->node.memory_reserve_bytes);
    const double rounding = (cpu ? kQuotaRounding : kPageBytes) * static_cast<double>(1 + plan.writes.size());
    const bool too_small = sum > capacity - rounding;
    for (const auto& h : hasty) {
      const Write& w = plan.writes[h.write];
      if (w.knob != knob || (too_small && h.beyond > 0 && w.reason.clamped_capacity)) continue;
      out.push_back({h.write, Invariant::rate});
    }
  }
}

bool permitted(const TaskState& t, const PlanContext& c) {
  const bool suspended = c.state->holds.node || (t.hold && t.hold->suspension);
  return !suspended && t.breaker.state != BreakerState::open && c.now >= t.yield_until;
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
    case Invariant::whole_steps:
      return "whole-steps";
    case Invariant::rate:
      return "rate";
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
  const double holds = number_of(knob.limit.value());
  if (!knob.limit.in_flight()) return holds;
  const double asked = number_of(knob.limit.order()->value);
  // A release to "max" may yet be refused: until then the old limit stands, and counts.
  if (std::isinf(holds) || std::isinf(asked)) return std::min(holds, asked);
  return std::max(holds, asked);
}

Bounds bounds_of(const TaskState& t, const PlanContext& c) {
  const auto& policy = policy_of(t, *c.config);
  static const SetBoundsCommand none;
  const auto& ordered = t.hold ? t.hold->bounds : none;
  const double cpu_capacity = std::max(0.01, c.node.cpu_capacity_cores - c.config->node.cpu_reserve_cores);
  const double memory_capacity = std::max(0.0, static_cast<double>(c.node.memory_capacity) -
                                                   static_cast<double>(c.config->node.memory_reserve_bytes));
  Bounds b;
  b.cpu_max =
      std::min(ordered.cpu_max_cores.value_or(t.scheduled.max ? t.scheduled.max->cores
                                                              : policy.cpu.max_cores.value_or(cpu_capacity)),
               cpu_capacity);
  b.cpu_min = policy.cpu.least_cores(
      ordered.cpu_min_cores.value_or(t.scheduled.min ? t.scheduled.min->cores : policy.cpu.min_cores),
      b.cpu_max);
  b.memory_max = memory_capacity;
  if (policy.memory.max_bytes)
    b.memory_max = std::min(b.memory_max, static_cast<double>(*policy.memory.max_bytes));
  if (ordered.memory_max) b.memory_max = std::min(memory_capacity, static_cast<double>(*ordered.memory_max));
  // memory.high above memory.max never acts.
  if (t.sample && t.sample->memory_max && t.sample->memory_max->bytes) {
    b.memory_max = std::min(b.memory_max, static_cast<double>(*t.sample->memory_max->bytes));
  }
  b.memory_min = static_cast<double>(ordered.memory_min.value_or(policy.memory.min_bytes));
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
  std::vector<Hasty> hasty;
  double allocated = 0, before = 0;
  for (const auto& [id, t] : c.state->tasks) {
    const double cores = in_force(t.cpu);
    if (t.cpu.limit.present() && !std::isinf(cores)) before += cores;
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
    if (const auto bad =
            cpu ? check_cpu(w, t, b, policy_of(t, *c.config).cpu.step_cores) : check_memory(w, t, b)) {
      violates(*bad);
      if (*bad == Invariant::knob_absent) continue;
    }
    if (w.reason.rule == Rule::released) continue;  // giving back is always allowed
    if (const auto h = check_rate(i, w, t, b, c)) hasty.push_back(*h);
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
  judge_hasty(plan, hasty, c, out);
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
      const bool raise = to > number_of(found->second.cpu.limit.value()) ||
                         std::isinf(number_of(found->second.cpu.limit.value()));
      if (raise && to > bounds_of(found->second, c).cpu_min + kQuotaRounding &&
          w.reason.rule != Rule::pinned) {
        out.push_back({i, Invariant::over_capacity});
      }
    }
  }
  return out;
}

}  // namespace sluice
