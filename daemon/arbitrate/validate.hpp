// The plan's invariants, checked before anything is written: in tests and in production.
#pragma once

#include <string_view>
#include <vector>

#include "daemon/arbitrate/standing.hpp"

namespace sluice {

enum class Invariant : std::uint8_t {
  unknown_task,   // a write for a cgroup that is not governed
  duplicate,      // two values for one (cgroup, knob), or out of order
  knob_absent,    // the knob does not exist there, or holds another kind of value
  out_of_bounds,  // outside the bounds in force, or what the kernel accepts
  whole_steps,    // cpu.max is neither a multiple of cpu.step nor the maximum
  rate,           // further or sooner than the rate policies of its window allow
  over_budget,    // more writes in the last minute than allowed
  over_capacity,  // our quotas, or what is used and granted, are more than the node has, and this write adds
                  // to it
  below_floor,    // memory.high under anon + unreclaimable
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
