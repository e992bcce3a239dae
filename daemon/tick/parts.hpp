// Shared by the parts of the tick. Private to this folder.
#pragma once

#include <map>

#include "daemon/arbitrate/validate.hpp"
#include "daemon/tick/tick.hpp"

namespace sluice::parts {

// A task and, on a full tick, its observation.
struct Listed {
  TaskState* task = nullptr;
  const Observation* seen = nullptr;
};

// One tick in progress.
struct Tick {
  const Input& input;
  const config::Config& config;
  State state;
  NodeFacts node{};  // the input's, or the last plausible ones
  Plan plan{};
  Report report{};
  config::Mode mode = config::Mode::enforce;
  std::map<CgroupId, const ThrottleEvent*> events{};  // the first throttle of each cgroup
  std::vector<Listed> tasks{};  // all tasks of the state by id; faster to walk than the map
  std::vector<LeaseChange> lease{};
  std::vector<CgroupId> let_go{};
  bool minima_exceed = false;

  bool full() const { return input.kind == Input::Kind::full; }
  const config::TaskPolicy& policy_of(const TaskState& task) const {
    return rule_of(task.facts, config).policy;
  }
  PlanContext context() const { return {&state, &config, node, input.now}; }
  Notice& notice(Notice::Kind kind, const TaskState& task) {
    report.notices.push_back({});
    Notice& n = report.notices.back();
    n.kind = kind;
    n.id = task.facts.id;
    n.task = task.facts.name;
    n.cgroup = task.facts.cgroup;
    return n;
  }
};

void inherit_limits(Tick& t);
void settle_tasks(Tick& t);
void list_tasks(Tick& t);
void follow_schedule(const Tick& t, TaskState& task);
void take_sample(Tick& t, TaskState& task, const Observation& seen);
void take_node(Tick& t);
void apply_receipts(Tick& t);
// Handles a transition of a limit for its task: whether we yield, what is written again, what is reported.
void follow_change(Tick& t, TaskState& task, Knob which, const ManagedLimit::Change& change,
                   const Receipt* receipt);
void report_adjustment(Tick& t, const TaskState& task, Knob which, const ManagedLimit::Change& change,
                       const Receipt* receipt);
// The lease changes for the limits that changed.
void project_lease(Tick& t);
inline bool suspended(const Tick& t, const TaskState& task) {
  return t.state.holds.node || (task.hold && task.hold->suspension);
}
inline const PinCommand* pin_of(const TaskState& task) {
  return task.hold && task.hold->pin ? &*task.hold->pin : nullptr;
}

inline std::uint32_t writes_left(const KnobState& knob, std::uint32_t budget) {
  return knob.writes.size() >= budget ? 0 : budget - static_cast<std::uint32_t>(knob.writes.size());
}

// Season profiles.
void recall_profiles(Tick& t);
void keep_profile(Tick& t, TaskState& task);
void follow_forecast(Tick& t, TaskState& task);
bool governable(const Tick& t, const TaskState& task);

// The circuit breaker.
void trip_on(Tick& t, TaskState& task, const Receipt& r);
void close_after_write(Tick& t, TaskState& task);
void note_undo(TaskState& task, Rule rule, MonotonicTime now);
void watch_harm(Tick& t, TaskState& task, const Bounds& bounds);
void try_again(Tick& t, TaskState& task);

// Readings that are missing, and their consequences.
void watch_pressure(Tick& t, TaskState& task, const Observation& seen);
bool pressure_is_unknown(const Tick& t, const TaskState& task);
void report_pressure(Tick& t);

// For the report: what may become of a knob, and of the next memory probe.
KnobStory story_of(const Tick& t, const TaskState& task, Knob which);
ProbeOutlook probe_of(const Tick& t, const TaskState& task, const Bounds& bounds);

void obey_commands(Tick& t);
void expire_holds(Tick& t);
void find_holds(Tick& t);
void enter_mode(Tick& t);
// The report's rows, by name. In a whole report each row is filled while its task is in the CPU cache, and
// finished when the plan is made.
void fill_row(Tick& t, const TaskState& task, const Bounds& bounds);
void finish_rows(Tick& t);
void fill_report(Tick& t);

}  // namespace sluice::parts
