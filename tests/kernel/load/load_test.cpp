#include <gtest/gtest.h>

#include <sstream>

#include "tests/kernel/load/ages.hpp"
#include "tests/kernel/load/recording.hpp"
#include "tests/kernel/load/schedule.hpp"

namespace sluice::load {
namespace {

int sent_between(const std::vector<Arrival>& arrivals, double from, double to) {
  int n = 0;
  for (const auto& a : arrivals) {
    const double at = static_cast<double>(a.at_usec) / 1e6;
    n += at >= from && at < to ? 1 : 0;
  }
  return n;
}

std::string error_of(const std::string& csv) {
  std::istringstream in(csv);
  try {
    parse_series(in);
  } catch (const std::runtime_error& e) {
    return e.what();
  }
  return "no error";
}

TEST(Schedule, SeriesIsScaledToThePeakAndKeepsItsProportions) {
  std::istringstream in("t_s,rps\n0,100\n60,300\n120,0\n180,50\n");
  const auto arrivals =
      schedule_series(parse_series(in), {.speedup = 60, .peak_rate = 30, .duration_seconds = 4});
  EXPECT_NEAR(sent_between(arrivals, 0, 1), 10, 1);
  EXPECT_NEAR(sent_between(arrivals, 1, 2), 30, 1);
  EXPECT_EQ(sent_between(arrivals, 2, 3), 0);
  EXPECT_NEAR(sent_between(arrivals, 3, 4), 5, 1);
  for (const auto& a : arrivals) EXPECT_EQ(a.work, 1);
}

TEST(Schedule, PartOfATraceIsPlayedFromItsStart) {
  std::istringstream in("t_s,rps\n0,100\n10,1\n11,3\n12,1\n");
  const auto arrivals =
      schedule_series(parse_series(in), {.start_seconds = 10, .peak_rate = 30, .duration_seconds = 3});
  EXPECT_NEAR(sent_between(arrivals, 0, 1), 10, 1);
  EXPECT_NEAR(sent_between(arrivals, 1, 2), 30, 1);
}

TEST(Schedule, TimesRiseAndEqualOptionsGiveEqualSchedules) {
  const ScheduleOptions options{.peak_rate = 70, .duration_seconds = 9};
  const auto a = make_schedule("diurnal", options), b = make_schedule("diurnal", options);
  ASSERT_EQ(a.size(), b.size());
  ASSERT_GT(a.size(), 100U);
  for (std::size_t i = 1; i < a.size(); ++i) {
    EXPECT_GE(a[i].at_usec, a[i - 1].at_usec);
    EXPECT_EQ(a[i].at_usec, b[i].at_usec);
  }
}

TEST(Schedule, BurstHasItsPeakInTheMiddle) {
  const auto arrivals = make_schedule("burst", {.peak_rate = 50, .duration_seconds = 30});
  EXPECT_NEAR(sent_between(arrivals, 0, 10), 100, 5);
  EXPECT_NEAR(sent_between(arrivals, 10, 20), 500, 15);
  EXPECT_NEAR(sent_between(arrivals, 20, 30), 100, 5);
}

TEST(Schedule, EventsKeepTheirWorkInProportion) {
  std::istringstream in(
      "TIMESTAMP,ContextTokens,GeneratedTokens\n"
      "2023-11-16 18:59:59.5000000,90,10\n2023-11-16 19:00:00.0000000,250,50\n");
  const auto arrivals = schedule_events(parse_events(in), {.speedup = 0.5, .duration_seconds = 10});
  ASSERT_EQ(arrivals.size(), 2U);
  EXPECT_EQ(arrivals[0].at_usec, 0);
  EXPECT_NEAR(static_cast<double>(arrivals[1].at_usec), 1e6, 2);
  EXPECT_DOUBLE_EQ(arrivals[0].work, 0.5);
  EXPECT_DOUBLE_EQ(arrivals[1].work, 1.5);
}

TEST(Schedule, EventsAreThinnedToThePeakOverAnySecond) {
  std::vector<Event> events;
  for (int i = 0; i < 400; ++i) events.push_back({i < 200 ? i * 0.1 : 20 + (i - 200) * 0.005, 1.0 + i % 7});
  const auto arrivals = schedule_events(events, {.peak_rate = 40, .duration_seconds = 30});
  for (const auto& a : arrivals)
    EXPECT_LE(sent_between(arrivals, static_cast<double>(a.at_usec) / 1e6,
                           static_cast<double>(a.at_usec) / 1e6 + 1),
              40);
  EXPECT_GT(sent_between(arrivals, 20, 21), 30);
  EXPECT_GT(sent_between(arrivals, 0, 20), 30);
}

TEST(Schedule, BadTracesAreNamedWithTheirLine) {
  EXPECT_EQ(error_of("t_s,rps\n0,1\n1,x\n"), "line 3: 'x' is no number");
  EXPECT_EQ(error_of("t_s,rps\n0,1\n0,2\n"), "line 3: time does not rise");
  EXPECT_EQ(error_of("t_s,rps\n0,-1\n"), "line 2: a negative rate");
  EXPECT_EQ(error_of("t_s,rps\n0,1,2\n"), "line 2: 3 columns, not 2");
  EXPECT_EQ(error_of(""), "the file is empty");
  EXPECT_THROW(make_schedule("sawtooth", {}), std::runtime_error);
  EXPECT_THROW(make_schedule("/nonexistent/trace.csv", {}), std::runtime_error);
}

TEST(Ages, QuantilesAreNearestRank) {
  Ages ages;
  EXPECT_EQ(ages.quantile_ms(0.5), 0);
  EXPECT_EQ(ages.late_ratio(1), 0);
  for (int i = 100; i >= 1; --i) ages.add(i * 1000);
  EXPECT_EQ(ages.quantile_ms(0.5), 50);
  EXPECT_EQ(ages.quantile_ms(0.99), 99);
  EXPECT_EQ(ages.quantile_ms(1), 100);
  EXPECT_DOUBLE_EQ(ages.late_ratio(90), 0.1);
}

TEST(Recording, ReadsTheKernelsFiles) {
  EXPECT_EQ(keyed_value("usage_usec 12\nuser_usec 5\n", "user_usec"), 5);
  EXPECT_EQ(keyed_value("nr_periods 12\n", "nr_p"), std::nullopt);
  double cores = 0, period = 0;
  EXPECT_TRUE(parse_cpu_max("50000 100000\n", 2, cores, period));
  EXPECT_DOUBLE_EQ(cores, 0.5);
  EXPECT_DOUBLE_EQ(period, 0.1);
  EXPECT_TRUE(parse_cpu_max("max 100000\n", 2, cores, period));
  EXPECT_DOUBLE_EQ(cores, 2);
  EXPECT_FALSE(parse_cpu_max("", 2, cores, period));
  EXPECT_FALSE(parse_cpu_max("x 100000\n", 2, cores, period));
}

TEST(Recording, WeighsByTime) {
  Recording r;
  r.add({.at_usec = 0, .quota_cores = 1, .usage_usec = 0});
  r.add({.at_usec = 3'000'000, .quota_cores = 0.2, .usage_usec = 600'000});
  r.add({.at_usec = 4'000'000, .quota_cores = 0.2, .usage_usec = 800'000});
  const auto json = r.json();
  EXPECT_NE(json.find(R"("allocated_cores": 0.8000, "used_cores": 0.2000, "quota_min_cores": 0.2000)"),
            std::string::npos)
      << json;
  EXPECT_NE(json.find(R"("quota_changes": 1)"), std::string::npos) << json;
}

}  // namespace
}  // namespace sluice::load
