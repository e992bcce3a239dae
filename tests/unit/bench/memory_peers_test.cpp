// Each memory peer behaves as published.
#include <gtest/gtest.h>

#include "tests/bench/memory/fixed.hpp"
#include "tests/bench/memory/senpai.hpp"
#include "tests/bench/memory/tmo.hpp"

namespace sluice::bench {
namespace {

constexpr double kMiB = 1 << 20;
constexpr double kGiB = 1024 * kMiB;

// Senpai's limit after `seconds` with this pressure in each second.
double senpai_after(Senpai& senpai, int seconds, double some_usec, double limit) {
  for (int i = 0; i < seconds; ++i) {
    const auto action = senpai.decide({.current_bytes = kGiB, .some_usec = some_usec});
    EXPECT_EQ(action.reclaim_bytes, 0);
    limit = action.high_bytes.value_or(limit);
  }
  return limit;
}

TEST(SenpaiPeer, BeginsAtWhatIsInUse) {
  Senpai senpai({});
  EXPECT_DOUBLE_EQ(senpai_after(senpai, 1, 0, 0), kGiB);
}

TEST(SenpaiPeer, ProbesAPercentAnIntervalWhileNothingStalls) {
  Senpai senpai({});
  const double start = senpai_after(senpai, 1, 0, 0);
  EXPECT_DOUBLE_EQ(senpai_after(senpai, 5, 0, start), start) << "the interval is six seconds";
  EXPECT_NEAR(senpai_after(senpai, 1, 0, start), 0.99 * start, 1);
}

TEST(SenpaiPeer, ProbesLessTheNearerThePressureIsToItsTarget) {
  Senpai senpai({});
  const double start = senpai_after(senpai, 1, 0, 0);
  // I = 5 ms of P = 10 ms: (2 / 10)^2 of a percent.
  EXPECT_NEAR(senpai_after(senpai, 6, 5'000.0 / 6, start), start * (1 - 0.04 * 0.01), 1);
}

TEST(SenpaiPeer, BacksOffAtOnceByTheSquareOfTheOverrun) {
  Senpai senpai({});
  const double start = senpai_after(senpai, 1, 0, 0);
  // I = 100 ms, ten times P: (10 / 20)^2 added.
  EXPECT_NEAR(senpai_after(senpai, 1, 100'000, start), 1.25 * start, 1);
  const double raised = 1.25 * start;
  EXPECT_NEAR(senpai_after(senpai, 1, 1'000'000, raised), 2 * raised, 1) << "never more than doubled";
}

TEST(SenpaiPeer, NeverBelowItsLeast) {
  Senpai senpai({});
  EXPECT_DOUBLE_EQ(*senpai.decide({.current_bytes = kMiB}).high_bytes, 100 * kMiB);
}

double tmo_reclaims(double current, double some_usec_each_second) {
  Tmo tmo({});
  double bytes = 0;
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(bytes, 0) << "each six seconds";
    const auto action = tmo.decide({.current_bytes = current, .some_usec = some_usec_each_second});
    EXPECT_FALSE(action.high_bytes) << "it sets no limit";
    bytes = action.reclaim_bytes;
  }
  return bytes;
}

TEST(TmoPeer, TakesATwentiethOfAPercentEachSixSeconds) {
  EXPECT_NEAR(tmo_reclaims(kGiB, 0), 0.0005 * kGiB, 1);
}
TEST(TmoPeer, TakesHalfOfThatAtHalfThePressure) {
  EXPECT_NEAR(tmo_reclaims(kGiB, 500), 0.00025 * kGiB, 1);
}
TEST(TmoPeer, TakesNothingAtItsPressure) {
  EXPECT_EQ(tmo_reclaims(kGiB, 1'000), 0);
  EXPECT_EQ(tmo_reclaims(kGiB, 9'000), 0);
}

TEST(MemoryQosPeer, WritesOnceBetweenRequestAndLimit) {
  MemoryQos qos(kGiB, 2 * kGiB, 0.8);
  const auto first = qos.decide({});
  ASSERT_TRUE(first.high_bytes);
  EXPECT_NEAR(*first.high_bytes, 1.8 * kGiB, 4096);
  EXPECT_EQ(static_cast<std::uint64_t>(*first.high_bytes) % 4096, 0U);
  EXPECT_FALSE(qos.decide({}).high_bytes);
}

}  // namespace
}  // namespace sluice::bench
