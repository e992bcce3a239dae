#include "daemon/decide/schedule.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

#include "tests/unit/policy_inputs.hpp"

namespace sluice {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::seconds;
using namespace std::chrono_literals;
using testing::Bench;
using testing::cores;
using testing::write_to;

constexpr seconds at(int year, unsigned month, unsigned day, int hour, int minute = 0, int second = 0) {
  const std::chrono::year_month_day date{std::chrono::year{year}, std::chrono::month{month},
                                         std::chrono::day{day}};
  return seconds{std::chrono::sys_days{date}.time_since_epoch()} + hours{hour} +
         std::chrono::minutes{minute} + seconds{second};
}

config::Calendar every_day_at(unsigned hour, unsigned minute = 0) {
  config::Calendar c;
  c.hours = 1U << hour;
  c.minutes = 1ULL << minute;
  return c;
}

// Monday to Friday from 08:55 for two hours.
config::ScheduleEntry office(std::optional<double> min, std::optional<double> max = {}) {
  auto c = every_day_at(8, 55);
  c.weekdays = 0x1f;
  return {c, 2h, min, max};
}

Scheduled of(const std::vector<config::ScheduleEntry>& schedule, seconds shown, seconds offset = 0s) {
  return scheduled(schedule, {shown - offset, offset});
}

TEST(Schedule, AWindowIsOpenFromItsElapseForItsLength) {
  const std::vector schedule{office(2)};
  // 2026-11-23 is a Monday.
  EXPECT_FALSE(of(schedule, at(2026, 11, 23, 8, 54, 59)).min);
  EXPECT_EQ(of(schedule, at(2026, 11, 23, 8, 55)).min, (Scheduled::Bound{2, at(2026, 11, 23, 10, 55)}));
  EXPECT_TRUE(of(schedule, at(2026, 11, 23, 10, 54, 59)).min);
  EXPECT_FALSE(of(schedule, at(2026, 11, 23, 10, 55)).min);
  EXPECT_FALSE(of(schedule, at(2026, 11, 22, 9)).min) << "a Sunday";
  EXPECT_FALSE(of(schedule, at(2026, 11, 23, 9)).max) << "of which nothing was said";
}

TEST(Schedule, AWindowGoesOverMidnightAndOverMonths) {
  auto c = every_day_at(22);
  c.days = 1U << 31;
  const std::vector<config::ScheduleEntry> schedule{{c, 48h, {}, 3.0}};
  EXPECT_EQ(of(schedule, at(2027, 2, 1, 3)).max->until, at(2027, 2, 2, 22));
  EXPECT_FALSE(of(schedule, at(2027, 3, 1, 3)).max) << "February has no 31st";
}

TEST(Schedule, OfOpenWindowsTheLargestMinimumAndTheLargestMaximumCount) {
  const config::ScheduleEntry day{every_day_at(6), 12h, 1, 2}, rush{every_day_at(9), 1h, 3, 4},
      low{every_day_at(9), 2h, {}, 0.5}, high{every_day_at(9), 2h, 3, {}};
  EXPECT_EQ(of({day, rush}, at(2026, 1, 1, 9)).min, (Scheduled::Bound{3, at(2026, 1, 1, 10)}));
  EXPECT_EQ(of({rush, day}, at(2026, 1, 1, 9)).max, (Scheduled::Bound{4, at(2026, 1, 1, 10)}));
  EXPECT_EQ(of({day, rush}, at(2026, 1, 1, 10)).min, (Scheduled::Bound{1, at(2026, 1, 1, 18)}));
  EXPECT_EQ(of({low, high}, at(2026, 1, 1, 9)).max->cores, 3) << "no maximum below the minimum";
  EXPECT_EQ(of({rush, high}, at(2026, 1, 1, 9)).min->until, at(2026, 1, 1, 11)) << "of equals the longest";
  EXPECT_EQ(of({high, rush}, at(2026, 1, 1, 9)).min->until, at(2026, 1, 1, 11));
}

// The calendar, evaluated literally.
bool elapses_at(const config::Calendar& c, seconds at) {
  const auto day = std::chrono::floor<days>(at);
  const std::chrono::year_month_day date{std::chrono::sys_days{day}};
  const auto time = (at - day).count();
  const auto has = [](std::uint64_t set, auto member) { return (set >> member & 1U) != 0; };
  const auto weekday = std::chrono::weekday{std::chrono::sys_days{day}}.iso_encoding() - 1;
  return has(c.weekdays, weekday) && has(c.months, static_cast<unsigned>(date.month())) &&
         has(c.days, static_cast<unsigned>(date.day())) && has(c.hours, time / 3600) &&
         has(c.minutes, time / 60 % 60) && has(c.seconds, time % 60) &&
         (c.years.empty() || std::count(c.years.begin(), c.years.end(), static_cast<int>(date.year())) > 0);
}

RC_GTEST_PROP(Calendar, ItsLastElapseIsTheLastSecondThatFits, ()) {
  const auto below = [](int most) {
    // without shrinking: small values are not simpler
    return *rc::gen::resize(rc::kNominalSize, rc::gen::inRange(0, most));
  };
  // Small sets, so that the last member is often in an earlier minute, hour or day.
  const auto some = [&](int size) {
    std::uint64_t set = 0;
    for (int members = 1 + below(4); members > 0; --members) set |= std::uint64_t{1} << below(size);
    return set;
  };
  config::Calendar c;
  c.hours = static_cast<std::uint32_t>(some(24));
  c.minutes = some(60);
  c.seconds = some(60);
  if (below(2) == 0) c.weekdays = static_cast<std::uint8_t>(some(7));
  if (below(3) == 0) c.months = static_cast<std::uint16_t>(some(12) << 1U);
  if (below(3) == 0) c.days = static_cast<std::uint32_t>(some(31) << 1U);
  if (below(3) == 0) c.years = {2026};
  const seconds now = at(2026, 12, 25, 0) + seconds{below(14 * 86400)};
  const seconds within{1 + below(36 * 3600)};
  std::optional<seconds> expected;
  for (seconds t = now; t > now - within && !expected; --t) {
    if (elapses_at(c, t)) expected = t;
  }
  RC_ASSERT(last_elapse(c, now, within) == expected);
}

TEST(Schedule, OfNoOpenWindowNothingIsSaidButTheZone) {
  const auto none = of({office(2)}, at(2026, 11, 22, 9), 3600s);
  EXPECT_FALSE(none.min || none.max);
  EXPECT_EQ(none.utc_offset, 3600s);
}

TEST(Schedule, UtcIsUtcWhateverTheHostsZone) {
  config::ScheduleEntry local{every_day_at(8), 1h, 1, {}}, utc{every_day_at(8), 1h, 2, {}};
  utc.calendar.utc = true;
  const std::vector both{local, utc};
  EXPECT_EQ(scheduled(both, {at(2026, 7, 1, 6, 30), 2h}).min, (Scheduled::Bound{1, at(2026, 7, 1, 7)}));
  EXPECT_EQ(scheduled(both, {at(2026, 7, 1, 8, 30), 2h}).min, (Scheduled::Bound{2, at(2026, 7, 1, 9)}));
}

// Central Europe: at 01:00 UTC clocks go from 02:00 to 03:00 on 2026-03-29, and from 03:00 to 02:00 on 10-25.
TEST(Schedule, OverAChangeOfTheClockAWindowEndsByTheClockOnTheWall) {
  const std::vector<config::ScheduleEntry> night{{every_day_at(1), 4h, 2, {}}},
      half_past_two{{every_day_at(2, 30), 45min, 2, {}}};
  // Forwards: from 01:00 to 05:00 are three hours.
  EXPECT_TRUE(scheduled(night, {at(2026, 3, 29, 0), 1h}).min);
  EXPECT_TRUE(scheduled(night, {at(2026, 3, 29, 2, 59, 59), 2h}).min);
  EXPECT_FALSE(scheduled(night, {at(2026, 3, 29, 3), 2h}).min);
  // 02:30 does not occur; at 03:00 it has passed.
  EXPECT_FALSE(scheduled(half_past_two, {at(2026, 3, 29, 0, 59, 59), 1h}).min);
  EXPECT_TRUE(scheduled(half_past_two, {at(2026, 3, 29, 1), 2h}).min);
  EXPECT_FALSE(scheduled(half_past_two, {at(2026, 3, 29, 1, 15), 2h}).min);
  // Back: 02:30 occurs twice.
  EXPECT_TRUE(scheduled(half_past_two, {at(2026, 10, 25, 0, 30), 2h}).min);
  EXPECT_FALSE(scheduled(half_past_two, {at(2026, 10, 25, 1), 1h}).min) << "02:00 once more";
  EXPECT_TRUE(scheduled(half_past_two, {at(2026, 10, 25, 1, 30), 1h}).min);
}

config::Config with(const std::vector<config::ScheduleEntry>& schedule) {
  auto c = testing::one_task_config();
  c.tasks[0].policy.schedule = schedule;
  return c;
}

TEST(Schedule, RaisesTheQuotaWhenItsWindowOpensAndLetsGoWhenItCloses) {
  Bench b(with({office(2, 3)}));
  b.wall.since_epoch = at(2026, 11, 23, 8, 54, 59);
  b.add(1, cores(0.5));
  b.full();
  EXPECT_EQ(b.quota(), 0.5);
  EXPECT_EQ(b.last.report.tasks[0].cpu_min_cores, 0.05);

  b.wall.since_epoch += 1s;
  b.full();
  EXPECT_EQ(write_to(b.last.plan, Knob::cpu_max)->reason.rule, Rule::schedule);
  b.full();
  EXPECT_EQ(b.quota(), 2);
  const auto& told = b.last.report.tasks[0];
  EXPECT_EQ(told.cpu_min_cores, 2);
  EXPECT_EQ(told.cpu_max_cores, 3);
  EXPECT_EQ(told.scheduled.min->until, at(2026, 11, 23, 10, 55));

  // Idle for a minute: the minimum holds.
  for (int i = 0; i < 600; ++i) b.full();
  EXPECT_EQ(b.quota(), 2);
  b.wall.since_epoch = at(2026, 11, 23, 10, 55);
  for (int i = 0; i < 100; ++i) {
    b.run_cpu(1, 100ms, 0.1, false);
    b.full();
  }
  EXPECT_LT(b.quota(), 1);
  EXPECT_EQ(b.last.report.tasks[0].cpu_max_cores, 4);
}

TEST(Schedule, FollowsAClockThatIsSetBack) {
  Bench b(with({office(2)}));
  b.wall.since_epoch = at(2026, 11, 23, 9);
  b.add(1, cores(0.5));
  b.full();
  EXPECT_EQ(b.last.report.tasks[0].cpu_min_cores, 2);
  b.wall.since_epoch -= 24h;
  b.full();
  EXPECT_EQ(b.last.report.tasks[0].cpu_min_cores, 0.05);
  b.wall.since_epoch += 24h;
  b.full();
  EXPECT_EQ(b.last.report.tasks[0].cpu_min_cores, 2);
}

TEST(Schedule, ATaskThatAppearsWithinTheSecondAndANewConfigurationAreSeenAtOnce) {
  Bench b(with({office(2)}));
  b.wall.since_epoch = at(2026, 11, 23, 9);
  b.add(1, cores(0.5));
  b.full();
  b.add(2, cores(0.5));
  b.full();
  EXPECT_EQ(b.last.report.tasks[1].cpu_min_cores, 2);
  b.config.tasks[0].policy.schedule.clear();
  config_reloaded(b.state);
  b.full();
  EXPECT_EQ(b.last.report.tasks[0].cpu_min_cores, 0.05);
}

TEST(Schedule, AnAdministratorsBoundsGoBeforeIt) {
  Bench b(with({office(2)}));
  b.wall.since_epoch = at(2026, 11, 23, 9);
  b.add(1, cores(0.5));
  b.full();
  SetBoundsCommand bounds;
  bounds.task = "t1";
  bounds.cpu_min_cores = 1;
  b.commands.push_back(bounds);
  b.full();
  EXPECT_EQ(b.last.report.tasks[0].cpu_min_cores, 1);
  EXPECT_FALSE(b.last.report.tasks[0].scheduled.min);
}

TEST(Schedule, NeverMoreThanTheNodeHas) {
  Bench b(with({office(100)}));
  b.wall.since_epoch = at(2026, 11, 23, 9);
  b.config.tasks[0].policy.cpu.max_cores.reset();
  b.add(1, cores(0.5));
  b.full();
  b.full();
  EXPECT_EQ(b.quota(), 8);
}

}  // namespace
}  // namespace sluice
