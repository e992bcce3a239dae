// The tick: sample -> signal -> decide -> arbitrate -> plan, and the report. Its parts are in governor_*.cpp.
#include "daemon/tick/tick.hpp"

#include <algorithm>
#include <cmath>

#include "daemon/arbitrate/arbitrate.hpp"
#include "daemon/arbitrate/validate.hpp"
#include "daemon/tick/parts.hpp"
#include "daemon/values/knob_value.hpp"

namespace sluice {
namespace {

using namespace parts;

std::uint32_t writes_left(const KnobState& knob, std::uint32_t budget) {
  return knob.writes.size() >= budget ? 0 : budget - static_cast<std::uint32_t>(knob.writes.size());
}

CpuInput cpu_input(const Tick& t, const TaskState& task, const Bounds& bounds) {
  const auto& policy = t.policy_of(task);
  CpuInput in;
  in.now = t.input.now;
  const auto& cpu_max = std::get<CpuMax>(task.cpu.limit.value());
  in.quota_cores = cores_of(cpu_max);
  in.max_cores = bounds.cpu_max;
  in.min_cores = bounds.cpu_min;
  in.step_cores = policy.cpu.step_cores;
  in.node_cores = t.input.node.cpu_capacity_cores;
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
  return in;
}

Intent pinned(double value) {
  return {value, Reason{.rule = Rule::pinned, .wanted = value}};
}

// A controller's new word goes before the old one.
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

// In dry-run what is still ours is given back before anything is pretended.
bool writable(const Tick& t, const TaskState& task, const KnobState& knob) {
  return governable(t, task) && knob.limit.may_send() &&
         (t.mode == config::Mode::enforce || !knob.limit.touched());
}

KnobClaim claim_of(const Tick& t, const TaskState& task, const KnobState& knob, double min, double max,
                   double tolerance, std::uint32_t budget) {
  KnobClaim c;
  c.id = task.facts.id;
  c.current = in_force(knob);
  c.min = min;
  c.max = max;
  c.weight = t.policy_of(task).weight;
  c.priority = t.policy_of(task).priority;
  c.tolerance = tolerance;
  c.movable = writable(t, task, knob) && writes_left(knob, budget) > 0;
  return c;
}

// How far the knob may go by its rate policies. A look is what the stabilization windows are made of.
void limit_rate(const Tick& t, const config::Scaling& scaling, bool looked, KnobState& knob, KnobClaim& c) {
  if (scaling.none()) return;
  if ((looked || c.intent.changes()) && c.movable && !c.exact) {
    const double wish = c.intent.changes() ? c.intent.value : c.current;
    note_wish(scaling, t.input.now, wish, c.current, knob.rates);
  }
  c.rate = rate_limits(scaling, knob.rates, t.input.now, c.current, c.step);
  c.rate_free = beyond_rates(c.intent.reason.rule);
}

// One knob of every task: decide, share out, plan.
struct Lane {
  std::vector<KnobClaim> claims;
  std::vector<TaskState*> tasks;
  std::vector<std::size_t> bursts;  // claims whose quota calls for another burst, if it stays

  void reserve(std::size_t n) {
    claims.reserve(n);
    tasks.reserve(n);
  }
  void add(const KnobClaim& claim, TaskState& task) {
    claims.push_back(claim);
    tasks.push_back(&task);
  }
};

void plan_grants(Tick& t, const Lane& lane, const Share& share, Knob knob) {
  for (const auto& g : share.grants) {
    const TaskState& task = *lane.tasks[g.claim];
    const KnobState& state = knob == Knob::cpu_max ? task.cpu : task.memory;
    const KnobValue value =
        knob == Knob::cpu_max
            ? KnobValue{with_burst(cpu_max_of(g.value, std::get<CpuMax>(state.limit.value()).period),
                                   std::get<CpuMax>(*state.limit.baseline()),
                                   t.policy_of(task).cpu.burst_ratio)}
            : KnobValue{memory_limit_of(g.value)};
    if (value == state.limit.value()) continue;
    Write w{task.facts.id, knob, value, g.reason, {}};
    if (knob == Knob::cpu_max) {
      if (const auto e = t.events.find(task.facts.id); e != t.events.end() && !t.full())
        w.caused_at = e->second->at;
    }
    t.plan.writes.push_back(w);
  }
}

// A quota that stays may call for another burst: the configuration changed, or an external writer set it.
// Seldom, so that a kernel with a mind of its own costs no budget.
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

// A receipt alone is no cause for a plan. Were it one, a full node would be shared out anew with every
// answer, while other writes are still under way, and the tasks would take from each other in turn until
// their budgets are gone.
bool has_cause(const Tick& t) {
  return t.full() || !t.events.empty() || !t.input.commands.empty();
}

void claim_cpu(Tick& t, TaskState& task, const Bounds& bounds, Lane& lane) {
  if (!task.cpu.limit.present() || !t.policy_of(task).cpu.enabled) return;
  const auto& cpu = t.policy_of(task).cpu;
  KnobClaim c =
      claim_of(t, task, task.cpu, bounds.cpu_min, bounds.cpu_max, cpu.tolerance, cpu.writes_per_minute);
  const bool concerned = t.full() || t.events.contains(task.facts.id) || task.load_new;
  if (concerned) {
    const CpuInput in = cpu_input(t, task, bounds);
    observe_cpu(in, task.cpu_control);
    if (c.movable) c.intent = cpu_intent(t, task, in);
    // A new word, or nothing waiting for CPU any more: what the node could not give is no longer wanted.
    if (c.intent.changes() || (t.full() && !task.cpu_control.binding_since)) task.cpu_unmet.reset();
    task.load_new = false;
  }
  if (has_cause(t)) reassert(task.cpu, c);
  if (c.movable && !c.intent.changes() && task.cpu_unmet) c.intent = *task.cpu_unmet;
  const auto* pin = pin_of(task);
  if (pin && pin->cpu_cores) {
    c.intent = pinned(*pin->cpu_cores);
    c.exact = true;
    c.movable = writable(t, task, task.cpu);  // an administrator does not wait for the budget
  }
  c.step = cpu.step_cores;
  c.min_scheduled = task.scheduled.min && !(task.hold && task.hold->bounds.cpu_min_cores);
  c.max_scheduled = task.scheduled.max && !(task.hold && task.hold->bounds.cpu_max_cores);
  limit_rate(t, cpu.scaling, concerned, task.cpu, c);
  if (t.full() && c.movable && other_burst(t, task)) lane.bursts.push_back(lane.claims.size());
  lane.add(c, task);
}

void claim_memory(Tick& t, TaskState& task, const Bounds& bounds, Lane& lane) {
  if (!task.memory.limit.present() || !t.policy_of(task).memory.enabled) return;
  const auto& memory = t.policy_of(task).memory;
  KnobClaim c = claim_of(t, task, task.memory, bounds.memory_min, bounds.memory_max, memory.tolerance,
                         memory.writes_per_minute);
  const MemoryInput in = memory_input(t, task, bounds);
  observe_memory(in, task.memory_control);
  task.memory_write_blocked = false;
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
  lane.add(c, task);
}

void share_cpu(Tick& t, const Lane& lane) {
  const double capacity = std::max(0.0, t.input.node.cpu_capacity_cores - t.config.node.cpu_reserve_cores);
  const Share share = arbitrate(lane.claims, capacity);
  for (std::size_t i = 0; i < share.unmet.size(); ++i) {
    if (share.unmet[i]) lane.tasks[i]->cpu_unmet = lane.claims[i].intent;
  }
  t.report.node.cpu_allocated_cores = share.allocated;
  t.report.node.cpu_missing_cores = share.missing;
  t.minima_exceed |= share.minima_exceed;
  if (has_cause(t)) plan_grants(t, lane, share, Knob::cpu_max);
  if (t.full()) plan_bursts(t, lane, share);
}

void share_memory(Tick& t, const Lane& lane) {
  const double capacity = std::max(0.0, static_cast<double>(t.input.node.memory_capacity) -
                                            static_cast<double>(t.config.node.memory_reserve_bytes));
  const Share share = arbitrate(lane.claims, capacity);
  t.report.node.memory_allocated = static_cast<Bytes>(share.allocated);
  t.report.node.memory_missing = static_cast<Bytes>(share.missing);
  t.minima_exceed |= share.minima_exceed;
  plan_grants(t, lane, share, Knob::memory_high);
}

// The baseline, for a limit that is not to be governed now: a policy like any other, and the limit knows when
// it is due.
void plan_release(Tick& t, TaskState& task) {
  const auto& policy = t.policy_of(task);
  const bool whole = t.mode != config::Mode::enforce || t.input.stopping || suspended(t, task) ||
                     task.breaker.state == BreakerState::open || t.input.now < task.yield_until;
  auto release = [&](KnobState& knob, Knob which, bool enabled) {
    if (!whole && enabled) return;
    if (t.input.stopping && !t.state.stopping) knob.limit.hurry_release();
    if (!knob.limit.release_due(t.input.now)) return;
    t.plan.writes.push_back(
        {task.facts.id, which, *knob.limit.baseline(), Reason{.rule = Rule::released}, {}});
  };
  release(task.cpu, Knob::cpu_max, policy.cpu.enabled);
  release(task.memory, Knob::memory_high, policy.memory.enabled);
}

void name_causes(Tick& t) {
  for (auto& w : t.plan.writes) {
    const bool throttled_now = w.knob == Knob::cpu_max && t.events.contains(w.id);
    w.reason.cause = cause_of_decision(t.state.tasks.at(w.id).cause.now, throttled_now);
  }
}

void drop_invalid(Tick& t) {
  const auto violations = validate_plan(t.plan, t.context());
  if (violations.empty()) return;
  std::vector<bool> bad(t.plan.writes.size());
  for (const auto& v : violations) {
    if (!bad[v.write]) {
      auto& n = t.notice(Notice::Kind::plan_violation, t.state.tasks.at(t.plan.writes[v.write].id));
      n.invariant = to_string(v.invariant);
      n.expected = t.plan.writes[v.write].value;
    }
    bad[v.write] = true;
  }
  std::vector<Write> good;
  for (std::size_t i = 0; i < bad.size(); ++i) {
    if (!bad[i]) good.push_back(t.plan.writes[i]);
  }
  t.plan.writes = std::move(good);
}

// What the plan does to the state: orders sent or pretended, budgets, learned margins.
void commit_plan(Tick& t) {
  const auto context = t.context();
  for (const auto& w : t.plan.writes) {
    TaskState& task = t.state.tasks.at(w.id);
    KnobState& knob = knob_of(task, w.knob);
    const KnobValue before = knob.limit.value();
    if (t.plan.dry_run) {
      knob.limit.pretend(w.value, w.reason, t.input.now);
      report_adjustment(t, task, w.knob, {ManagedLimit::Event::confirmed, before, w.value}, nullptr);
    } else {
      knob.limit.send(w.value, w.reason, t.input.now);
    }
    if (w.reason.rule == Rule::released) continue;
    knob.writes.push_back(t.input.now);
    note_undo(task, w.reason.rule, t.input.now);
    const Bounds bounds = bounds_of(task, context);
    const double from = number_of(before), to = number_of(w.value);
    if (w.knob == Knob::cpu_max) {
      cpu_written(cpu_input(t, task, bounds), from, to, w.reason.rule, task.cpu_control);
    } else {
      memory_written(memory_input(t, task, bounds), from, to, w.reason.rule, task.memory_control);
    }
  }
  t.state.stopping = t.input.stopping;
}

void expire(Tick& t, TaskState& task) {
  const auto now = t.input.now;
  if (task.load && now >= task.load_until) task.load.reset();
  try_again(t, task);
  for (KnobState* knob : {&task.cpu, &task.memory}) {
    while (!knob->writes.empty() && now - knob->writes.front() >= kBudgetWindow) knob->writes.pop_front();
  }
}

// All that concerns one task alone, in one go: many tasks fit into no cache, and so each is fetched once.
void govern(Tick& t) {
  const bool enforcing = t.mode == config::Mode::enforce && !t.input.stopping;
  if (!enforcing) {
    for (const auto& each : t.tasks) plan_release(t, *each.task);
  }
  // What a mode that writes nothing has still to give back comes first.
  const bool decides = t.mode != config::Mode::observe && !t.input.stopping && t.plan.writes.empty();
  t.plan.dry_run = decides && t.mode == config::Mode::dry_run;
  Lane cpu, memory;
  const auto context = t.context();
  if (decides) cpu.reserve(t.tasks.size());
  if (decides && t.full()) memory.reserve(t.tasks.size());
  if (t.report.whole) t.report.tasks.resize(t.tasks.size());
  for (const auto& each : t.tasks) {
    TaskState& task = *each.task;
    expire(t, task);
    if (t.full()) follow_schedule(t, task);
    if (each.seen) take_sample(t, task, *each.seen);
    if (t.full()) follow_forecast(t, task);
    const Bounds bounds = bounds_of(task, context);
    if (t.full()) watch_harm(t, task, bounds);
    if (enforcing) plan_release(t, task);
    if (decides) claim_cpu(t, task, bounds, cpu);
    if (decides && t.full()) claim_memory(t, task, bounds, memory);
    if (t.report.whole) fill_row(t, task, bounds);
  }
  if (!decides) return;
  share_cpu(t, cpu);
  if (t.full()) share_memory(t, memory);
}

}  // namespace

Outcome tick(const Input& input, const config::Config& config, State state) {
  Tick t{input, config, std::move(state)};
  if (t.state.ticks == 0) t.state.holds = input.holds;
  t.mode = t.state.holds.mode.value_or(config.node.mode);
  t.report.whole = t.full() || !input.commands.empty();
  for (const auto& e : input.events) {
    const auto [first, added] = t.events.try_emplace(e.id, &e);
    if (!added && e.at < first->second->at) first->second = &e;
  }
  ++t.state.ticks;
  t.state.events_total += input.events.size();

  inherit_limits(t);
  recall_profiles(t);
  if (t.full()) {
    settle_tasks(t);  // first: after a reload the rules that tasks know are of the old configuration
  } else {
    list_tasks(t);
  }
  apply_receipts(t);
  obey_commands(t);
  expire_holds(t);
  find_holds(t);
  enter_mode(t);
  govern(t);
  std::sort(t.plan.writes.begin(), t.plan.writes.end(),
            [](const Write& a, const Write& b) { return std::tie(a.id, a.knob) < std::tie(b.id, b.knob); });
  name_causes(t);
  drop_invalid(t);
  commit_plan(t);
  project_lease(t);
  finish_rows(t);
  fill_report(t);
  return {std::move(t.state), std::move(t.plan), std::move(t.report), std::move(t.lease),
          std::move(t.let_go)};
}

}  // namespace sluice
