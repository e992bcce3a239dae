// How a task's limit stands before anything is planned: its bounds, whether it may be moved, what counts of
// it against the node. The tick makes its claims of it, and every plan is judged by the same. Pure.
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

// What a knob may hold by now: with a write under way, the larger of before and after, so that capacity is
// never promised twice. Infinity: no limit.
double in_force(const KnobState& knob);

// Of the node, less its reserve: cores, or bytes.
double capacity_of(Knob knob, const PlanContext& context);
Bounds bounds_of(const TaskState& task, const PlanContext& context);

// The task is ours to govern now: no hold, no breaker, no external writer is against it.
bool permitted(const TaskState& task, const PlanContext& context);
// It does not run: its limits stay as they are.
bool frozen(const TaskState& task);
std::size_t writes_in_window(const KnobState& knob, MonotonicTime now);

// A claim that asks for nothing.
KnobClaim standing(const TaskState& task, Knob knob, const Bounds& bounds, const PlanContext& context);

}  // namespace sluice
