#include "daemon/arbitrate/validate.hpp"

#include <algorithm>

#include "daemon/values/knob_value.hpp"

namespace sluice {
namespace {

constexpr double kSlack = 1e-6;
constexpr double kQuotaRounding = 0.002;  // cores: quotas are whole microseconds, and at least 1 ms

const config::TaskPolicy& policy_of(const TaskState& t, const config::Config& config) {
  return rule_of(t.facts, config).policy;
}

// Use of the node by one knob, before and after the plan.
struct Sums {
  Taken before, after;
  double granted = 0;  // after the plan: our limits in full, and what is used of the others
  double capacity = 0;
  bool minima_exceed = false;
};

// A release may be refused. So its limit counts by use, like one that may not be moved.
Sums sums_of(const Plan& plan, Knob knob, const PlanContext& c) {
  Sums out;
  out.capacity = capacity_of(knob, c);
  FairShare fair(out.capacity, knob);
  std::vector<KnobClaim> claims;
  claims.reserve(c.state->tasks.size());
  double minima = 0;
  for (const auto& [id, t] : c.state->tasks) {
    auto& claim = claims.emplace_back(standing(t, knob, bounds_of(t, c), c));
    fair.add(claim);
    // Arbitration counts a quota that it may take back in full, also one that was raised on a full node.
    if (claim.movable && claim.use) claim.by_weight = false;
    if (claim.governed) minima += claim.min;
  }
  out.minima_exceed = minima > out.capacity * (1 - kSlack);
  auto next = plan.writes.begin();  // sorted by id, like the tasks
  for (auto& claim : claims) {
    const Taken now = fair.taken(claim);
    out.before.quota += now.quota;
    out.before.use += now.use;
    while (next != plan.writes.end() && next->id < claim.id) ++next;
    auto write = next;
    while (write != plan.writes.end() && write->id == claim.id && write->knob != knob) ++write;
    Taken then = now;
    if (write != plan.writes.end() && write->id == claim.id) {
      const double to = number_of(write->value);
      if (write->reason.rule == Rule::released) {
        claim.movable = false;
        then = fair.taken(claim);
      } else if (!std::isinf(to) && knob_of(write->value) == knob) {
        const bool raise = to > claim.current;
        then = {to, raise ? to : std::min(to, claim.use.value_or(to))};
        if (write->reason.rule == Rule::by_weight) then = {0, now.use};
      }
    }
    out.after.quota += then.quota;
    out.after.use += then.use;
    out.granted += std::max(then.quota, then.use);
  }
  return out;
}

// True for whole steps, the maximum, or the smallest quota that the kernel accepts. A burst goes with any
// quota.
bool is_whole(const CpuMax& value, double step, double max) {
  const double cores = cores_of(value);
  return step <= 0 || cores > max - kQuotaRounding || value.quota == kCpuQuotaMin ||
         std::abs(cores - std::round(cores / step) * step) < kQuotaRounding;
}

// How far the kernel may round a value.
double rounding_of(Knob knob, const PlanContext& c) {
  return knob == Knob::cpu_max ? kQuotaRounding : static_cast<double>(c.node.page_bytes);
}

// A value below the minimum is valid only if the minima of all tasks exceed the node.
std::optional<Invariant> check_cpu(const Write& w, const TaskState& t, const Bounds& b, double step,
                                   bool minima_exceed) {
  const auto* value = std::get_if<CpuMax>(&w.value);
  if (!value || !t.cpu.limit.present()) return Invariant::knob_absent;
  if (value->period < kCpuPeriodMin || value->period > kCpuPeriodMax) return Invariant::out_of_bounds;
  if (value->quota && *value->quota < kCpuQuotaMin) return Invariant::out_of_bounds;
  if (w.reason.rule == Rule::released) return std::nullopt;
  if (value->quota && value->burst.value_or(Usec{0}) > *value->quota) return Invariant::out_of_bounds;
  if (w.reason.rule == Rule::pinned) return std::nullopt;
  const double cores = cores_of(*value);
  const bool below = cores < b.cpu_min - kQuotaRounding;
  if (cores > b.cpu_max + kQuotaRounding || (below && !minima_exceed)) return Invariant::out_of_bounds;
  if (below) return std::nullopt;  // shares of minima are not in whole steps
  if (w.reason.rule != Rule::burst && !is_whole(*value, step, b.cpu_max)) return Invariant::whole_steps;
  return std::nullopt;
}

// A due weight is never above the baseline, because some siblings may not be ours.
std::optional<Invariant> check_weight(const Write& w, const TaskState& t) {
  const auto* value = std::get_if<CpuWeight>(&w.value);
  const auto& limit = t.weight.limit;
  if (!value || !limit.present() || !limit.baseline()) return Invariant::knob_absent;
  if (w.reason.rule == Rule::released) return std::nullopt;
  if (value->weight < kCpuWeightMin || number_of(w.value) > number_of(*limit.baseline()))
    return Invariant::out_of_bounds;
  return std::nullopt;
}

std::optional<Invariant> check_memory(const Write& w, const TaskState& t, const Bounds& b, bool minima_exceed,
                                      double page_bytes) {
  const auto* value = std::get_if<MemoryLimit>(&w.value);
  if (!value || !t.memory.limit.present()) return Invariant::knob_absent;
  if (w.reason.rule == Rule::released) return std::nullopt;
  const double bytes = bytes_of(*value);
  if (t.sample) {
    const auto floor = memory_floor(*t.sample, 0, 0);
    // Raising is always safe, even if the value does not reach the floor.
    if (floor && bytes < *floor * (1 - kSlack) && bytes < number_of(t.memory.limit.value()))
      return Invariant::below_floor;
  }
  if (w.reason.rule == Rule::pinned) return std::nullopt;
  const bool below = bytes < b.memory_min - page_bytes;
  if (bytes > b.memory_max + page_bytes || (below && !minima_exceed)) return Invariant::out_of_bounds;
  return std::nullopt;
}

// A cut beyond its rate policy. It is valid only if the node is too small for the policies, which depends on
// the rest of the plan.
struct EarlyCut {
  std::size_t write = 0;
  double beyond = 0;  // how far below the policy's limit it goes
};

std::optional<EarlyCut> check_rate(std::size_t i, const Write& w, const TaskState& t, const Bounds& b,
                                   const PlanContext& c) {
  if (w.knob == Knob::cpu_weight) return std::nullopt;
  const bool cpu = w.knob == Knob::cpu_max;
  const auto& policy = policy_of(t, *c.config);
  const auto& scaling = cpu ? policy.cpu.scaling : policy.memory.scaling;
  if (scaling.none() || beyond_rates(w.reason.rule)) return std::nullopt;
  const KnobState& knob = cpu ? t.cpu : t.memory;
  const double to = number_of(w.value);
  const double step = cpu ? policy.cpu.step_cores : 0;
  const auto limits = rate_limits(scaling, knob.rates, c.now, in_force(knob), step);
  // There is no rate from infinity, and no policy that keeps "no limit" against a maximum.
  const bool max_is_set = cpu ? b.cpu_max_is_set : b.memory_max_is_set;
  if (std::isinf(in_force(knob)) && max_is_set) return std::nullopt;
  if (std::isinf(limits.lowest) && !std::isinf(to)) return EarlyCut{i, 0};
  // No value may stay out of its bounds, whatever the policy.
  const double min = cpu ? b.cpu_min : b.memory_min, max = cpu ? b.cpu_max : b.memory_max;
  const double lowest = std::clamp(limits.lowest, min, max);
  const double highest = std::clamp(limits.highest, min, max);
  const double rounding = rounding_of(w.knob, c);
  if (to > highest + rounding) return EarlyCut{i, 0};
  if (to < lowest - rounding) return EarlyCut{i, lowest - to};
  return std::nullopt;
}

// Cuts beyond rate policies are valid only on a node that is too small without them: if all of them stopped
// at their policies, the sum would exceed the capacity.
void judge_early_cuts(const Plan& plan, const std::vector<EarlyCut>& early_cuts, const Sums& cpu,
                      const Sums& memory, const PlanContext& c, std::vector<Violation>& out) {
  if (early_cuts.empty()) return;
  for (const Knob knob : {Knob::cpu_max, Knob::memory_high}) {
    const Sums& sums = knob == Knob::cpu_max ? cpu : memory;
    double beyond = 0;
    for (const auto& h : early_cuts) beyond += plan.writes[h.write].knob == knob ? h.beyond : 0;
    const double rounding = rounding_of(knob, c) * static_cast<double>(1 + plan.writes.size());
    const bool too_small = sums.granted + beyond > sums.capacity - rounding;
    for (const auto& h : early_cuts) {
      const Write& w = plan.writes[h.write];
      if (w.knob != knob || (too_small && h.beyond > 0 && w.reason.clamped_capacity)) continue;
      out.push_back({h.write, Invariant::rate});
    }
  }
}

// If the node is overdrawn, every raise counts as the cause, and none is written. Guaranteed minima are
// exempt.
void judge_capacity(const Plan& plan, const Sums& sums, const PlanContext& c, std::vector<Violation>& out) {
  const double most = sums.capacity + kQuotaRounding * static_cast<double>(1 + plan.writes.size());
  const bool overdrawn = (sums.after.quota > most && sums.after.quota > sums.before.quota) ||
                         (sums.after.use > most && sums.after.use > sums.before.use);
  if (!overdrawn) return;
  for (std::size_t i = 0; i < plan.writes.size(); ++i) {
    const Write& w = plan.writes[i];
    const auto found = c.state->tasks.find(w.id);
    if (w.knob != Knob::cpu_max || found == c.state->tasks.end()) continue;
    if (w.reason.rule == Rule::released || w.reason.rule == Rule::pinned) continue;
    if (w.reason.rule == Rule::by_weight) continue;
    const TaskState& t = found->second;
    const double from = number_of(t.cpu.limit.value()), to = number_of(w.value);
    const bool raise = to > from || std::isinf(from);
    if (raise && to > bounds_of(t, c).cpu_min + kQuotaRounding) out.push_back({i, Invariant::over_capacity});
  }
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

std::vector<Violation> validate_plan(const Plan& plan, const PlanContext& c) {
  std::vector<Violation> out;
  std::vector<EarlyCut> early_cuts;
  if (plan.writes.empty()) return out;
  const auto changes = [&](Knob knob) {
    return std::any_of(plan.writes.begin(), plan.writes.end(),
                       [&](const Write& w) { return w.knob == knob && w.reason.rule != Rule::released; });
  };
  const auto cpu_sums = changes(Knob::cpu_max) ? sums_of(plan, Knob::cpu_max, c) : Sums{};
  const auto memory_sums = changes(Knob::memory_high) ? sums_of(plan, Knob::memory_high, c) : Sums{};
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
    const bool cpu = w.knob != Knob::memory_high;
    const auto& policy = policy_of(t, *c.config);
    if (const auto bad =
            w.knob == Knob::cpu_weight ? check_weight(w, t)
            : cpu                      ? check_cpu(w, t, b, policy.cpu.step_cores, cpu_sums.minima_exceed)
                  : check_memory(w, t, b, memory_sums.minima_exceed, rounding_of(Knob::memory_high, c))) {
      violates(*bad);
      if (*bad == Invariant::knob_absent) continue;
    }
    if (w.reason.rule == Rule::released) continue;  // releases are always allowed
    if (const auto h = check_rate(i, w, t, b, c)) early_cuts.push_back(*h);
    if (!permitted(t, c)) violates(Invariant::not_permitted);
    if (w.reason.rule == Rule::by_weight && !c.state->cpu_full) violates(Invariant::over_capacity);
    const auto budget = cpu ? policy.cpu.writes_per_minute : policy.memory.writes_per_minute;
    const bool pinned = w.reason.rule == Rule::pinned;  // a pin ignores the budget
    if (!pinned && writes_in_window(t.knob(w.knob), c.now) >= budget) violates(Invariant::over_budget);
  }
  judge_early_cuts(plan, early_cuts, cpu_sums, memory_sums, c, out);
  if (changes(Knob::cpu_max)) judge_capacity(plan, cpu_sums, c, out);
  return out;
}

}  // namespace sluice
