// What the tick is told of the tasks: which there are, what they do, and whether another hand was on a knob.
#include <algorithm>
#include <utility>

#include "daemon/decide/schedule.hpp"
#include "daemon/tick/parts.hpp"
#include "daemon/values/knob_value.hpp"

namespace sluice::parts {
namespace {

void adopt_knob(KnobState& knob, bool present, const KnobValue& baseline,
                const std::optional<KnobValue>& holds) {
  knob.present = present;
  knob.baseline = baseline;
  knob.holds = holds.value_or(baseline);
}

// A source that does not show the burst leaves it as it is believed to be.
std::optional<KnobValue> sampled(const Sample& s, Knob knob, const KnobValue& believed) {
  if (knob == Knob::cpu_max) {
    if (!s.cpu_max) return std::nullopt;
    CpuMax found = *s.cpu_max;
    if (!found.burst) found.burst = std::get<CpuMax>(believed).burst;
    return found;
  }
  return s.memory_high ? std::optional<KnobValue>(*s.memory_high) : std::nullopt;
}

bool same_limit(const KnobValue& a, const KnobValue& b) {
  const auto *x = std::get_if<CpuMax>(&a), *y = std::get_if<CpuMax>(&b);
  return x && y ? x->quota == y->quota && x->period == y->period : a == b;
}

// What another hand left becomes the baseline; but a burst that is still ours is none of its doing.
KnobValue adopted(const KnobValue& found, const KnobValue& ours, const KnobValue& baseline) {
  const auto* now = std::get_if<CpuMax>(&found);
  if (!now || now->burst != std::get<CpuMax>(ours).burst) return found;
  return with_burst(*now, std::get<CpuMax>(baseline), std::nullopt);
}

// Another hand on the knob. The baseline come back (systemd's reload does it) is put right at once; any
// other value is somebody's wish, and is yielded to for a while, unless the config says otherwise.
void check_drift(Tick& t, TaskState& task, KnobState& knob, Knob which) {
  if (!knob.present || knob.in_flight || t.mode != config::Mode::enforce) return;
  const auto found = sampled(*task.sample, which, knob.holds);
  if (!found || task.sample->read_at <= knob.confirmed_at || *found == knob.holds) return;
  constexpr auto kYield = std::chrono::seconds(60);
  constexpr auto kResetWindow = std::chrono::minutes(1);
  constexpr std::size_t kResetsMax = 5;  // more in a minute is a fight, not a reload
  // A reset of cpu.max need not touch the burst.
  const bool reset = knob.touched && (*found == knob.baseline ||
                                      (same_limit(*found, knob.baseline) && !same_limit(*found, knob.holds)));
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
    if (was_ours) {
      knob.reassert = ours;
    } else {
      knob.rates = {};
    }
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
  knob.rates = {};  // from another's value every way begins anew
  if (was_ours && !reset) {
    knob.baseline = adopted(*found, ours, knob.baseline);
    knob.touched = !(knob.baseline == *found);
  }
  if (was_ours) task.yield_until = t.input.now + kYield;
}

TaskState newcomer(const Tick& t, const Observation& o) {
  const auto& policy = t.config.tasks[o.facts.config_index].policy;
  TaskState task;
  task.facts = o.facts;
  auto adopt = [&](KnobState& knob, Knob which, bool present, const KnobValue& baseline) {
    adopt_knob(knob, present, baseline, o.sample ? sampled(*o.sample, which, baseline) : std::nullopt);
  };
  adopt(task.cpu, Knob::cpu_max, o.facts.has_cpu && policy.cpu.enabled, o.facts.cpu_baseline);
  adopt(task.memory, Knob::memory_high, o.facts.has_memory && policy.memory.enabled, o.facts.memory_baseline);
  return task;
}

void follow_facts(const Tick& t, TaskState& task, const TaskFacts& facts) {
  const auto& policy = t.config.tasks[facts.config_index].policy;
  if (!(task.facts == facts)) task.facts = facts;
  task.cpu.baseline = facts.cpu_baseline;
  task.memory.baseline = facts.memory_baseline;
  task.cpu.present = facts.has_cpu && (policy.cpu.enabled || task.cpu.touched);
  task.memory.present = facts.has_memory && (policy.memory.enabled || task.memory.touched);
}

void drop_unlisted(Tick& t) {
  auto& tasks = t.state.tasks;
  for (auto next = tasks.begin(); next != tasks.end();) {
    const auto task = next++;
    if (task->second.listed_tick == t.state.ticks) continue;
    keep_profile(t, task->second);
    t.notice(Notice::Kind::task_removed, task->second);
    tasks.erase(task);
  }
}

void order_by_name(std::map<CgroupId, TaskState>& tasks) {
  std::vector<TaskState*> order;
  order.reserve(tasks.size());
  for (auto& [id, task] : tasks) order.push_back(&task);
  std::sort(order.begin(), order.end(),
            [](const auto* a, const auto* b) { return a->facts.name < b->facts.name; });
  for (std::size_t i = 0; i < order.size(); ++i) order[i]->place = i;
}

}  // namespace

// Appearing and vanishing tasks. A full tick lists every one, and nearly always the same ones by id.
void settle_tasks(Tick& t) {
  auto& tasks = t.state.tasks;
  bool names_changed = false;
  auto next = tasks.begin();
  t.tasks.reserve(t.input.tasks.size());
  for (const auto& o : t.input.tasks) {
    if (next == tasks.end() || next->first != o.facts.id) next = tasks.find(o.facts.id);
    if (next == tasks.end()) {
      next = tasks.emplace(o.facts.id, newcomer(t, o)).first;
      t.notice(Notice::Kind::task_added, next->second);
      names_changed = true;
    } else {
      names_changed |= next->second.facts.name != o.facts.name;
      follow_facts(t, next->second, o.facts);
    }
    if (std::exchange(next->second.listed_tick, t.state.ticks) != t.state.ticks)
      t.tasks.push_back({&next->second, &o});
    ++next;
  }
  const auto by_id = [](const Listed& a, const Listed& b) { return a.seen->facts.id < b.seen->facts.id; };
  if (!std::is_sorted(t.tasks.begin(), t.tasks.end(), by_id))
    std::sort(t.tasks.begin(), t.tasks.end(), by_id);
  const bool some_left = t.tasks.size() < tasks.size();
  if (some_left) drop_unlisted(t);
  if (names_changed || some_left) order_by_name(tasks);
}

void list_tasks(Tick& t) {
  t.tasks.reserve(t.state.tasks.size());
  for (auto& [id, task] : t.state.tasks) t.tasks.push_back({&task, nullptr});
}

void follow_schedule(const Tick& t, TaskState& task) {
  const auto& schedule = t.policy_of(task).schedule;
  if (schedule.empty() || task.scheduled_at == t.input.wall.since_epoch) return;
  task.scheduled = scheduled(schedule, t.input.wall);
  task.scheduled_at = t.input.wall.since_epoch;
}

void take_sample(Tick& t, TaskState& task, const Observation& seen) {
  task.fresh = false;
  if (!seen.sample) {
    observe_cause(t.input.now, nullptr, task.flow, task.cause);
    return;
  }
  if (task.sample) {
    task.signals = derive_signals(*task.sample, *seen.sample);
    task.fresh = task.signals.interval_seconds > 0;
    observe_flow(task.signals, task.flow_model);
    task.flow = estimate_flow(task.signals, task.flow_model);
    observe_cause(t.input.now, &task.signals, task.flow, task.cause);
  }
  task.sample = seen.sample;
  check_drift(t, task, task.cpu, Knob::cpu_max);
  check_drift(t, task, task.memory, Knob::memory_high);
}

bool governable(const Tick& t, const TaskState& task) {
  return t.mode != config::Mode::observe && !t.state.suspended && !task.suspended &&
         task.breaker.state != BreakerState::open && t.input.now >= task.yield_until;
}

}  // namespace sluice::parts
