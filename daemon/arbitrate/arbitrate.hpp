// From what the controllers want to what the node can give: bounds, whole steps, tolerance and capacity.
// One knob at a time; pure; the order of the claims does not matter.
#pragma once

#include <span>
#include <vector>

#include "cgroups/types.hpp"
#include "daemon/arbitrate/rate_policy.hpp"
#include "daemon/decide/intent.hpp"

namespace sluice {

struct KnobClaim {
  CgroupId id;
  double current =
      0;  // in force; infinity: no limit, and then it takes no part in the sharing until it has one
  Intent intent;
  double min = 0, max = 0;                            // min <= max; min is whole steps, or max
  bool min_scheduled = false, max_scheduled = false;  // for now, by the task's schedule
  RateLimits rate;                                    // around `current`; the bounds go first
  bool rate_free = false;                             // the intent is none that a rate policy may hold up
  double weight = 100;
  int priority = 0;        // lower ones give back first
  double tolerance = 0.1;  // no write for a smaller relative change
  double step = 0;         // > 0: whole multiples only, and max
  bool movable = true;     // false: `current` stands (suspended, yielding, a write under way, budget spent)
  bool exact = false;      // pinned: no bounds, no steps, no tolerance; served first
};

struct KnobGrant {
  std::size_t claim = 0;  // index into the claims
  double value = 0;
  Reason reason;
};

struct Share {
  std::vector<KnobGrant> grants;  // only what is to be written
  double allocated = 0;           // the sum of all finite limits once the grants are written
  double missing = 0;             // wanted and not granted, within bounds
  std::vector<bool> unmet;        // by claim: asked for more than it was given
  bool minima_exceed = false;     // the guaranteed parts alone are more than the capacity
};

Share arbitrate(std::span<const KnobClaim> claims, double capacity);

}  // namespace sluice
