// Compares parser and policy together with systemd: `systemd-analyze calendar` prints when an expression
// elapses next.
#include "config/calendar.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <charconv>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "daemon/decide/schedule.hpp"

namespace sluice {
namespace {

using std::chrono::seconds;
using namespace std::chrono_literals;

// The output, or nothing if the command failed.
std::string output_of(const std::string& command) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
  std::string text;
  std::array<char, 4096> chunk{};
  while (pipe && std::fgets(chunk.data(), chunk.size(), pipe.get()) != nullptr) text += chunk.data();
  return text;
}

bool have_systemd() {
  return output_of("systemd-analyze calendar daily 2>/dev/null").find("Next elapse") != std::string::npos;
}

std::string quoted(const std::string& text) {
  return "'" + text + "'";
}

// "   (in UTC): Tue 2026-11-24 10:00:00 UTC", or, in UTC, "Next elapse: …" and "Iter. #2: …" alone.
std::vector<seconds> elapses_by_systemd(const std::string& spec, const std::string& base) {
  const auto text =
      output_of("TZ=UTC LC_ALL=C systemd-analyze calendar --iterations=6 --base-time=" + quoted(base) + " " +
                quoted(spec) + " 2>/dev/null");
  std::vector<seconds> found;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    if (line.find("Next elapse:") == std::string::npos && line.find("Iter") == std::string::npos) continue;
    int y = 0, mo = 0, d = 0, h = 0, mi = 0, s = 0;
    const auto dash = line.find('-');
    if (dash == std::string::npos) continue;  // never
    if (std::sscanf(line.c_str() + dash - 4, "%d-%d-%d %d:%d:%d", &y, &mo, &d, &h, &mi, &s) != 6) continue;
    const std::chrono::year_month_day date{std::chrono::year{y},
                                           std::chrono::month(static_cast<unsigned>(mo)),
                                           std::chrono::day(static_cast<unsigned>(d))};
    found.push_back(std::chrono::sys_days{date}.time_since_epoch() + std::chrono::hours{h} +
                    std::chrono::minutes{mi} + seconds{s});
  }
  return found;
}

const std::vector<std::string>& specs() {
  static const std::vector<std::string> kSpecs{"hourly",
                                               "daily",
                                               "weekly",
                                               "monthly",
                                               "Daily UTC",
                                               "Mon",
                                               "mon..fri 08:55",
                                               "Mon..Fri,Sun 10:00",
                                               "Monday..Friday 8:5",
                                               "Sat,Sun *:0/15",
                                               "12:00",
                                               "*:*",
                                               "*:*:*",
                                               "*:*:0/7",
                                               "9..17:00",
                                               "0..5/2:00",
                                               "10:00,30",
                                               "10:05..50/9:30",
                                               "*-*-1 06:00",
                                               "*-*-31 23:59:59",
                                               "1,7-1 00:00",
                                               "*-02-29 12:00",
                                               "Mon *-*-8..14 10:00",
                                               "2026-*-1..9/4",
                                               "2026..2028-01-01",
                                               "2027-03-01 04:05:06",
                                               "Fri *-*-13 00:00:13",
                                               "12-31 23:59:59",
                                               "2/3-28..31 1/5:59",
                                               "Wed 23:59 utc"};
  return kSpecs;
}

TEST(Calendar, ElapsesWhenSystemdSaysSo) {
  if (!have_systemd()) GTEST_SKIP() << "systemd-analyze is not here: nothing to hold the calendar against";
  constexpr auto kYears = seconds{std::chrono::days{366 * 9}};
  for (const auto& spec : specs()) {
    SCOPED_TRACE(spec);
    const auto calendar = config::parse_calendar(spec);
    ASSERT_TRUE(calendar.has_value()) << calendar.error();
    for (const char* base : {"2026-11-23 21:30:00", "2027-12-31 23:59:59", "2028-02-28 10:05:12"}) {
      SCOPED_TRACE(base);
      const auto elapses = elapses_by_systemd(spec, base);
      if (spec.starts_with("202") && elapses.empty()) continue;  // in the past by then
      ASSERT_FALSE(elapses.empty());
      for (std::size_t i = 0; i < elapses.size(); ++i) {
        EXPECT_EQ(last_elapse(*calendar, elapses[i], kYears), elapses[i]);
        const auto before = last_elapse(*calendar, elapses[i] - 1s, kYears);
        if (i > 0) {
          EXPECT_EQ(before, elapses[i - 1]) << "and none between the two";
        } else if (before) {
          EXPECT_LT(*before, elapses[i]);
        }
      }
    }
  }
}

TEST(Calendar, WhatSystemdRefusesIsRefused) {
  const bool systemd = have_systemd();
  for (const char* spec : {"",
                           " ",
                           "*:*/15",
                           "*/5:00",
                           "Sat..Mon 10:00",
                           "12",
                           "24:00",
                           "10:60",
                           "5/40:00",
                           "10:0/0",
                           "10:5..1",
                           "1969-01-01",
                           "2200-01-01",
                           "10:",
                           ":10",
                           "Mon 10:00 foo",
                           "08:55Z",
                           "+5:00",
                           "-5:00",
                           "2026-01-01T10:00",
                           "mond 10:00",
                           "10:00 Mon",
                           "10:00 2026-01-01",
                           "Mon:10",
                           "*-*-32",
                           "*-13-1",
                           "*-0-1",
                           "*-*-0",
                           "1:2:3:4",
                           "10:00 10:00",
                           "10:00,",
                           ",10:00",
                           "Mon,,Tue",
                           "1..:00",
                           "..2:00",
                           "10:00:60"}) {
    SCOPED_TRACE(spec);
    EXPECT_FALSE(config::parse_calendar(spec).has_value());
    if (!systemd) continue;
    EXPECT_EQ(output_of("systemd-analyze calendar " + quoted(spec) + " 2>/dev/null").find("Next elapse"),
              std::string::npos)
        << "systemd takes it";
  }
  if (!systemd) GTEST_SKIP() << "refused here; systemd-analyze is not here to ask as well";
}

TEST(Calendar, WhatIsNotSupportedHasACure) {
  const auto answer = [](const char* spec) { return config::parse_calendar(spec).error(); };
  using ::testing::HasSubstr;
  EXPECT_THAT(answer("10:00 Europe/Berlin"), HasSubstr("must end with \"UTC\" or with no time zone"));
  EXPECT_THAT(answer("*-*~1"), HasSubstr("must have as its day \"*\" or a list of 1..31"));
  EXPECT_THAT(answer("10:00:00.5"), HasSubstr("must have as its second \"*\" or a list of 0..59"));
  EXPECT_THAT(answer("*-02-30"), HasSubstr("a day that comes"));
  EXPECT_THAT(answer("26-01-01"), HasSubstr("must have as its year \"*\" or a list of 1970..2199"));
  EXPECT_THAT(answer("Sat..Mon 10:00"), HasSubstr("a week begins with Mon, not \"Sat..Mon\""));
}

}  // namespace
}  // namespace sluice
