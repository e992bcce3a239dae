// The claims of all tasks on the node: what each controller wants, what arbitrate grants, and which writes
// follow.
#include "daemon/tick/claims.hpp"

#include <algorithm>
#include <cmath>

#include "daemon/arbitrate/full_node.hpp"
#include "daemon/values/knob_value.hpp"

namespace sluice::parts {
namespace {

Intent pinned(double value) {
  return {value, Reason{.rule = Rule::pinned, .wanted = value}};
}

// A new intent of the controller replaces the value to be reasserted.
void reassert(KnobState& knob, KnobClaim& claim) {
  if (!claim.movable || !knob.reassert) return;
  const double value = number_of(*knob.reassert);
  if (!claim.intent.changes()) claim.intent = {value, Reason{.rule = Rule::reasserted, .wanted = value}};
  knob.reassert.reset();
}

Intent cpu_intent(const Tick& t, const TaskState& task, const CpuInput& in) {
  const auto& policy = t.policy_of(task);
  if (policy.cpu.initial_cores && !task.cpu.limit.touched() && !task.cpu.limit.changed_at() && t.full()) {
    Reason r{.rule = Rule::initial, .wanted = *policy.cpu.initial_cores};
    return {*policy.cpu.initial_cores, r};
  }
  return decide_cpu(in, task.cpu_control);
}

// In dry-run mode the limits that we hold are released before any write is simulated.
bool writable(const Tick& t, const TaskState& task, const KnobState& knob) {
  return governable(t, task) && knob.limit.may_send() &&
         (t.mode == config::Mode::enforce || !knob.limit.touched());
}

// How long a value may stay above its maximum: the cut waits for usage data if the next tick is in time.
constexpr Nsec kInBoundsWithin = std::chrono::seconds(2);
void watch_maximum(const Tick& t, KnobState& knob, KnobClaim& c) {
  constexpr double kRounding = 1.001;  // rounding of quotas and pages
  const bool above = std::isinf(c.current) ? c.max_is_set : c.current > c.max * kRounding;
  if (!above || !c.movable) {
    knob.outside_since.reset();
    return;
  }
  if (!knob.outside_since) knob.outside_since = t.input.now;
  c.bound_waits = t.input.now + t.config.node.tick < *knob.outside_since + kInBoundsWithin;
}

// Applies the rate policies. Each sample of the value wanted enters the stabilization windows.
void limit_rate(const Tick& t, const config::Scaling& scaling, bool looked, KnobState& knob, KnobClaim& c) {
  if (scaling.none()) return;
  if ((looked || c.intent.changes()) && c.movable && !c.exact) {
    const double wish = c.intent.changes() ? c.intent.value : c.current;
    note_wish(scaling, t.input.now, wish, c.current, knob.rates);
  }
  c.rate = rate_limits(scaling, knob.rates, t.input.now, c.current, c.step);
  c.rate_free = beyond_rates(c.intent.reason.rule);
}

// Returns a cpu.max with another burst if the quota stays and the burst differs: the configuration changed,
// or an external writer set it. At most once per kBurstRetry, so that a kernel that does not keep the burst
// cannot use up the write budget.
constexpr auto kBurstRetry = std::chrono::seconds(10);
std::optional<CpuMax> other_burst(const Tick& t, const TaskState& task) {
  const auto& limit = task.cpu.limit;
  const auto& holds = std::get<CpuMax>(limit.value());
  if (!holds.quota) return std::nullopt;
  if (limit.settled_at() != MonotonicTime{} && t.input.now < limit.settled_at() + kBurstRetry)
    return std::nullopt;
  const CpuMax value =
      with_burst(holds, std::get<CpuMax>(*limit.baseline()), t.policy_of(task).cpu.burst_ratio);
  if (!value.burst || value == holds) return std::nullopt;
  return value;
}

CpuMax quota_of(const Tick& t, const TaskState& task, double cores) {
  const auto& own = std::get<CpuMax>(*task.cpu.limit.baseline());
  return with_burst(cpu_max_of(cores, own.period), own, t.policy_of(task).cpu.burst_ratio);
}

void plan_grants(Tick& t, const Lane& lane, const Share& share, Knob knob) {
  for (const auto& g : share.grants) {
    const TaskState& task = *lane.tasks[g.claim];
    const KnobState& state = knob == Knob::cpu_max ? task.cpu : task.memory;
    const KnobValue value = knob == Knob::cpu_max ? KnobValue{quota_of(t, task, g.value)}
                                                  : KnobValue{memory_limit_of(g.value, t.node.page_bytes)};
    if (value == state.limit.value()) continue;
    Write w{task.facts.id, knob, value, g.reason, {}};
    if (knob == Knob::cpu_max) {
      if (const auto e = t.events.find(task.facts.id); e != t.events.end() && !t.full())
        w.caused_at = e->second->at;
    }
    t.plan.writes.push_back(w);
  }
}

void plan_bursts(Tick& t, const Lane& lane, const Share& share) {
  std::vector<bool> written(lane.claims.size());
  for (const auto& g : share.grants) written[g.claim] = true;
  for (const std::size_t i : lane.bursts) {
    const TaskState& task = *lane.tasks[i];
    if (written[i]) continue;
    t.plan.writes.push_back({task.facts.id,
                             Knob::cpu_max,
                             *other_burst(t, task),
                             Reason{.rule = Rule::burst, .wanted = number_of(task.cpu.limit.value())},
                             {}});
  }
}

// A receipt alone makes no plan. Otherwise a full node would be shared out again at each receipt while other
// writes are still in flight, and the tasks would take CPU from each other in turn until their budgets are
// spent.
bool has_cause(const Tick& t) {
  return t.full() || !t.events.empty() || !t.input.commands.empty();
}

}  // namespace

CpuInput cpu_input(const Tick& t, const TaskState& task, const Bounds& bounds) {
  const auto& policy = t.policy_of(task);
  CpuInput in;
  in.now = t.input.now;
  const auto& cpu_max = std::get<CpuMax>(task.cpu.limit.value());
  in.quota_cores = cores_of(cpu_max);
  in.max_cores = bounds.cpu_max;
  in.min_cores = bounds.cpu_min;
  in.step_cores = policy.cpu.step_cores;
  in.node_cores = t.node.cpu_capacity_cores;
  in.period_seconds = in_seconds(cpu_max.period);
  if (cpu_max.burst) in.burst_ratio = policy.cpu.burst_ratio.value_or(0);
  in.max_delay_seconds = in_seconds(policy.max_delay);
  in.writes_left = writes_left(task.cpu, policy.cpu.writes_per_minute);
  in.writes_per_minute = policy.cpu.writes_per_minute;
  in.budget_spent_ratio = 1 - static_cast<double>(in.writes_left) / policy.cpu.writes_per_minute;
  if (task.fresh && t.full()) in.signals = &task.signals;
  if (const auto e = t.events.find(task.facts.id); e != t.events.end()) {
    in.throttled_at = e->second->at;
    in.idle_until = e->second->idle_until;
    in.runnable_threads = e->second->runnable_threads;
  }
  in.load_valid = task.load.has_value() && t.input.now < task.load_until;
  if (task.load_new && in.load_valid) in.new_load = &*task.load;
  in.memory_stalled = memory_is_the_cure(task.cause.now);
  in.flow = &task.flow;
  if (task.forecaster && task.forecaster->latest.acts()) {
    in.forecast_cores = task.forecaster->latest.cores;
    in.forecast_floor_cores = task.forecaster->latest.floor_cores;
  }
  return in;
}

MemoryInput memory_input(const Tick& t, const TaskState& task, const Bounds& bounds) {
  const auto& policy = t.policy_of(task);
  MemoryInput in;
  in.now = t.input.now;
  in.high_bytes = number_of(task.memory.limit.value());
  in.max_bytes = bounds.memory_max;
  const auto ordered = task.hold ? task.hold->bounds.memory_min : std::nullopt;
  in.min_bytes = static_cast<double>(ordered.value_or(policy.memory.min_bytes));
  in.pressure_target = policy.memory.pressure_target;
  in.tolerance = policy.memory.tolerance;
  in.writes_left = writes_left(task.memory, policy.memory.writes_per_minute);
  in.writes_per_minute = policy.memory.writes_per_minute;
  in.interval_seconds = in_seconds(policy.memory.interval);
  if (task.fresh && t.full()) in.signals = &task.signals;
  if (task.sample) in.sample = &*task.sample;
  in.write_blocked = task.memory_write_blocked;
  in.page_bytes = static_cast<double>(t.node.page_bytes);
  return in;
}

void claim_cpu(Tick& t, TaskState& task, const Bounds& bounds, Lane& lane) {
  const auto& cpu = t.policy_of(task).cpu;
  const bool concerned = t.full() || t.events.contains(task.facts.id) || task.load_new;
  const bool governed = task.cpu.limit.present() && cpu.enabled;
  std::optional<CpuInput> in;
  if (governed && concerned && !frozen(task)) {
    in = cpu_input(t, task, bounds);
    observe_cpu(*in, task.cpu_control);
    task.cpu_need_cores = needed_cores(*in, task.cpu_control);
  }
  KnobClaim c = standing(task, Knob::cpu_max, bounds, t.context());
  if (!governed) return lane.add(c, task);
  if (in) {
    if (c.movable) c.intent = cpu_intent(t, task, *in);
    // There is a new intent, or nothing waits for CPU any more: the deferred intent is dropped.
    if (c.intent.changes() || (t.full() && !task.cpu_control.oldest_wait_since))
      task.deferred_cpu_intent.reset();
    task.load_new = false;
  }
  if (has_cause(t)) reassert(task.cpu, c);
  if (c.movable && !c.intent.changes() && task.deferred_cpu_intent) c.intent = *task.deferred_cpu_intent;
  const auto* pin = pin_of(task);
  if (pin && pin->cpu_cores) {
    c.intent = pinned(*pin->cpu_cores);
    c.exact = true;
    c.movable = writable(t, task, task.cpu);  // a pin ignores the budget
  }
  c.min_scheduled = task.scheduled.min && !(task.hold && task.hold->bounds.cpu_min_cores);
  c.max_scheduled = task.scheduled.max && !(task.hold && task.hold->bounds.cpu_max_cores);
  limit_rate(t, cpu.scaling, concerned, task.cpu, c);
  watch_maximum(t, task.cpu, c);
  if (t.full() && c.movable && other_burst(t, task)) lane.bursts.push_back(lane.claims.size());
  lane.add(c, task);
}

void claim_memory(Tick& t, TaskState& task, const Bounds& bounds, Lane& lane) {
  const auto& memory = t.policy_of(task).memory;
  KnobClaim c = standing(task, Knob::memory_high, bounds, t.context());
  if (!task.memory.limit.present() || !memory.enabled) return lane.add(c, task);
  const MemoryInput in = memory_input(t, task, bounds);
  if (!frozen(task)) {
    observe_memory(in, task.memory_control);
    task.memory_write_blocked = false;
  }
  const auto* pin = pin_of(task);
  if (pin && pin->memory_high) {
    c.intent = pinned(static_cast<double>(*pin->memory_high));
    c.exact = true;
    c.movable = writable(t, task, task.memory);
  } else if (c.movable) {
    c.intent = decide_memory(in, task.memory_control);
    reassert(task.memory, c);
  }
  limit_rate(t, memory.scaling, true, task.memory, c);
  watch_maximum(t, task.memory, c);
  // No cut below what reclaim cannot free, so none while that is unknown.
  if (!task.sample || !task.sample->memory_stat) c.bound_waits = true;
  lane.add(c, task);
}

// After the node was full once, each task keeps the cpu.weight that it is due. A node that fills again is
// then shared correctly from the first moment.
void plan_weights(Tick& t, const Lane& lane, const CpuNode& node) {
  const auto due = due_weights(lane.claims, node);
  for (std::size_t i = 0; i < due.size(); ++i) {
    const TaskState& task = *lane.tasks[i];
    const auto& limit = task.weight.limit;
    if (!lane.claims[i].governed || !writable(t, task, task.weight)) continue;
    if (writes_left(task.weight, t.policy_of(task).cpu.writes_per_minute) == 0) continue;
    const auto& baseline = std::get<CpuWeight>(*limit.baseline());
    const CpuWeight value = weight_of(baseline, due[i]);
    if (KnobValue(value) == limit.value() || !differs(lane.claims[i].weight_held, due[i])) continue;
    Write w{task.facts.id,
            Knob::cpu_weight,
            value,
            Reason{.rule = Rule::weight, .wanted = due[i] * baseline.weight},
            {}};
    if (value == baseline && limit.touched()) w.reason = Reason{.rule = Rule::released};
    t.plan.writes.push_back(w);
  }
}

void share_cpu(Tick& t, const Lane& lane) {
  const CpuNode node{capacity_of(Knob::cpu_max, t.context()), t.config.node.cpu_reserve_cores};
  Share share = arbitrate(lane.claims, node.capacity_cores, Knob::cpu_max);
  if (has_cause(t)) {
    const bool by_weight = t.config.node.share_by == config::ShareBy::weight;
    const bool full = by_weight && is_full(lane.claims, share, node, t.state.cpu_full);
    t.state.weighs = by_weight && (t.state.weighs || full);
    t.state.cpu_full = full && weights_hold(lane.claims, node);
    if (t.state.weighs && t.full()) plan_weights(t, lane, node);
  }
  if (t.state.cpu_full) {
    share = share_by_weight(lane.claims, share, node);
    for (TaskState* task : lane.tasks) task->deferred_cpu_intent.reset();
  }
  for (std::size_t i = 0; i < share.unmet.size(); ++i) {
    if (share.unmet[i]) lane.tasks[i]->deferred_cpu_intent = lane.claims[i].intent;
  }
  t.report.node.cpu_allocated_cores = share.allocated;
  t.report.node.cpu_missing_cores = share.missing;
  t.minima_exceed |= share.minima_exceed;
  if (has_cause(t)) plan_grants(t, lane, share, Knob::cpu_max);
  if (t.full()) plan_bursts(t, lane, share);
}

void share_memory(Tick& t, const Lane& lane) {
  const Share share = arbitrate(lane.claims, capacity_of(Knob::memory_high, t.context()), Knob::memory_high);
  t.report.node.memory_allocated = static_cast<Bytes>(share.allocated);
  t.report.node.memory_missing = static_cast<Bytes>(share.missing);
  t.minima_exceed |= share.minima_exceed;
  plan_grants(t, lane, share, Knob::memory_high);
}

}  // namespace sluice::parts
