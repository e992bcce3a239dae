#include "daemon/decide/forecast.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

namespace sluice {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using namespace std::chrono_literals;

// A task that is sampled once a second.
struct Watched {
  explicit Watched(seconds season) : profile(empty_profile(season)) {}

  SeasonProfile profile;
  SeasonWatch watch;
  MonotonicTime at{1h};
  WallClock wall{};
  double used_seconds = 0;
  bool credible = true;

  // `cores` of the time since the epoch, in UTC.
  void run(seconds length, const std::function<double(seconds)>& cores) {
    for (seconds s{}; s < length; ++s) {
      used_seconds += cores(wall.since_epoch);
      ++wall.since_epoch;
      at += 1s;
      look();
    }
  }
  void run(seconds length, double cores) {
    run(length, [&](seconds) { return cores; });
  }
  void look() {
    observe_season({at, wall, Usec{static_cast<std::int64_t>(used_seconds * 1e6)}, credible}, profile, watch);
  }
  Forecast soon(seconds ahead = 2s) const { return forecast(profile, watch, wall, ahead, true); }
  std::size_t learned() const {
    return static_cast<std::size_t>(std::count_if(profile.buckets.begin(), profile.buckets.end(),
                                                  [](const auto& b) { return b.seasons > 0; }));
  }
};

// Two cores from 9:00 to 17:00, otherwise a tenth.
double office(seconds since_epoch) {
  const auto hour = since_epoch % 24h / 1h;
  return hour >= 9 && hour < 17 ? 2 : 0.1;
}

TEST(Forecast, BucketsAreOfTenSecondsOrMore) {
  EXPECT_EQ(bucket_count(24h), 288U);
  EXPECT_EQ(bucket_count(7 * 24h), 288U);
  EXPECT_EQ(bucket_count(10min), 60U);
  EXPECT_EQ(bucket_count(5s), 1U);
}

TEST(Forecast, ADaySeenOnceTellsOfTheNext) {
  Watched w(24h);
  w.run(24h + 1s, office);
  EXPECT_EQ(w.learned(), 288U);
  EXPECT_EQ(w.soon().trust, ForecastTrust::learning) << "nothing it said was compared yet";
  w.run(9h - 3s, office);  // to 8:59:58
  EXPECT_EQ(w.soon(1s).trust, ForecastTrust::trusted);
  EXPECT_NEAR(w.soon(1s).cores, 0.1, 0.01);
  EXPECT_NEAR(w.soon(2s).cores, 2, 0.05);
  EXPECT_NEAR(w.soon(2s).floor_cores, 2, 0.2);
  EXPECT_EQ(w.soon(2s).seasons, 1U);
  EXPECT_LT(w.soon(2s).error_ratio, 0.05);
  w.run(4h, office);
  EXPECT_NEAR(w.soon(5min).cores, 2, 0.01);
  w.run(4h + 3s, office);  // past 17:00
  EXPECT_NEAR(w.soon().cores, 0.1, 0.01) << "the hour that is over is forgotten";
}

TEST(Forecast, ATimeOfTheSeasonThatWasNotSeenHasNone) {
  Watched w(24h);
  w.run(6h, 1);
  EXPECT_EQ(w.soon().trust, ForecastTrust::learning);
  EXPECT_EQ(w.soon().cores, 0);
  EXPECT_EQ(w.soon().seasons, 0U);
}

TEST(Forecast, AShapeThatDoesNotComeAgainIsNotTrustedAndANewOneIsLearned) {
  Watched w(10min);
  const auto odd = [](seconds s) { return s / 10s % 2 == 1 ? 2.0 : 0.1; };
  const auto even = [&](seconds s) { return odd(s + 10s); };
  w.run(20min, odd);
  EXPECT_EQ(w.soon().trust, ForecastTrust::trusted);
  w.run(1min, even);
  EXPECT_EQ(w.soon().trust, ForecastTrust::inaccurate);
  EXPECT_GT(w.soon().error_ratio, 0.3);
  w.run(150min, even);
  EXPECT_EQ(w.soon().trust, ForecastTrust::trusted);
}

TEST(Forecast, ADayThatIsQuieterOrBusierMovesItWithinReason) {
  Watched w(10min);
  w.run(10min + 1s, 1);
  w.run(1min, 0.7);
  EXPECT_NEAR(w.soon().cores, 0.7, 0.05);
  w.run(2min, 1.3);
  EXPECT_NEAR(w.soon().cores, 1.3, 0.1);
  w.run(2min, 40);
  EXPECT_LE(w.soon().cores, 2.01) << "no more than twice what it was";
  w.run(3min, 0.05);
  EXPECT_GE(w.soon().cores, 0.5) << "nor less than half: it may yet come";
}

// A season of constant demand, and then buckets of another demand.
TEST(Forecast, ItsErrorIsOfTheLargerAndTheLastBucketMovesItAFifth) {
  Watched more(10min), less(10min), idle(10min);
  more.run(10min + 1s, 1);
  more.run(9s, 4);
  more.run(1s, 4);
  EXPECT_NEAR(more.profile.error_ratio, 0.75, 0.03) << "four came, and one was expected";
  more.run(10s, 2);  // twice the profile, as in the earlier buckets of today
  EXPECT_NEAR(more.profile.error_ratio, 0.6, 0.06);
  less.run(10min + 1s, 1);
  less.run(10s, 0.25);
  EXPECT_NEAR(less.profile.error_ratio, 0.75, 0.1);
  idle.run(10min + 1s, 0.001);
  idle.run(10s, 0.005);
  EXPECT_NEAR(idle.profile.error_ratio, 0.2, 0.05) << "of nothing it is none";
}

TEST(Forecast, IsTrustedOnceThreeBucketsWereCompared) {
  Watched w(10min);
  w.run(10min + 1s, 1);
  w.run(20s, 1);
  EXPECT_EQ(w.soon().trust, ForecastTrust::learning);
  w.run(10s, 1);
  EXPECT_EQ(w.soon().trust, ForecastTrust::trusted);
}

TEST(Forecast, RemembersHowUnevenABucketIs) {
  Watched w(10min);
  w.run(60min + 1s, [](seconds s) { return s % 10s == 1s ? 4.0 : 0.0; });
  for (const auto& b : w.profile.buckets) {
    EXPECT_NEAR(b.mean_cores, 0.4, 0.05);
    EXPECT_NEAR(b.spread_cores, 1.2, 0.1);
  }
}

// The profile of a time counts by its mean and its spread, and by whether the backlog is seen.
TEST(Forecast, AsksForTheMeanLessAPartOfTheSpread) {
  SeasonProfile p = empty_profile(10min);
  p.compared = 3;
  for (auto& b : p.buckets) b = {1, 0.4, 1};
  const WallClock wall{};
  EXPECT_NEAR(forecast(p, {}, wall, 0s, true).floor_cores, 1 - 0.75 * 0.4, 1e-9);
  EXPECT_NEAR(forecast(p, {}, wall, 0s, false).floor_cores, 1.1 * (1 - 0.35 * 0.4), 1e-9);
  EXPECT_EQ(forecast(p, {}, wall, 0s, true).cores, 1);
  p.buckets[1] = {3, 0, 4};
  EXPECT_EQ(forecast(p, {}, wall, 10s, true).cores, 3) << "soon";
  EXPECT_EQ(forecast(p, {}, wall, 10s, true).seasons, 4U);
  p.buckets[1] = {0.5, 0, 4};
  EXPECT_EQ(forecast(p, {}, wall, 10s, true).cores, 1) << "it is needed still";
  p.buckets[1] = {9, 0, 0};
  EXPECT_EQ(forecast(p, {}, wall, 10s, true).cores, 1) << "a time of which nothing was seen";
  EXPECT_EQ(forecast(p, {}, wall, 10s, true).trust, ForecastTrust::learning);
}

TEST(Forecast, ATimeBeforeTheEpochIsOfADayToo) {
  SeasonProfile p = empty_profile(24h);
  p.buckets[19 * 12] = {3, 0, 1};
  EXPECT_EQ(forecast(p, {}, {0s, -5h}, 0s, true).cores, 3) << "seven in the evening of New Year's Eve";
}

TEST(Forecast, KnowsWhenItSawTheTaskLast) {
  Watched w(10min);
  w.wall.since_epoch = 1'000'000s;
  w.run(5s, 1);
  EXPECT_EQ(w.profile.seen_at, 1'000'005s);
}

TEST(Forecast, WhatComesInBurstsIsNotNeededAllTheTime) {
  Watched w(10min);
  w.run(21min, [](seconds s) { return s % 10s == 0s ? 4.0 : 0.0; });
  EXPECT_NEAR(w.soon().cores, 0.4, 0.05);
  EXPECT_EQ(w.soon().floor_cores, 0) << "no floor is below nothing, and none is for a tenth of the time";
}

TEST(Forecast, AnIdleTaskIsForeseenToBeIdle) {
  Watched w(10min);
  w.run(20min, [](seconds s) { return s % 20s == 0s ? 0.01 : 0.0; });
  EXPECT_EQ(w.soon().trust, ForecastTrust::trusted);
  EXPECT_LT(w.soon().cores, 0.02);
}

TEST(Forecast, OnlyABucketThatWasSeenWholeIsLearned) {
  Watched w(10min);
  w.wall.since_epoch = 3s;
  w.run(5s, 1);  // starts within a bucket
  EXPECT_EQ(w.learned(), 0U);
  w.run(33s, 1);  // to 41 s
  EXPECT_EQ(w.learned(), 3U);
  w.credible = false;
  w.run(5s, 3);
  w.credible = true;
  w.run(5s, 1);
  EXPECT_EQ(w.learned(), 3U) << "half of it is not what the task needed";
  w.run(10s, 1);
  EXPECT_EQ(w.learned(), 4U);
  // A gap in the samples: the time of its usage is unknown.
  w.at += 4s;
  w.wall.since_epoch += 4s;
  w.used_seconds += 12;
  w.look();
  w.run(17s, 1);
  EXPECT_EQ(w.learned(), 5U);
  for (const auto& b : w.profile.buckets) EXPECT_LE(b.mean_cores, 1.01);
}

TEST(Forecast, AClockThatIsSetLearnsNothingWrong) {
  for (const seconds by : {hours{3} + 5s, -hours{3} - 5s}) {
    Watched w(24h);
    w.run(48h, office);
    const auto before = w.profile;
    w.run(7min, office);
    w.wall.since_epoch += by;  // the load does not move with the clock
    w.look();
    w.run(4min, 0.1);
    std::size_t changed = 0;
    for (std::size_t i = 0; i < before.buckets.size(); ++i)
      changed += before.buckets[i] == w.profile.buckets[i] ? 0 : 1;
    EXPECT_EQ(changed, 1U) << "the five minutes before it, and not those within which it was set";
  }
}

TEST(Forecast, ATimeInWhichTheClockIsSetBackALittleIsNotLearned) {
  Watched w(24h);
  w.run(48h, office);
  const auto before = w.profile.buckets;
  w.run(2min, 1);
  w.wall.since_epoch -= 1min;
  w.run(4min + 1s, 1);
  EXPECT_EQ(w.profile.buckets, before);
}

// Samples at this distance, over a little more than one season.
Watched looked_at_each(seconds apart, seconds season) {
  Watched w(season);
  for (seconds t{}; t < season + season / 30; t += apart) {
    w.used_seconds += static_cast<double>(apart.count()) * (t / apart % 2 == 0 ? 2 : 0);
    w.wall.since_epoch += apart;
    w.at += apart;
    w.look();
    w.look();  // twice at the same time
  }
  return w;
}

TEST(Forecast, LooksMayBeApartAndTwoOfOneMomentDoNoHarm) {
  const auto w = looked_at_each(2s, 10min);
  EXPECT_EQ(w.learned(), 60U);
  for (const auto& b : w.profile.buckets) {
    EXPECT_NEAR(b.mean_cores, 1, 0.3);
    EXPECT_NEAR(b.spread_cores, 1, 0.05);
  }
  EXPECT_GT(looked_at_each(3s, 10min).learned(), 50U);
  EXPECT_EQ(looked_at_each(4s, 10min).learned(), 0U) << "nobody knows when within that";
  EXPECT_EQ(looked_at_each(1min, 24h).learned(), 288U) << "of five minutes it is not long";
  EXPECT_EQ(looked_at_each(90s, 24h).learned(), 0U);
}

TEST(Forecast, ADayIsThatOfTheWallAndAnotherSeasonIsNot) {
  Watched w(24h);
  w.wall.utc_offset = 1h;
  w.run(48h, [](seconds s) { return office(s + 1h); });
  w.run(7h, [](seconds s) { return office(s + 1h); });
  // 8:00 in winter is 9:00 in summer.
  EXPECT_NEAR(w.soon().cores, 0.1, 0.01);
  w.wall.utc_offset = 2h;
  EXPECT_NEAR(w.soon().cores, 2, 0.1);
  w.run(6h, [](seconds s) { return office(s + 2h); });
  EXPECT_EQ(w.soon().trust, ForecastTrust::trusted);
  EXPECT_LT(w.soon().error_ratio, 0.05) << "people went along";

  Watched h(1h);
  h.run(2h, [](seconds s) { return s % 1h < 30min ? 1.0 : 0.1; });
  h.wall.utc_offset = 30min;
  EXPECT_NEAR(h.soon().cores, 1, 0.01);
}

TEST(Forecast, ACounterThatRunsBackwardsIsNoWork) {
  Watched w(10min);
  w.run(20min, 1);
  const auto before = w.profile.buckets;
  w.used_seconds = 0;
  w.run(11s, 1);
  w.run(10min, 1);
  for (const auto& b : w.profile.buckets) EXPECT_NEAR(b.mean_cores, 1, 0.15);
}

TEST(Forecast, WhatIsNoProfileIsNotTaken) {
  EXPECT_TRUE(plausible(empty_profile(24h)));
  SeasonProfile p = empty_profile(24h);
  p.buckets.pop_back();
  EXPECT_FALSE(plausible(p));
  p = empty_profile(24h);
  p.season = 0s;
  EXPECT_FALSE(plausible(p));
  EXPECT_FALSE(plausible(empty_profile(5s)));
  EXPECT_TRUE(plausible(empty_profile(31 * 24h)));
  EXPECT_FALSE(plausible(empty_profile(32 * 24h)));
  p = empty_profile(24h);
  p.error_ratio = 1.01;
  EXPECT_FALSE(plausible(p));
  for (const double bad : {-1.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
    p = empty_profile(24h);
    p.buckets[7].mean_cores = bad;
    EXPECT_FALSE(plausible(p)) << bad;
    p = empty_profile(24h);
    p.buckets[7].spread_cores = bad;
    EXPECT_FALSE(plausible(p)) << bad;
    p = empty_profile(24h);
    p.error_ratio = bad;
    EXPECT_FALSE(plausible(p)) << bad;
  }
}

}  // namespace
}  // namespace sluice
