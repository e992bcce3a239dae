// What the parts of the tick share. Private to this folder.
#pragma once

#include <map>

#include "daemon/arbitrate/validate.hpp"
#include "daemon/tick/tick.hpp"

namespace sluice::parts {

// A task, and on a full tick what was seen of it.
struct Listed {
  TaskState* task = nullptr;
  const Observation* seen = nullptr;
};

// One tick in progress.
struct Tick {
  const Input& input;
  const config::Config& config;
  State state;
  Plan plan{};
  Report report{};
  config::Mode mode = config::Mode::enforce;
  std::map<CgroupId, const ThrottleEvent*> events{};  // the first throttle of each cgroup
  std::vector<Listed> tasks{};  // all of the state's, by id: walked often, and a map is slow at that
  bool minima_exceed = false;

  bool full() const { return input.kind == Input::Kind::full; }
  const config::TaskPolicy& policy_of(const TaskState& task) const {
    return config.tasks[task.facts.config_index].policy;
  }
  PlanContext context() const { return {&state, &config, input.node, input.now}; }
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

void settle_tasks(Tick& t);
void list_tasks(Tick& t);
void follow_schedule(const Tick& t, TaskState& task);
void take_sample(Tick& t, TaskState& task, const Observation& seen);
void take_receipts(Tick& t);

// What earlier seasons say.
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

void obey_commands(Tick& t);
void enter_mode(Tick& t);
// The report's rows, by name. A whole report's is made while the task is at hand, and finished when the plan
// is.
void fill_row(Tick& t, const TaskState& task, const Bounds& bounds);
void finish_rows(Tick& t);
void fill_report(Tick& t);

}  // namespace sluice::parts
