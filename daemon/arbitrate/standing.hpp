// The state of a task's limit before planning: its bounds, whether it may be moved, and what counts against
// the node. The tick makes its claims from this, and validation uses the same values. Pure.
#pragma once

#include "daemon/arbitrate/arbitrate.hpp"
#include "daemon/tick/state.hpp"
#include "daemon/values/bounds.hpp"

namespace sluice {

struct PlanContext {
  const State* state = nullptr;
  const config::Config* config = nullptr;
  NodeFacts node;
  MonotonicTime now{};
};

// The value that the knob may hold now. With a write in flight it is the larger of before and after, so that
// capacity is never promised twice. Infinity: no limit.
double in_force(const KnobState& knob);

// The node's capacity less its reserve, in cores or bytes.
double capacity_of(Knob knob, const PlanContext& context);
Bounds bounds_of(const TaskState& task, const PlanContext& context);

// True if the task may be governed now: no hold, open breaker or external writer prevents it.
bool permitted(const TaskState& task, const PlanContext& context);
// A frozen task's limits stay as they are.
bool frozen(const TaskState& task);
std::size_t writes_in_window(const KnobState& knob, MonotonicTime now);

// A claim without an intent.
KnobClaim standing(const TaskState& task, Knob knob, const Bounds& bounds, const PlanContext& context);

}  // namespace sluice
