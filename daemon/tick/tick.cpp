// The tick: sample -> signal -> decide -> arbitrate -> plan, and the report.
#include "daemon/tick/tick.hpp"

#include <algorithm>

#include "daemon/arbitrate/validate.hpp"
#include "daemon/tick/claims.hpp"
#include "daemon/tick/parts.hpp"
#include "daemon/values/knob_value.hpp"

namespace sluice {
namespace {

using namespace parts;

// Restores the baseline of a limit that is not governed now. Release is a policy like any other; the limit
// knows when to send it.
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
  release(task.weight, Knob::cpu_weight,
          policy.cpu.enabled && t.config.node.share_by == config::ShareBy::weight);
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

// Applies the plan to the state: orders sent or simulated, budgets, learned margins.
void commit_plan(Tick& t) {
  const auto context = t.context();
  for (const auto& w : t.plan.writes) {
    TaskState& task = t.state.tasks.at(w.id);
    KnobState& knob = task.knob(w.knob);
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
    } else if (w.knob == Knob::memory_high) {
      memory_written(memory_input(t, task, bounds), from, to, w.reason.rule, task.memory_control);
    }
  }
  t.state.stopping = t.input.stopping;
}

void expire(Tick& t, TaskState& task) {
  const auto now = t.input.now;
  if (task.load && now >= task.load_until) task.load.reset();
  try_again(t, task);
  for (KnobState* knob : {&task.cpu, &task.memory, &task.weight}) {
    while (!knob->writes.empty() && now - knob->writes.front() >= kBudgetWindow) knob->writes.pop_front();
  }
}

// Everything that concerns one task alone is done in one pass, because the tasks do not all fit into the CPU
// cache.
void govern(Tick& t) {
  const bool enforcing = t.mode == config::Mode::enforce && !t.input.stopping;
  if (!enforcing) {
    for (const auto& each : t.tasks) plan_release(t, *each.task);
  }
  // Releases of a mode that writes nothing come first.
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
    if (each.seen) watch_pressure(t, task, *each.seen);
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
  take_node(t);
  ++t.state.ticks;
  t.state.events_total += input.events.size();

  inherit_limits(t);
  recall_profiles(t);
  if (t.full()) {
    settle_tasks(t);  // first: after a reload the tasks' rules are of the old configuration
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
