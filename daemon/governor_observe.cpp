// What the tick is told of the tasks: which there are, what they do, and whether another hand was on a knob.
#include "daemon/governor_parts.hpp"

namespace sluice::parts {
namespace {

void adopt_knob(KnobState& knob, bool present, const KnobValue& baseline,
                const std::optional<KnobValue>& holds) {
  knob.present = present;
  knob.baseline = baseline;
  knob.holds = holds.value_or(baseline);
}

std::optional<KnobValue> sampled(const Sample& s, Knob knob) {
  if (knob == Knob::cpu_max) return s.cpu_max ? std::optional<KnobValue>(*s.cpu_max) : std::nullopt;
  return s.memory_high ? std::optional<KnobValue>(*s.memory_high) : std::nullopt;
}

// Another hand on the knob. The baseline come back (systemd's reload does it) is put right at once; any
// other value is somebody's wish, and is yielded to for a while, unless the config says otherwise.
void check_drift(Tick& t, TaskState& task, KnobState& knob, Knob which) {
  if (!knob.present || knob.in_flight || t.mode != config::Mode::enforce) return;
  const auto found = sampled(*task.sample, which);
  if (!found || task.sample->read_at <= knob.confirmed_at || *found == knob.holds) return;
  constexpr auto kYield = std::chrono::seconds(60);
  constexpr auto kResetWindow = std::chrono::minutes(1);
  constexpr std::size_t kResetsMax = 5;  // more in a minute is a fight, not a reload
  const bool reset = knob.touched && *found == knob.baseline;
  Notice& notice = t.notice(reset ? Notice::Kind::knob_reset : Notice::Kind::foreign_write, task);
  notice.expected = knob.holds;
  notice.found = *found;
  ++task.drift_total;
  const bool was_ours = knob.touched;
  const KnobValue ours = knob.holds;
  knob.holds = *found;
  knob.changed_at = t.input.now;
  if (!was_ours) knob.baseline = *found;  // the loop journals it: an administrator moved the starting point
  if (t.config.node.on_foreign_write == config::OnForeignWrite::override_it) {
    if (was_ours) knob.reassert = ours;
    return;
  }
  if (reset) {
    while (!task.resets.empty() && t.input.now - task.resets.front() > kResetWindow) task.resets.pop_front();
    task.resets.push_back(t.input.now);
    if (task.resets.size() <= kResetsMax) {
      knob.reassert = ours;
      return;
    }
  }
  if (was_ours && !reset) {
    knob.baseline = *found;
    knob.touched = false;
  }
  if (was_ours) task.yield_until = t.input.now + kYield;
}

}  // namespace

// Appearing and vanishing tasks. A full tick lists every one.
void settle_tasks(Tick& t) {
  std::map<CgroupId, TaskState> now;
  for (const auto& o : t.input.tasks) {
    auto node = t.state.tasks.extract(o.facts.id);
    const auto& policy = t.config.tasks[o.facts.config_index].policy;
    if (node.empty()) {
      TaskState fresh;
      fresh.facts = o.facts;
      auto holds = [&](Knob k) { return o.sample ? sampled(*o.sample, k) : std::nullopt; };
      adopt_knob(fresh.cpu, o.facts.has_cpu && policy.cpu.enabled, o.facts.cpu_baseline,
                 holds(Knob::cpu_max));
      adopt_knob(fresh.memory, o.facts.has_memory && policy.memory.enabled, o.facts.memory_baseline,
                 holds(Knob::memory_high));
      t.notice(Notice::Kind::task_added, fresh);
      now.emplace(o.facts.id, std::move(fresh));
      continue;
    }
    TaskState& known = node.mapped();
    known.facts = o.facts;
    known.cpu.baseline = o.facts.cpu_baseline;
    known.memory.baseline = o.facts.memory_baseline;
    known.cpu.present = o.facts.has_cpu && (policy.cpu.enabled || known.cpu.touched);
    known.memory.present = o.facts.has_memory && (policy.memory.enabled || known.memory.touched);
    now.insert(std::move(node));
  }
  for (const auto& [id, gone] : t.state.tasks) t.notice(Notice::Kind::task_removed, gone);
  t.state.tasks = std::move(now);
}

void take_samples(Tick& t) {
  for (const auto& o : t.input.tasks) {
    TaskState& task = t.state.tasks.at(o.facts.id);
    task.fresh = false;
    if (!o.sample) {
      observe_cause(t.input.now, nullptr, task.flow, task.cause);
      continue;
    }
    if (task.sample) {
      task.signals = derive_signals(*task.sample, *o.sample);
      task.fresh = task.signals.interval_seconds > 0;
      observe_flow(task.signals, task.flow_model);
      task.flow = estimate_flow(task.signals, task.flow_model);
      observe_cause(t.input.now, &task.signals, task.flow, task.cause);
    }
    task.sample = o.sample;
    check_drift(t, task, task.cpu, Knob::cpu_max);
    check_drift(t, task, task.memory, Knob::memory_high);
  }
}

bool governable(const Tick& t, const TaskState& task) {
  return t.mode != config::Mode::observe && !t.state.suspended && !task.suspended &&
         task.breaker.state != BreakerState::open && t.input.now >= task.yield_until;
}

}  // namespace sluice::parts
