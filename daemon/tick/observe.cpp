// What the tick learns about the tasks: which ones exist, what they do, and what their knobs hold.
#include <algorithm>
#include <utility>

#include "daemon/decide/schedule.hpp"
#include "daemon/tick/parts.hpp"

namespace sluice::parts {
namespace {

KnobReading reading_of(const Sample& s, Knob which) {
  KnobReading r;
  r.read_at = s.read_at;
  const auto take = [&](const auto& value, bool absent) {
    if (value) r.value = *value;
    r.file = value    ? KnobReading::File::present
             : absent ? KnobReading::File::absent
                      : KnobReading::File::unknown;
  };
  switch (which) {
    case Knob::cpu_max:
      take(s.cpu_max, s.cpu_max_absent);
      break;
    case Knob::memory_high:
      take(s.memory_high, s.memory_high_absent);
      break;
    case Knob::cpu_weight:
      take(s.cpu_weight, s.cpu_weight_absent);
      break;
  }
  return r;
}

void observe_limits(Tick& t, TaskState& task) {
  for (const Knob which : kKnobs) {
    const auto change = task.knob(which).limit.observe(reading_of(*task.sample, which));
    follow_change(t, task, which, change, nullptr);
  }
}

// A frozen task is not idle: that it uses nothing must not be learned.
void pause(TaskState& task, const Sample& now) {
  if (!task.sample || !task.sample->frozen) task.frozen_at = now.read_at;
  task.signals = {};
  task.use = {.at = now.read_at};
  pause_cause(now.read_at, task.cause);
}

void resume(TaskState& task, const Sample& now) {
  const Nsec length = now.read_at - task.frozen_at;
  skip_pause(length, task.cpu_control);
  skip_pause(length, task.memory_control);
  task.use = {};  // no usage data yet
  task.cause = {};
}

bool nothing_of_ours(const TaskState& task) {
  const auto idle = [](const ManagedLimit& limit) { return !limit.touched() && !limit.in_flight(); };
  return idle(task.cpu.limit) && idle(task.memory.limit) && idle(task.weight.limit);
}

// For a task that leaves the state: removes its lease entries.
void end_lease(Tick& t, TaskState& task) {
  for (const Knob which : kKnobs) {
    if (task.knob(which).leased) t.lease.push_back({{task.facts.id, which}, std::nullopt});
  }
}

void drop(Tick& t, std::map<CgroupId, TaskState>::iterator task) {
  end_lease(t, task->second);
  keep_profile(t, task->second);
  t.notice(Notice::Kind::task_removed, task->second);
  t.state.tasks.erase(task);
}

void drop_unlisted(Tick& t) {
  auto& tasks = t.state.tasks;
  for (auto next = tasks.begin(); next != tasks.end();) {
    const auto task = next++;
    if (task->second.listed_tick == t.state.ticks) continue;
    drop(t, task);
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

// Takes over what an earlier process left in the kernel. The registry knows whether the cgroups still exist.
void inherit_limits(Tick& t) {
  for (const auto& entry : t.input.inherited) {
    TaskState& task = t.state.tasks[entry.id];
    task.facts.id = entry.id;
    task.facts.cgroup = entry.path;
    auto& knob = task.knob(entry.knob);
    knob.limit = ManagedLimit::inherited(entry.baseline, entry.ours);
    knob.leased_revision = knob.limit.lease_revision();
    knob.leased = knob.limit.touched();
  }
}

// Adds and removes tasks. A full tick lists all tasks, nearly always the same ones in the same order of ids.
// A task that no rule matches stays until none of our values is left in it.
void settle_tasks(Tick& t) {
  auto& tasks = t.state.tasks;
  bool names_changed = false;
  auto next = tasks.begin();
  t.tasks.reserve(t.input.tasks.size());
  for (const auto& o : t.input.tasks) {
    if (next == tasks.end() || next->first != o.facts.id) next = tasks.find(o.facts.id);
    if (!o.facts.config_index && (next == tasks.end() || nothing_of_ours(next->second))) {
      t.let_go.push_back(o.facts.id);
      continue;  // not listed, so it is removed
    }
    if (next == tasks.end()) next = tasks.emplace(o.facts.id, TaskState{}).first;
    TaskState& task = next->second;
    if (task.facts.name.empty()) {
      task.facts = o.facts;
      t.notice(Notice::Kind::task_added, task);
      names_changed = true;
    } else if (!(task.facts == o.facts)) {
      names_changed |= task.facts.name != o.facts.name;
      task.facts = o.facts;
    }
    if (std::exchange(task.listed_tick, t.state.ticks) != t.state.ticks) t.tasks.push_back({&task, &o});
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
  if (schedule.empty() || task.schedule_evaluated_at == t.input.wall.since_epoch) return;
  task.scheduled = scheduled(schedule, t.input.wall);
  task.schedule_evaluated_at = t.input.wall.since_epoch;
}

void take_sample(Tick& t, TaskState& task, const Observation& seen) {
  task.fresh = false;
  if (!seen.sample) {
    observe_cause(t.input.now, nullptr, task.flow, task.cause);
    return;
  }
  Sample now = *seen.sample;
  const auto unknown = drop_implausible(task.sample ? &*task.sample : nullptr, t.node, now);
  for (const auto& each : task.unknowns.add(unknown, t.input.now)) {
    Notice& n = t.notice(Notice::Kind::reading_unknown, task);
    n.file = file_name(each.file);
    n.fault = each.fault;
  }
  const bool was_frozen = task.sample && task.sample->frozen;
  if (now.frozen) {
    pause(task, now);
  } else if (was_frozen) {
    resume(task, now);
  } else if (task.sample) {
    task.signals = derive_signals(*task.sample, now);
    task.fresh = task.signals.interval_seconds > 0;
    observe_use(task.signals, now.read_at, task.use);
    observe_flow(task.signals, task.flow_model);
    task.flow = estimate_flow(task.signals, task.flow_model);
    observe_cause(t.input.now, &task.signals, task.flow, task.cause);
  }
  task.sample = std::move(now);
  observe_limits(t, task);
}

// Implausible node facts are replaced by the last plausible ones; without those, by ones that limit no task.
void take_node(Tick& t) {
  static constexpr NodeFacts kNoLimit{65536, Bytes{1} << 56};
  const bool known = plausible(t.input.node);
  if (known) t.state.node = t.input.node;
  t.node = t.state.node.value_or(kNoLimit);
  if (!std::exchange(t.state.node_unknown, !known) && !known) {
    Notice& n = t.report.notices.emplace_back();
    n.kind = Notice::Kind::reading_unknown;
    n.file = "the node's size";
    n.fault = "no machine has that many CPUs or that much memory";
  }
}

bool governable(const Tick& t, const TaskState& task) {
  return t.mode != config::Mode::observe && !t.input.stopping && task.facts.config_index &&
         !suspended(t, task) && task.breaker.state != BreakerState::open && t.input.now >= task.yield_until;
}

}  // namespace sluice::parts
