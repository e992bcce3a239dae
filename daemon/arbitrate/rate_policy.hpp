// How fast a knob may move: scaling policies and stabilization windows as in the Kubernetes HPA, on cores and
// bytes. Pure; each knob has its own, bounded history.
//
//   policy         A change counts from the value at the start of the policy's sliding period, so many small
//                  changes add up to no more than a large one. select_policy chooses among several policies.
//   stabilization  A cut goes no lower than the largest value wanted in the window, a raise no higher than
//   the
//                  smallest. "No change" counts as wanting the current value, so all samples must agree.
//
// A period that began with "no limit" is measured from the first limit: there is no rate from infinity.
#pragma once

#include <limits>
#include <vector>

#include "cgroups/types.hpp"
#include "config/config.hpp"
#include "daemon/decide/reason.hpp"

namespace sluice {

// The range of the next value. The current value is always within.
struct RateLimits {
  double lowest = 0;
  double highest = std::numeric_limits<double>::infinity();
};

struct RateHistory {
  struct Moment {
    MonotonicTime at{};
    double value = 0;
  };
  std::vector<Moment> changes;  // time, and the value before; not older than the longest period
  // Wanted values that can still be the extreme of their window, by time; one per sixtieth of it.
  std::vector<Moment> largest, smallest;
};

// Call at each sample, before rate_limits. `wish`: the value wanted.
void note_wish(const config::Scaling& scaling, MonotonicTime now, double wish, double current,
               RateHistory& history);
// Call after a change by us.
void note_change(const config::Scaling& scaling, MonotonicTime at, double before, RateHistory& history);

// `step` > 0: the limits are widened to whole multiples. Otherwise a small percentage could never move by a
// whole core.
RateLimits rate_limits(const config::Scaling& scaling, const RateHistory& history, MonotonicTime now,
                       double current, double step);

// Rules that rate policies do not delay: memory rescues, the configured first value, and values that are not
// our own choice (a pin, a release, a value written again after an external write).
bool beyond_rates(Rule rule);

}  // namespace sluice
