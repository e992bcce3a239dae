// What rate policies delay, and what takes precedence over them.
#include <gtest/gtest.h>

#include "daemon/values/knob_value.hpp"
#include "tests/unit/arbitrate/claims.hpp"

namespace sluice {
namespace {

TEST(ArbitrateRates, RatePoliciesHoldUpRaisesAndCuts) {
  const std::vector<KnobClaim> c{rated(1, 3, 0, 1.5), rated(3, 1, 2.5, 9), rated(1, 3, 1, 1)};
  const auto s = arbitrate(c, 12);
  ASSERT_EQ(s.grants.size(), 2U) << "where nothing is allowed nothing is written";
  EXPECT_DOUBLE_EQ(s.grants[0].value, 1.5);
  EXPECT_DOUBLE_EQ(s.grants[1].value, 2.5);
  EXPECT_TRUE(s.grants[0].reason.clamped_rate && s.grants[1].reason.clamped_rate);
  EXPECT_EQ(s.missing, 0) << "it is no lack of the node's";
}

TEST(ArbitrateRates, ASlowRateIsNotSwallowedByTheTolerance) {
  EXPECT_EQ(arbitrate(std::vector{rated(1, 3, 0, 1.02)}, 8).grants.size(), 1U);
  EXPECT_TRUE(arbitrate(std::vector{rated(1, 1.05, 0, 1.02)}, 8).grants.empty()) << "too small a wish";
}

TEST(ArbitrateRates, BoundsAndRescuesDoNotWaitForARate) {
  auto rescue = rated(1, 3, 1, 1);
  rescue.rate_free = true;
  const std::vector<KnobClaim> c{rated(6, 1, 5, 9), rated(0.01, 1, 0, 0.02), rescue};
  const auto s = arbitrate(c, 16);
  ASSERT_EQ(s.grants.size(), 3U);
  EXPECT_DOUBLE_EQ(s.grants[0].value, 4) << "to the maximum, and not yet further";
  EXPECT_DOUBLE_EQ(s.grants[1].value, 0.1) << "to the minimum";
  EXPECT_DOUBLE_EQ(s.grants[2].value, 3);
}

TEST(ArbitrateRates, AFirstLimitMayHaveToWait) {
  EXPECT_TRUE(arbitrate(std::vector{rated(kUnlimited, 3, kUnlimited, kUnlimited)}, 8).grants.empty());
}

TEST(ArbitrateRates, CapacityTakesFromThoseWhoseRatesAllowIt) {
  const std::vector<KnobClaim> c{rated(3, 0, 2.9, 9), claim(3, 0), claim(1, 4)};
  const auto s = arbitrate(c, 6);
  ASSERT_EQ(s.grants.size(), 2U) << "the first keeps what it has";
  EXPECT_EQ(s.grants[0].claim, 1U);
  EXPECT_LT(s.grants[0].value, 2);
  EXPECT_DOUBLE_EQ(s.allocated, 6);
}

TEST(ArbitrateRates, CapacityGoesBeforeRatesOnlyWhenTheyAloneAreTooMuch) {
  auto low = rated(3, 0, 2.9, 9), high = rated(3, 4, 2.5, 4);
  low.priority = -1;
  const auto s = arbitrate(std::vector{low, high}, 5);
  ASSERT_EQ(s.grants.size(), 2U);
  EXPECT_DOUBLE_EQ(s.grants[0].value, 2.5) << "no more than the node's lack, from the lowest first";
  EXPECT_DOUBLE_EQ(s.grants[1].value, 2.5) << "and nobody gains by it";
  EXPECT_TRUE(s.grants[0].reason.clamped_capacity);
  EXPECT_EQ(s.grants[0].reason.rule, Rule::capacity);
}

}  // namespace
}  // namespace sluice
