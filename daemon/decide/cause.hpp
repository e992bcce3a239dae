// The cause: what holds a task up now. A pure classifier over smoothed signals, with two guards against
// flapping: a cause that stands is left only at half of the threshold that it was entered at, and a new one
// must last before it is told.
// With file signals alone a task that is short of nothing is `unknown`: whether it waits for input or for
// those downstream shows only in its sockets.
#pragma once

#include "daemon/decide/diagnosis.hpp"
#include "daemon/signal/flow_model.hpp"
#include "daemon/signal/signal.hpp"

namespace sluice {

// The verdict on these numbers alone. `held`: the cause that stands, which is believed more easily.
Cause classify(const CauseInput& in, Cause held = Cause::unknown);

struct CauseState {
  Diagnosis now;
  Cause candidate = Cause::unknown;
  double candidate_seconds = 0;
  MonotonicTime observed_at{};  // zero: never
};

// Once for each full tick; `signals` null or without an interval: nothing was seen this time.
void observe_cause(MonotonicTime now, const Signals* signals, const FlowEstimate& flow, CauseState& state);

// Nothing in it runs. When it runs again, the means begin anew.
void pause_cause(MonotonicTime now, CauseState& state);

// CPU would not cure it, memory would: the kernel itself says that the time goes into stalls or reclaim. A
// suspected garbage collection does not count: it may yet be work that became heavier.
bool memory_is_the_cure(const Diagnosis& diagnosis);

// What a decision is told to be about. A throttle event speaks at once, where a mean needs a second.
Cause cause_of_decision(const Diagnosis& diagnosis, bool throttled_now);

}  // namespace sluice
