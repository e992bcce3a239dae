// Calendar expressions of systemd.time(7), as far as schedules need them. Private to this folder.
//
//   [WEEKDAYS] [[YEAR-]MONTH-DAY] [HOUR:MINUTE[:SECOND]] [UTC]     or hourly, daily, weekly, monthly [UTC]
//
// At least one part. Weekdays: Mon or Monday; lists and ranges, "Mon..Wed,Sat". Numbers: "*", or a list of n,
// n..m, n/step, n..m/step. Not supported, unlike systemd: "~" (days from the month's end), years of two
// digits, fractions of seconds, "@" and names of time zones.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "config/config.hpp"

namespace sluice::config {

// The error is the end of a message, after "found X, ".
tl::expected<Calendar, std::string> parse_calendar(std::string_view text);

}  // namespace sluice::config
