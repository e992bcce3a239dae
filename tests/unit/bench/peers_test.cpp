// Each peer behaves as published.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "tests/bench/peers/captain.hpp"
#include "tests/bench/peers/hpa.hpp"
#include "tests/bench/peers/quota_burst.hpp"
#include "tests/bench/peers/static_quota.hpp"
#include "tests/bench/peers/vpa.hpp"
#include "tests/bench/peers/windowed_max.hpp"

namespace sluice::bench {
namespace {

// Gives a peer views of 100 ms and applies its result at once.
class Loop {
 public:
  Loop(Peer& peer, double quota) : peer_(peer), quota_(quota) {}
  double step(double usage, bool throttled = false) {
    now_ += 0.1;
    quota_ = peer_.decide({.now_s = now_,
                           .quota_cores = quota_,
                           .usage_cores = usage,
                           .periods = 1,
                           .throttled = throttled ? 1U : 0U});
    return quota_;
  }
  double seconds(double length, double usage, bool throttled = false) {
    for (int i = 0; i < std::lround(length * 10); ++i) step(usage, throttled);
    return quota_;
  }
  double quota() const { return quota_; }

 private:
  Peer& peer_;
  double quota_;
  double now_ = 0;
};

TEST(Captain, NeverGoesBelowTheFiveSecondMaximum) {
  Captain captain(0.3);
  Loop loop(captain, 4);
  // A peak of 1 core once in four seconds. Nothing throttles, so the margin falls to zero and only the
  // maximum remains.
  for (int second = 0; second < 120; ++second) {
    loop.step(second % 4 == 0 ? 1.0 : 0.2);
    loop.seconds(0.9, 0.2);
    if (second > 5) {
      ASSERT_GE(loop.quota(), 1.0 - 1e-9) << "after " << second << " s";
    }
  }
  EXPECT_EQ(captain.margin(), 0);
  EXPECT_NEAR(loop.quota(), 1.0, 0.11) << "and it comes down to it, but for the tenth it does not write for";
}

TEST(Captain, AtTargetZeroTheMarginOnlyRises) {
  Captain captain(0);
  Loop loop(captain, 1);
  double margin = captain.margin();
  EXPECT_EQ(margin, 3);
  for (int second = 0; second < 60; ++second) {
    loop.step(0.5, second % 10 == 0);
    loop.seconds(0.9, 0.5);
    ASSERT_GE(captain.margin(), margin);
    margin = captain.margin();
  }
  EXPECT_GT(margin, 3.5);
}

TEST(Captain, ScalesUpByTheThrottleRatioAboveThreeTargets) {
  Captain captain(0.1);
  Loop loop(captain, 1);
  for (int i = 0; i < 10; ++i) loop.step(1, i < 6);
  EXPECT_NEAR(loop.quota(), 1 + 0.6 - 0.3, 1e-9);
}

TEST(Captain, HalvesAtMostAndUndoesACutThatHurtsWithinTheSecond) {
  Captain captain(0.1);
  Loop loop(captain, 4);
  EXPECT_NEAR(loop.seconds(1, 0.1), 2, 1e-9) << "half, not the 0.1 it proposes";
  EXPECT_NEAR(loop.step(2, true), 2 * 4 - 2, 1e-9) << "2 last - limit, a tenth of a second later";
}

TEST(WindowedMax, IsTheLargestSecondOfTheWindowOverTheUtilisation) {
  WindowedMax slow(300, 15, 0.8);
  Loop loop(slow, 4);
  loop.seconds(14, 0.4);
  EXPECT_EQ(loop.quota(), 4) << "it decides every 15 s";
  loop.seconds(1, 1.6);
  EXPECT_NEAR(loop.quota(), 1.6 / 0.8, 1e-9);
  EXPECT_NEAR(loop.seconds(285, 0.4), 2, 1e-9) << "the peak is still in its 300 s";
  EXPECT_NEAR(loop.seconds(15, 0.4), 0.5, 1e-9);

  WindowedMax fast(20, 1, 0.5);
  Loop quick(fast, 4);
  EXPECT_NEAR(quick.seconds(1, 1), 2, 1e-9);
  EXPECT_NEAR(quick.seconds(19, 0.1), 2, 1e-9);
  EXPECT_NEAR(quick.seconds(1, 0.1), 0.2, 1e-9);
}

TEST(Vpa, TargetIsTheNinetiethPercentileAndFifteenPercent) {
  Vpa vpa(Vpa::Setting{});
  Loop loop(vpa, 4);
  // Within one bucket of 5 %.
  EXPECT_GE(loop.seconds(60, 0.5), 0.5 * 1.15);
  EXPECT_LE(loop.quota(), 0.5 * 1.15 * 1.06);

  // One minute in twenty at 2 cores is above p90. Twelve in twenty are not, and lift p50 above the limit.
  Vpa rare(Vpa::Setting{});
  Vpa frequent(Vpa::Setting{});
  Loop rarely(rare, 4);
  Loop often(frequent, 4);
  for (int minute = 0; minute < 100; ++minute) {
    rarely.seconds(60, minute % 20 == 19 ? 2 : 0.5);
    often.seconds(60, minute % 20 > 7 ? 2 : 0.5);
  }
  EXPECT_LT(rarely.quota(), 0.5 * 1.15 * 1.06);
  EXPECT_GE(often.quota(), 2 * 1.15);
}

TEST(Vpa, LeavesALimitWithinItsBoundsAlone) {
  Vpa vpa(Vpa::Setting{});
  Loop loop(vpa, 4);
  const double first = loop.seconds(60, 0.5);
  for (int minute = 0; minute < 100; ++minute) loop.seconds(60, minute % 5 == 4 ? 1 : 0.5);
  EXPECT_EQ(loop.quota(), first) << "the target is twice that, but it lies between p50 and p95";
}

TEST(Vpa, OldSamplesWeighLessAndTheFloorHolds) {
  Vpa vpa(Vpa::Setting{.half_life_s = 60});
  Loop loop(vpa, 4);
  loop.seconds(600, 2);
  EXPECT_GE(loop.quota(), 2.3);
  loop.seconds(420, 0.001);  // 2 cores now have a weight of 1/128 of the total
  EXPECT_NEAR(loop.quota(), 0.025 * 1.15, 1e-9);
}

TEST(Hpa, ToleratesATenth) {
  Hpa hpa(Hpa::Setting{.target = 0.8});
  Loop loop(hpa, 1);
  EXPECT_EQ(loop.seconds(60, 0.87), 1);
  EXPECT_NEAR(loop.seconds(15, 0.95), 1.2, 1e-9) << "ceil(10 x 0.95 / 0.8) pods of 0.1";
}

TEST(Hpa, DoublesAtMostOrFourPods) {
  Hpa hpa(Hpa::Setting{.target = 0.2});
  Loop loop(hpa, 0.1);
  EXPECT_NEAR(loop.seconds(15, 0.1), 0.5, 1e-9) << "five pods wanted, four more allowed";
  EXPECT_NEAR(loop.seconds(15, 0.5), 1.0, 1e-9) << "25 wanted, twice as many allowed";
}

TEST(Hpa, ComesDownToTheLargestOfThreeHundredSeconds) {
  Hpa hpa(Hpa::Setting{.target = 0.8});
  Loop loop(hpa, 1);
  loop.seconds(15, 0.8);
  EXPECT_NEAR(loop.seconds(285, 0.08), 1, 1e-9);
  EXPECT_NEAR(loop.seconds(45, 0.08), 0.1, 1e-9);
}

TEST(QuotaBurst, GrowsByAFifthToThreeBasesAndNeverComesDown) {
  QuotaBurst burst(0.5);
  Loop loop(burst, 0.5);
  EXPECT_NEAR(loop.seconds(1, 0.5, true), 0.6, 1e-9);
  EXPECT_NEAR(loop.seconds(1, 0.5, true), 0.72, 1e-9);
  EXPECT_NEAR(loop.seconds(10, 0.5, true), 1.5, 1e-9);
  EXPECT_NEAR(loop.seconds(3'600, 0.01), 1.5, 1e-9);
}

TEST(Settings, EveryPeerHasOnePublishedDefaultAndAGrid) {
  std::map<std::string, int> published;
  std::map<std::string, int> all;
  for (const auto& setting : peer_settings({.usage_by_second = {1, 2, 3}})) {
    ++all[setting.peer];
    published[setting.peer] += setting.published ? 1 : 0;
    EXPECT_NE(setting.start(), nullptr);
  }
  EXPECT_EQ(all.size(), 8U);
  for (const auto& [peer, count] : published) {
    EXPECT_EQ(count, 1) << peer;
    EXPECT_GE(all[peer], 6) << peer;
  }
}

TEST(Settings, StaticQuotasAreTakenFromTheUsageInHindsight) {
  Hindsight hindsight;
  for (int i = 0; i <= 100; ++i) hindsight.usage_by_second.push_back(i / 100.0);
  for (const auto& setting : peer_settings(hindsight)) {
    if (!setting.published) continue;
    const double quota = setting.start()->decide({});
    if (setting.peer == "static-peak") {
      EXPECT_NEAR(quota, 1, 1e-9);
    }
    if (setting.peer == "static-p95") {
      EXPECT_NEAR(quota, 0.95, 1e-9);
    }
  }
}

}  // namespace
}  // namespace sluice::bench
