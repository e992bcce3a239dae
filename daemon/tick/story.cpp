// What the report shows of a knob: who set its value, what may become of it, and what cannot be measured.
#include <algorithm>

#include "daemon/tick/claims.hpp"
#include "daemon/values/knob_value.hpp"

namespace sluice::parts {
namespace {

// A file that vanishes with its cgroup, or is missed once, is not reported.
constexpr auto kGapAfter = std::chrono::seconds(1);

struct Barred {
  Bar bar = Bar::none;
  std::optional<MonotonicTime> until;
};

Barred barred(const Tick& t, const TaskState& task, Knob which) {
  const auto& policy = t.policy_of(task);
  const bool cpu = which != Knob::memory_high;
  const KnobState& knob = task.knob(which);
  if (!knob.limit.baseline()) return {Bar::absent, {}};
  if (t.input.stopping) return {Bar::stopping, {}};
  if (!task.facts.config_index) return {Bar::leaving, {}};
  if (!(cpu ? policy.cpu.enabled : policy.memory.enabled)) return {Bar::disabled, {}};
  if (t.mode == config::Mode::observe) return {Bar::observing, {}};
  if (suspended(t, task)) return {Bar::suspended, {}};
  if (task.breaker.state == BreakerState::open) return {Bar::breaker, task.breaker.retry_at};
  if (t.input.now < task.yield_until) return {Bar::yielding, task.yield_until};
  if (const auto* pin = pin_of(task);
      pin && which != Knob::cpu_weight && (cpu ? pin->cpu_cores.has_value() : pin->memory_high.has_value()))
    return {Bar::pinned, pin->until};
  const auto budget = cpu ? policy.cpu.writes_per_minute : policy.memory.writes_per_minute;
  if (knob.writes.size() >= budget) return {Bar::budget, knob.writes.front() + kBudgetWindow};
  return {knob.limit.in_flight() ? Bar::write_under_way : Bar::none, {}};
}

}  // namespace

KnobStory story_of(const Tick& t, const TaskState& task, Knob which) {
  const auto [bar, until] = barred(t, task, which);
  const auto& limit = task.knob(which).limit;
  KnobStory story{limit.origin(), bar, until, std::nullopt, {}};
  if (const auto& order = limit.order()) {
    story.ordered = order->value;
    story.ordered_at = order->sent_at;
  }
  return story;
}

ProbeOutlook probe_of(const Tick& t, const TaskState& task, const Bounds& bounds) {
  MemoryInput in = memory_input(t, task, bounds);
  if (!t.full() && task.signals.interval_seconds > 0) in.signals = &task.signals;  // of the last full tick
  auto outlook = probe_outlook(in, task.memory_control);
  const auto& scaling = t.policy_of(task).memory.scaling;
  if (outlook.bar != ProbeBar::none || scaling.none() || std::isinf(in.high_bytes)) return outlook;
  const auto rate = rate_limits(scaling, task.memory.rates, t.input.now, in.high_bytes, 0);
  if (rate.lowest > in.high_bytes * (1 - in.tolerance)) return {ProbeBar::rate_policy, std::nullopt};
  return outlook;
}

void watch_pressure(Tick& t, TaskState& task, const Observation& seen) {
  if (!seen.sample) return;  // nothing was read
  const auto& sample = *seen.sample;
  const bool matters = sample.memory_current && t.policy_of(task).memory.enabled;
  if (!matters || sample.memory_pressure) {
    task.pressure_unknown_since.reset();
  } else if (!task.pressure_unknown_since) {
    task.pressure_unknown_since = t.input.now;
  }
}

bool pressure_is_unknown(const Tick& t, const TaskState& task) {
  return task.pressure_unknown_since && t.input.now >= *task.pressure_unknown_since + kGapAfter;
}

void report_pressure(Tick& t) {
  const auto unknown =
      static_cast<std::size_t>(std::count_if(t.tasks.begin(), t.tasks.end(), [&](const Listed& each) {
        return pressure_is_unknown(t, *each.task);
      }));
  t.report.node.pressure_unknown = unknown;
  if (!t.full() || (unknown > 0) == t.state.pressure_unknown) return;
  t.state.pressure_unknown = unknown > 0;
  auto& notice = t.report.notices.emplace_back();
  notice.kind = unknown > 0 ? Notice::Kind::pressure_unknown : Notice::Kind::pressure_known;
  notice.tasks = unknown;
}

}  // namespace sluice::parts
