// Fits the controllers' intents into the node: bounds, whole steps, tolerance and capacity. One knob at a
// time; pure; the order of the claims does not matter.
//
// The node's capacity is shared by use, not by limits. These count against it:
//   a limit of ours that may be moved,      its whole value; their sum is within the capacity,
//   or that becomes ours                    less what is used of the other limits
//   any other limit, one of ours whose      what is used of it, with head-room
//   write budget is spent included
// In addition, what is used of all limits plus what is newly granted is within the capacity.
//
// Properties, each the name of a test:
//   - An unused limit takes nothing from tasks in need: it stays, or, if it is ours, it is cut to make room,
//     never below what its task uses.
//   - No task is cut without evidence, except into its bounds after a while.
//   - A maximum limits: a value outside the bounds goes into them, whatever it was.
//   - Minima come first. If they alone exceed the node they are shared by weight, the parts in use first.
//   - The rest goes by priority and weight, up to each maximum.
//   - What an ancestor's limit denies its children is not needed, and taken from nobody.
//   - Missing is what was needed and not granted.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "cgroups/types.hpp"
#include "daemon/arbitrate/rate_policy.hpp"
#include "daemon/decide/intent.hpp"

namespace sluice {

struct KnobClaim {
  CgroupId id;
  double current = 0;             // in force; infinity: no limit
  std::optional<double> use;      // what is used of it, with head-room; none: no evidence
  bool ours = true;               // `current` is a value of ours
  std::optional<double> ordered;  // in flight; `current` is then the larger of before and after
  bool governed = true;           // its minimum is guaranteed
  Intent intent;
  double floor = 0;          // <= min; not even a shortage goes below it
  double min = 0, max = 0;   // min <= max; min is in whole steps, or equals max
  bool max_is_set = false;   // `max` was set explicitly, so "no limit" is out of bounds
  bool bound_waits = false;  // a cut to `max` may still wait for evidence
  bool min_scheduled = false, max_scheduled = false;  // set by the task's schedule for now
  RateLimits rate;                                    // around `current`; bounds take precedence
  bool rate_free = false;                             // rate policies do not apply to the intent
  std::string_view ancestor{};                        // path whose limit is shared with siblings; empty: none
  double ancestor_max = 0;
  bool by_weight = false;     // `current` is not a grant; cpu.weight shares the node
  double waiting_ratio = 0;   // of time: a thread waited for a CPU without throttling
  std::string_view parent{};  // the cgroup of the task and its siblings
  double weight_held = 1;     // cpu.weight in force / its baseline
  double weight = 100;
  int priority = 0;        // lower priorities give back first
  double tolerance = 0.1;  // no write for a smaller relative change
  double step = 0;         // > 0: whole multiples only, or max
  bool movable = true;     // false: `current` stays (suspended, yielding, write in flight, budget spent)
  bool exact = false;      // pinned: no bounds, steps or tolerance; served first
};

struct KnobGrant {
  std::size_t claim = 0;  // index into the claims
  double value = 0;
  Reason reason;
};

struct Share {
  std::vector<KnobGrant> grants;  // only those to be written
  double allocated = 0;           // of the capacity, after the grants are written
  double missing = 0;             // needed and not granted, within bounds
  std::vector<bool> unmet;        // by claim: granted less than asked for
  bool minima_exceed = false;     // the guaranteed minima alone exceed the capacity
};

Share arbitrate(std::span<const KnobClaim> claims, double capacity, Knob knob = Knob::cpu_max);

// What a limit that stays takes of the node.
struct Taken {
  double quota = 0;  // promised by a limit of ours
  double use = 0;    // by the usage of its task
};
// The kernel gives each task that wants CPU its fair share. So a task whose limit is not ours counts with
// that share at most, however much it uses while others are held back.
class FairShare {
 public:
  FairShare(double capacity, Knob knob) : capacity_(capacity), limited_(knob == Knob::cpu_max) {}
  void add(const KnobClaim& claim);
  [[nodiscard]] Taken taken(const KnobClaim& claim) const;

 private:
  double capacity_;
  bool limited_;
  double weights_ = 0;  // of the tasks that use something
};

}  // namespace sluice
