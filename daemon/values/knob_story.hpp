// What Explain can show of one knob: where its value comes from, and what its controller may do with it.
// Filled in by the limit, the tick and the controllers. Values only.
#pragma once

#include <cstdint>
#include <optional>

#include "cgroups/types.hpp"

namespace sluice {

// Who set the value.
enum class Origin : std::uint8_t {
  absent,     // the file does not exist: the controller is off
  unread,     // the file was not read yet
  found,      // present before our first order
  ours,       // an order of ours; the reason is known
  inherited,  // ours, reason unknown: from an earlier process, or the receipt was lost
  external,   // set by an external writer
  reset,      // the baseline, restored by an external writer
  released,   // the baseline, restored by us
  pretended,  // dry-run: the value that would be held; the kernel holds the baseline
};

// What prevents the controller from writing a new value; the strongest first.
enum class Bar : std::uint8_t {
  none,
  absent,           // the file does not exist or was not read yet
  disabled,         // the configuration does not govern this knob
  leaving,          // no rule matches the task any more
  observing,        // mode observe
  stopping,         // the daemon stops
  suspended,        // by an administrator: the task or the node
  breaker,          // the task's breaker is open
  yielding,         // to an external writer
  pinned,           // by an administrator
  budget,           // the writes of the last minute used up the budget
  write_under_way,  // an order has no receipt yet
};

// What prevents lowering memory.high if no Bar does.
enum class ProbeBar : std::uint8_t {
  none,              // only the time does: see ProbeOutlook::at
  unknown_pressure,  // memory pressure or refaults were not measured
  unknown_memory,    // memory.current or memory.stat was not read, so the floor is unknown
  floor,             // it is at its lower bound: what reclaim cannot free, or the minimum
  nothing_to_take,   // the reclaimable memory is too little for a write, or is needed
  stalls,            // the task stalls, or stalled too much recently
  refaults,          // the task reads evicted pages back
  budget,            // the remaining writes of this minute are kept for raises
  rate_policy,       // the scale_down policy
};

// When memory.high may be lowered next.
struct ProbeOutlook {
  ProbeBar bar = ProbeBar::unknown_memory;
  std::optional<MonotonicTime> at;  // earliest time; only with ProbeBar::none
  bool operator==(const ProbeOutlook&) const = default;
};

struct KnobStory {
  Origin origin = Origin::unread;
  Bar bar = Bar::none;
  std::optional<MonotonicTime> until;  // when the bar ends by itself; none: only by an action
  // An order without a receipt, and when it was sent.
  std::optional<KnobValue> ordered;
  MonotonicTime ordered_at{};
  bool operator==(const KnobStory&) const = default;
};

}  // namespace sluice
