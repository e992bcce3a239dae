// Schedules: which windows are open by the wall clock, and which quota bounds result. Pure and stateless: the
// result depends on the wall clock only. A clock that is set takes effect at once. A window across a change
// to or from summer time ends at its local time, so it is an hour shorter or longer. An hour that occurs
// twice opens its window twice. A start time within the skipped hour counts as passed when the clock jumps.
#pragma once

#include <optional>
#include <span>

#include "config/config.hpp"
#include "daemon/sample/snapshot.hpp"

namespace sluice {

// The last start time that is not after `at` and less than `within` ago. Both are local seconds since 1970,
// as the calendar's clock shows them.
std::optional<std::chrono::seconds> last_elapse(const config::Calendar& calendar, std::chrono::seconds at,
                                                std::chrono::seconds within);

// The bounds of all open windows. The largest minimum and the largest maximum count. A maximum below the
// minimum is raised to it.
Scheduled scheduled(std::span<const config::ScheduleEntry> schedule, const WallClock& wall);

}  // namespace sluice
