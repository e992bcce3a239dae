// The report of one tick.
#include <algorithm>
#include <cmath>

#include "daemon/tick/parts.hpp"
#include "daemon/values/knob_value.hpp"

namespace sluice::parts {
namespace {

TaskMode mode_of(const Tick& t, const TaskState& task) {
  if (t.mode == config::Mode::observe) return TaskMode::observed;
  if (!task.facts.config_index) return TaskMode::leaving;
  if (suspended(t, task)) return TaskMode::suspended;
  if (t.input.now < task.yield_until) return TaskMode::yielding;
  return pin_of(task) ? TaskMode::pinned : TaskMode::governed;
}

void fill_signals(const TaskState& task, TaskReport& r) {
  r.signals = task.signals;
  r.flow = task.flow;
  r.diagnosis = task.cause.now;
  if (task.sample) r.ancestor_cpu = task.sample->ancestor_cpu;
  r.cpu_usage_cores = task.signals.usage_cores;
  if (task.signals.usage_cores) {
    r.cpu_demand_cores = *task.signals.usage_cores + task.signals.throttled_cores.value_or(0);
  }
  if (task.signals.periods && task.signals.throttled_periods) {
    r.cpu_throttled_ratio = *task.signals.periods == 0
                                ? 0.0
                                : static_cast<double>(*task.signals.throttled_periods) /
                                      static_cast<double>(*task.signals.periods);
  }
  r.cpu_pressure_ratio = task.signals.cpu_pressure_ratio;
  r.memory_pressure_ratio = task.signals.memory_pressure_ratio;
  r.refaults_per_second = task.signals.refaults_per_second;
  if (!task.sample) return;
  r.memory_current = task.sample->memory_current;
  r.source = task.sample->source;
  r.sampled_at = task.sample->read_at;
  const auto floor = memory_floor(*task.sample, 0, 0);
  if (floor) r.memory_floor = static_cast<Bytes>(*floor);
}

// When the knob can change next, as far as that depends on time.
std::optional<MonotonicTime> looks_again(const Tick& t, const KnobStory& story) {
  const MonotonicTime next = t.input.now + t.config.node.tick;
  switch (story.bar) {
    case Bar::none:
    case Bar::write_under_way:
      return next;
    case Bar::breaker:
    case Bar::yielding:
    case Bar::budget:
      return std::max(next, story.until.value_or(next));
    case Bar::pinned:
      return story.until;
    default:
      return std::nullopt;
  }
}

template <class Value>
void fill_limit(const ManagedLimit& limit, Value& value, Value& baseline) {
  if (!limit.baseline()) return;  // the knob is absent, or was not read yet
  value = std::get<Value>(limit.value());
  baseline = std::get<Value>(*limit.baseline());
}

// The fields that a plan changes at once.
void fill_writes(const Tick& t, const TaskState& task, const Bounds& bounds, TaskReport& r) {
  r.writes_last_minute = static_cast<std::uint32_t>(task.cpu.writes.size() + task.memory.writes.size() +
                                                    task.weight.writes.size());
  r.cpu_story = story_of(t, task, Knob::cpu_max);
  r.memory_story = story_of(t, task, Knob::memory_high);
  r.weight_story = story_of(t, task, Knob::cpu_weight);
  r.cpu_looks_again_at = looks_again(t, r.cpu_story);
  r.memory_looks_again_at = looks_again(t, r.memory_story);
  r.cpu_reason = task.cpu.limit.reason();
  r.memory_reason = task.memory.limit.reason();
  r.weight_reason = task.weight.limit.reason();
  r.cpu_changed_at = task.cpu.limit.changed_at();
  r.memory_changed_at = task.memory.limit.changed_at();
  r.weight_changed_at = task.weight.limit.changed_at();
  fill_limit(task.cpu.limit, r.cpu_max, r.cpu_baseline);
  fill_limit(task.memory.limit, r.memory_high, r.memory_baseline);
  fill_limit(task.weight.limit, r.cpu_weight, r.cpu_weight_baseline);
  r.memory_probe = probe_of(t, task, bounds);
  r.memory_probes_again_at.reset();
  const bool clock_decides = r.memory_story.bar == Bar::none || r.memory_story.bar == Bar::write_under_way;
  if (clock_decides && r.memory_looks_again_at && r.memory_probe.at)
    r.memory_probes_again_at = std::max(*r.memory_looks_again_at, *r.memory_probe.at);
}

void fill_task(const Tick& t, const TaskState& task, const Bounds& bounds, TaskReport& r) {
  const auto& spec = rule_of(task.facts, t.config);
  r.id = task.facts.id;
  r.name = task.facts.name;
  r.class_name = spec.class_name;
  r.cgroup = task.facts.cgroup;
  r.mode = mode_of(t, task);
  r.breaker = task.breaker.state;
  r.breaker_trip = task.breaker.trip;
  r.breaker_cause = task.breaker.cause;
  if (task.breaker.state == BreakerState::open) r.breaker_retry_at = task.breaker.retry_at;
  if (const auto* pin = pin_of(task)) {
    r.pinned_by = pin->owner;
    r.hold_reason = pin->reason;
  } else if (task.hold && task.hold->suspension) {
    r.hold_reason = task.hold->suspension->reason;
  } else if (t.state.holds.node) {
    r.hold_reason = t.state.holds.node->reason;
  }
  fill_signals(task, r);
  if (task.load) {
    r.lag = task.load->lag;
    r.backlog_cpu_seconds = task.cpu_control.backlog_cpu_seconds;
    r.record_cpu_seconds = task.cpu_control.cost_cpu_seconds_per_record;
  }
  r.cpu_min_cores = bounds.cpu_min;
  r.cpu_max_cores = bounds.cpu_max;
  r.scheduled = task.scheduled;
  if (task.hold && task.hold->bounds.cpu_min_cores) r.scheduled.min.reset();
  if (task.hold && task.hold->bounds.cpu_max_cores) r.scheduled.max.reset();
  if (task.forecaster) r.forecast = task.forecaster->latest;
  r.memory_min = static_cast<Bytes>(bounds.memory_min);
  r.memory_max = static_cast<Bytes>(bounds.memory_max);
  r.pressure_unknown = pressure_is_unknown(t, task);
  fill_writes(t, task, bounds, r);
  r.writes_total = task.writes_total;
  r.drift_total = task.drift_total;
}

}  // namespace

void fill_row(Tick& t, const TaskState& task, const Bounds& bounds) {
  fill_task(t, task, bounds, t.report.tasks[task.place]);
}

void finish_rows(Tick& t) {
  if (t.report.whole) {
    const auto context = t.context();
    for (const auto& w : t.plan.writes) {
      const TaskState& task = t.state.tasks.at(w.id);
      fill_writes(t, task, bounds_of(task, context), t.report.tasks[task.place]);
    }
    return;
  }
  // Only the tasks that changed: an event tick must be short.
  std::vector<const TaskState*> some;
  auto add = [&](CgroupId id) {
    if (const auto found = t.state.tasks.find(id); found != t.state.tasks.end())
      some.push_back(&found->second);
  };
  for (const auto& [id, at] : t.events) add(id);
  for (const auto& r : t.input.receipts) add(r.id);
  for (const auto& w : t.plan.writes) add(w.id);
  std::sort(some.begin(), some.end(), [](const auto* a, const auto* b) { return a->place < b->place; });
  some.erase(std::unique(some.begin(), some.end()), some.end());
  t.report.tasks.reserve(some.size());
  const auto context = t.context();
  for (const TaskState* task : some)
    fill_task(t, *task, bounds_of(*task, context), t.report.tasks.emplace_back());
}

void fill_report(Tick& t) {
  Report& r = t.report;
  r.tick = t.state.ticks;
  r.now = t.input.now;
  r.node.mode = t.mode;
  r.node.suspended = t.state.holds.node.has_value();
  if (t.state.holds.node) r.node.suspend_reason = t.state.holds.node->reason;
  for (const auto& [name, hold] : t.state.holds.tasks) {
    if (!hold.pin && !hold.suspension) continue;
    const auto uid = hold.pin ? hold.pin->uid : hold.suspension->uid;
    r.holds.push_back(
        {name, hold.pin.has_value(), hold.suspension.has_value(), uid, hold.pin ? hold.pin->owner : ""});
  }
  r.node.cpu_capacity_cores = t.node.cpu_capacity_cores;
  r.node.memory_capacity = t.node.memory_capacity;
  r.node.ticks = t.state.ticks;
  r.node.writes_total = t.state.writes_total;
  r.node.events_total = t.state.events_total;

  if (t.full()) {
    t.state.memory_allocated = r.node.memory_allocated;
    t.state.memory_missing = r.node.memory_missing;
  } else {
    r.node.memory_allocated = t.state.memory_allocated;
    r.node.memory_missing = t.state.memory_missing;
  }

  // Shortages below kCoresMin are rounding. Saturation ends kHold after the last shortage.
  constexpr double kCoresMin = 0.01;
  constexpr auto kHold = std::chrono::seconds(5);
  State& s = t.state;
  if (r.node.cpu_missing_cores > kCoresMin || r.node.memory_missing > 0) {
    s.saturated_until = t.input.now + kHold;
    s.missing_cores = std::max(s.missing_cores, r.node.cpu_missing_cores);
    s.missing_bytes = std::max(s.missing_bytes, r.node.memory_missing);
  }
  const bool saturated = t.input.now < s.saturated_until;
  if (!saturated) {
    s.missing_cores = 0;
    s.missing_bytes = 0;
  }
  r.node.cpu_missing_cores = s.missing_cores;
  r.node.memory_missing = s.missing_bytes;
  auto tell = [&](Notice::Kind kind) {
    Notice n;
    n.kind = kind;
    n.missing_cores = s.missing_cores;
    n.missing_bytes = s.missing_bytes;
    r.notices.push_back(n);
  };
  if (saturated != s.saturated) tell(saturated ? Notice::Kind::saturated : Notice::Kind::unsaturated);
  s.saturated = saturated;
  r.node.saturated = t.state.saturated;
  report_pressure(t);
  if (t.full() && t.minima_exceed != t.state.minima_exceed) {
    if (t.minima_exceed) tell(Notice::Kind::minima_exceed_capacity);
    t.state.minima_exceed = t.minima_exceed;
  }
}

}  // namespace sluice::parts
