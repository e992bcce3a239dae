// The cause: what holds a task up now. A pure classifier over smoothed signals. Two rules prevent flapping:
// the current cause ends at half of the threshold at which it began, and a new cause must last before it is
// reported. Without socket data a task that lacks nothing is `unknown`: only its sockets show whether it
// waits for input or for its consumers.
#pragma once

#include "daemon/decide/diagnosis.hpp"
#include "daemon/signal/flow_model.hpp"
#include "daemon/signal/signal.hpp"

namespace sluice {

// Classifies these numbers alone. `held`: the current cause, which has lower thresholds.
Cause classify(const CauseInput& in, Cause held = Cause::unknown);

struct CauseState {
  Diagnosis now;
  Cause candidate = Cause::unknown;
  double candidate_seconds = 0;
  MonotonicTime observed_at{};  // zero: never
};

// Call once per full tick. `signals` null or without an interval: there is no sample.
void observe_cause(MonotonicTime now, const Signals* signals, const FlowEstimate& flow, CauseState& state);

// The cgroup is frozen: nothing in it runs. The means start again when it thaws.
void pause_cause(MonotonicTime now, CauseState& state);

// True if memory and not CPU is the cure: the kernel itself reports that the time goes into memory stalls or
// reclaim. A suspected garbage collection does not count, because the work may just be heavier.
bool memory_is_the_cure(const Diagnosis& diagnosis);

// The cause to show with a decision. A throttle event counts at once; a mean would need a second.
Cause cause_of_decision(const Diagnosis& diagnosis, bool throttled_now);

}  // namespace sluice
