// What can be said of one knob of a task now: where its value is from, and what its controller may do with
// it. The limit, the tick and the controllers fill it in; the sentences of Explain follow from it. Values
// only.
#pragma once

#include <cstdint>
#include <optional>

#include "cgroups/types.hpp"

namespace sluice {

// Whose the value is.
enum class Origin : std::uint8_t {
  absent,     // there is no such file: the controller is off
  unread,     // the file was not read yet
  found,      // it was there before our first order
  ours,       // an order of ours; its reason is known
  inherited,  // ours too, but why is not known: an earlier process, or a write whose answer was lost
  external,   // an external writer's
  reset,      // the baseline; an external writer brought it back
  released,   // the baseline; we gave it back
  pretended,  // dry-run: what it would hold, and why. The kernel holds the baseline
};

// What keeps the controller from writing a new value, the strongest first.
enum class Bar : std::uint8_t {
  none,
  absent,           // no such file, or not read yet
  disabled,         // the configuration does not govern this knob
  leaving,          // no rule matches the task any more
  observing,        // mode observe
  stopping,         // the daemon ends
  suspended,        // by an administrator: the task, or the node
  breaker,          // the task's breaker is open
  yielding,         // to an external writer
  pinned,           // by an administrator
  budget,           // the writes of the last minute are used up
  write_under_way,  // an order is not answered yet
};

// What keeps memory.high from being lowered, once no Bar does.
enum class ProbeBar : std::uint8_t {
  none,              // the clock alone decides: see ProbeOutlook::at
  unknown_pressure,  // memory pressure or refaults were not measured
  unknown_memory,    // memory.current or memory.stat was not read: its floor is not known
  floor,             // it is as low as it may be: what reclaim cannot free, or the minimum
  nothing_to_take,   // what could be taken back is too little for a write, or is needed
  stalls,            // it stalls, or has stalled too much for now
  refaults,          // it reads back what was taken
  budget,            // the writes that are left of this minute's are kept for raises
  rate_policy,       // scale_down holds it up
};

// When memory.high may be lowered next.
struct ProbeOutlook {
  ProbeBar bar = ProbeBar::unknown_memory;
  std::optional<MonotonicTime> at;  // not before; only with ProbeBar::none
  bool operator==(const ProbeOutlook&) const = default;
};

struct KnobStory {
  Origin origin = Origin::unread;
  Bar bar = Bar::none;
  std::optional<MonotonicTime> until;  // when the bar falls by itself; none: not before somebody acts
  // An order that has no answer yet, and when it was sent.
  std::optional<KnobValue> ordered;
  MonotonicTime ordered_at{};
  bool operator==(const KnobStory&) const = default;
};

}  // namespace sluice
