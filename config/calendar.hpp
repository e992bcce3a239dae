// Calendar expressions of systemd.time(7), as far as a schedule of a task needs them. Private to this room.
//
//   [WEEKDAYS] [[YEAR-]MONTH-DAY] [HOUR:MINUTE[:SECOND]] [UTC]     or hourly, daily, weekly, monthly [UTC]
//
// At least one part. Weekdays: Mon or Monday; lists and ranges, "Mon..Wed,Sat". A number: "*", or a list of
// n, n..m, n/step, n..m/step. Not taken, though systemd does: "~" (days from the month's end), years of two
// digits, fractions of seconds, "@" and the names of time zones.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "config/config.hpp"

namespace sluice::config {

// Or what is wrong, as the end of a message: "found X, " goes before it.
tl::expected<Calendar, std::string> parse_calendar(std::string_view text);

}  // namespace sluice::config
