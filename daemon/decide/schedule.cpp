#include "daemon/decide/schedule.hpp"

#include <algorithm>
#include <bit>

namespace sluice {
namespace {

using std::chrono::days;
using std::chrono::seconds;

// The largest member of `set` that is at most `most`; -1: none.
int top(std::uint64_t set, int most) {
  const std::uint64_t low = most >= 63 ? set : set & ((std::uint64_t{2} << most) - 1);
  return 63 - std::countl_zero(low);
}

// The last matching time of a day, at most `most` after midnight; -1 s: none.
seconds last_of_day(const config::Calendar& c, seconds most) {
  const int hour = static_cast<int>(most.count() / 3600), minute = static_cast<int>(most.count() / 60 % 60),
            second = static_cast<int>(most.count() % 60);
  const auto moment = [](int h, int m, int s) { return seconds{h * 3600 + m * 60 + s}; };
  if (top(c.hours, hour) == hour) {
    if (top(c.minutes, minute) == minute) {
      if (const int s = top(c.seconds, second); s >= 0) return moment(hour, minute, s);
    }
    if (const int m = minute > 0 ? top(c.minutes, minute - 1) : -1; m >= 0)
      return moment(hour, m, top(c.seconds, 59));
  }
  const int h = hour > 0 ? top(c.hours, hour - 1) : -1;
  return h >= 0 ? moment(h, top(c.minutes, 59), top(c.seconds, 59)) : seconds{-1};
}

bool fits(const config::Calendar& c, std::chrono::sys_days day) {
  const std::chrono::year_month_day date{day};
  const unsigned weekday = std::chrono::weekday{day}.iso_encoding() - 1;
  return (c.weekdays >> weekday & 1U) != 0 && (c.months >> static_cast<unsigned>(date.month()) & 1U) != 0 &&
         (c.days >> static_cast<unsigned>(date.day()) & 1U) != 0 &&
         (c.years.empty() ||
          std::find(c.years.begin(), c.years.end(), static_cast<int>(date.year())) != c.years.end());
}

}  // namespace

std::optional<seconds> last_elapse(const config::Calendar& calendar, seconds at, seconds within) {
  for (auto day = std::chrono::floor<days>(at); day + days{1} > at - within; day -= days{1}) {
    if (!fits(calendar, std::chrono::sys_days{day})) continue;
    const seconds time = last_of_day(calendar, std::min(at - day, seconds{days{1}} - seconds{1}));
    if (time < seconds{0}) continue;
    return day + time > at - within ? std::optional(day + time) : std::nullopt;
  }
  return std::nullopt;
}

Scheduled scheduled(std::span<const config::ScheduleEntry> schedule, const WallClock& wall) {
  Scheduled out;
  for (const auto& entry : schedule) {
    const seconds offset = entry.calendar.utc ? seconds{0} : wall.utc_offset;
    const auto began = last_elapse(entry.calendar, wall.since_epoch + offset, entry.length);
    if (!began) continue;
    const seconds until = *began + entry.length - offset;
    const auto take = [&](std::optional<Scheduled::Bound>& bound, const std::optional<double>& cores) {
      if (!cores || (bound && bound->cores > *cores)) return;
      const bool same = bound && bound->cores == *cores;
      bound = {*cores, same ? std::max(bound->until, until) : until};
    };
    take(out.min, entry.min_cores);
    take(out.max, entry.max_cores);
  }
  if (out.min && out.max && out.max->cores < out.min->cores) out.max->cores = out.min->cores;
  out.utc_offset = wall.utc_offset;
  return out;
}

}  // namespace sluice
