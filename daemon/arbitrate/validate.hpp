// The invariants of a plan. Checked before anything is written, in tests and in production.
#pragma once

#include <string_view>
#include <vector>

#include "daemon/arbitrate/standing.hpp"

namespace sluice {

enum class Invariant : std::uint8_t {
  unknown_task,   // a write for a cgroup that is not governed
  duplicate,      // two values for one (cgroup, knob), or not sorted
  knob_absent,    // the knob does not exist, or the value is of another kind
  out_of_bounds,  // outside the bounds in force, or rejected by the kernel
  whole_steps,    // cpu.max is neither a multiple of cpu.step nor the maximum
  rate,           // beyond what the rate policies allow
  over_budget,    // more writes in the last minute than allowed
  over_capacity,  // our quotas, or what is used and granted, are more than the node has, and this write adds
                  // to it
  below_floor,    // memory.high below anon + unreclaimable
  not_permitted,  // the task is suspended, yielding or observed
};
std::string_view to_string(Invariant invariant);

struct Violation {
  std::size_t write = 0;  // index into the plan
  Invariant invariant = Invariant::unknown_task;
  bool operator==(const Violation&) const = default;
};

std::vector<Violation> validate_plan(const Plan& plan, const PlanContext& context);

}  // namespace sluice
