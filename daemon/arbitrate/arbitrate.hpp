// From what the controllers want to what the node can give: bounds, whole steps, tolerance and capacity.
// One knob at a time; pure; the order of the claims does not matter.
//
// The node is shared out by use, not by limits. What counts against its capacity:
//   a limit of ours that may be moved, or one   whole: the sum of them is within the capacity, less what is
//   that becomes ours                           used of the others
//   any other limit (one of ours whose write    what is used of it, with head-room
//   budget is spent, too)
// and what is used of all limits together, with what is granted anew, is within the capacity too.
//
// Properties, each the name of a test:
//   - A limit that nobody uses takes nothing from those who need it: it stands, or, if it is ours, it is cut
//   to make
//     room, never below what its task uses.
//   - Nobody is cut without evidence, but into its bounds after a while.
//   - A maximum limits: what is outside of the bounds goes into them, whatever it was.
//   - Minima come first. Where they alone exceed the node they are shared by weight, those that are used
//   first.
//   - The rest goes by priority and weight, up to each maximum.
//   - What an ancestor's limit does not let its children have is not needed, and taken from nobody.
//   - What is missing is what was needed and not given.
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
  double current = 0;         // in force; infinity: no limit
  std::optional<double> use;  // of it, with head-room, by evidence; none: there is no evidence
  bool ours = true;           // `current` is a value of ours
  std::optional<double>
      ordered;           // asked for, and not answered yet; `current` is then the larger of before and after
  bool governed = true;  // its minimum is guaranteed
  Intent intent;
  double floor = 0;          // <= min; what no shortage goes below
  double min = 0, max = 0;   // min <= max; min is whole steps, or max
  bool max_is_set = false;   // by somebody: without a limit it is out of bounds
  bool bound_waits = false;  // there is time to wait for evidence before a cut to `max`
  bool min_scheduled = false, max_scheduled = false;  // for now, by the task's schedule
  RateLimits rate;                                    // around `current`; the bounds go first
  bool rate_free = false;                             // the intent is none that a rate policy may hold up
  std::string_view ancestor{};  // whose limit holds for it and its siblings together; empty: none
  double ancestor_max = 0;
  bool by_weight = false;     // `current` is no grant of ours: cpu.weight says what of it the task gets
  double waiting_ratio = 0;   // of time: some thread of it waited for a CPU, though no quota held it up
  std::string_view parent{};  // the cgroup that it and its siblings are in
  double weight_held = 1;     // cpu.weight in force, as a share of its baseline
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
  double allocated = 0;           // of the capacity, once the grants are written
  double missing = 0;             // needed and not granted, within bounds
  std::vector<bool> unmet;        // by claim: asked for more than it was given
  bool minima_exceed = false;     // the guaranteed minima alone are more than the capacity
};

Share arbitrate(std::span<const KnobClaim> claims, double capacity, Knob knob = Knob::cpu_max);

// What a limit that stands takes of the node.
struct Taken {
  double quota = 0;  // as a promise of ours
  double use = 0;    // by what its task uses of it
};
// The kernel gives each of those who want the CPU its fair share. So one that is not ours to limit is not
// believed to keep more of it than that from the others, whatever it uses when they are held back.
class FairShare {
 public:
  FairShare(double capacity, Knob knob) : capacity_(capacity), limited_(knob == Knob::cpu_max) {}
  void add(const KnobClaim& claim);
  [[nodiscard]] Taken taken(const KnobClaim& claim) const;

 private:
  double capacity_;
  bool limited_;
  double weights_ = 0;  // of those who use something
};

}  // namespace sluice
