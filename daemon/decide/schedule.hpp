// Bounds by the clock on the wall: which windows of a task's schedule are open, and what they make of the
// bounds of its quota. Pure, and without memory: the answer depends on what the clock shows and on nothing
// else. So a clock that is set forth or back is followed at once, and a window over a change to or from
// summer time ends when the clock on the wall says so: it is an hour shorter or longer. An hour that comes
// twice opens its window twice; a begin in the hour that is left out has passed when the clock goes on.
#pragma once

#include <optional>
#include <span>

#include "config/config.hpp"
#include "daemon/sample/snapshot.hpp"

namespace sluice {

// The last elapse not after `at`, if it is less than `within` ago. Both as the calendar's own clock shows
// them, in seconds since 1970 began there.
std::optional<std::chrono::seconds> last_elapse(const config::Calendar& calendar, std::chrono::seconds at,
                                                std::chrono::seconds within);

// What the open windows say. Of several the largest minimum counts, and the largest maximum; a minimum goes
// before a maximum that is below it.
Scheduled scheduled(std::span<const config::ScheduleEntry> schedule, const WallClock& wall);

}  // namespace sluice
