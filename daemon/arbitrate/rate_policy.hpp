// How fast a knob may move, and on what evidence: the HPA's scaling policies and stabilization windows, on
// cores and bytes. Pure; the history is the knob's own and bounded.
//
//   policy         a change is measured from the value at the start of the policy's sliding period, so that
//   many
//                  small ones add up to no more than a large one. Of several, select_policy says which
//                  counts.
//   stabilization  a cut goes no lower than the largest wish of the window, a raise no higher than the
//   smallest;
//                  wishing for no change is a wish for what is there. So every look of the window has to
//                  agree.
//
// A period that began without any limit begins with its first one: there is no rate from infinity.
#pragma once

#include <limits>
#include <vector>

#include "cgroups/types.hpp"
#include "config/config.hpp"
#include "daemon/decide/reason.hpp"

namespace sluice {

// What the next value may be. What is there now is always within.
struct RateLimits {
  double lowest = 0;
  double highest = std::numeric_limits<double>::infinity();
};

struct RateHistory {
  struct Moment {
    MonotonicTime at{};
    double value = 0;
  };
  std::vector<Moment> changes;  // when, and the value before; no older than the longest period
  // Wishes that can still be the extreme of their window, in order of time; at most one in a sixtieth of it.
  std::vector<Moment> largest, smallest;
};

// At each look, before rate_limits: what is wished for, and what is there.
void note_wish(const config::Scaling& scaling, MonotonicTime now, double wish, double current,
               RateHistory& history);
// A change of ours has been made.
void note_change(const config::Scaling& scaling, MonotonicTime at, double before, RateHistory& history);

// `step` > 0: the limits widen to whole multiples, or a small percentage would never move a whole core.
RateLimits rate_limits(const config::Scaling& scaling, const RateHistory& history, MonotonicTime now,
                       double current, double step);

// What must not wait: rescues of memory, the first value that the configuration names, and whatever is not
// our own choice (a pin, the way back to the baseline, a value of ours that another hand undid).
bool beyond_rates(Rule rule);

}  // namespace sluice
