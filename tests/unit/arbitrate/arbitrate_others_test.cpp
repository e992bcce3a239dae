// What limits that stay take of the node, and what is left for the others when it is less than the minima.
#include <gtest/gtest.h>

#include "tests/unit/arbitrate/claims.hpp"

namespace sluice {
namespace {

// Without a limit, and not governed.
KnobClaim stranger(double use, double min = 0.1) {
  auto c = claim(1, 0, min);
  c.current = kUnlimited;
  c.use = use;
  c.ours = c.movable = c.governed = false;
  return c;
}

TEST(ArbitrateOthers, WhoUsesNothingMakesNobodysFairShareSmaller) {
  const std::vector<KnobClaim> c{stranger(5), stranger(0), stranger(0), claim(1, 4)};
  EXPECT_DOUBLE_EQ(after(c, arbitrate(c, 4), 3), 2) << "half of the node for each of two";
}

TEST(ArbitrateOthers, NobodyIsCutForATaskWithoutALimitOfWhichNothingIsSeen) {
  auto released = stranger(0);
  released.ours = true;  // an earlier order may still be in force
  released.use.reset();
  const std::vector<KnobClaim> c{released, claim(1.5)};
  EXPECT_TRUE(arbitrate(c, 2).grants.empty());
}

TEST(ArbitrateOthers, AFairShareIsNoLessThanAMinimum) {
  auto hog = stranger(5, 3);
  hog.governed = true;
  const std::vector<KnobClaim> c{hog, claim(0.5, 4)};
  EXPECT_DOUBLE_EQ(after(c, arbitrate(c, 4), 1), 1);
}

TEST(ArbitrateOthers, AnOrderUnderWayIsAllocatedAsAPromise) {
  auto cut = claim(4), idle = claim(2);  // from four to one
  cut.ordered = 1;
  cut.movable = false;
  cut.use = 0.5;
  idle.use = 0.1;
  EXPECT_DOUBLE_EQ(arbitrate(std::vector{cut, idle}, 4).allocated, 3);
}

TEST(ArbitrateOthers, WhatARateWouldKeepIsNotMissing) {
  auto idle = claim(3);
  idle.use = 0.05;
  idle.rate.lowest = 2.5;
  const std::vector<KnobClaim> c{idle, claim(1, 4)};
  const auto s = arbitrate(c, 2);
  EXPECT_LT(after(c, s, 0), 2.5) << "the node does not have it";
  EXPECT_NEAR(s.missing, 4 - after(c, s, 1), 1e-9);
}

TEST(ArbitrateMinima, OfAStrangerAreNotGuaranteed) {
  EXPECT_FALSE(arbitrate(std::vector{stranger(0, 3), claim(2, 0, 2)}, 4).minima_exceed);
}

TEST(ArbitrateMinima, AShortageHoldsNoPin) {
  auto pin = claim(1, 1.5);
  pin.exact = true;
  pin.intent.reason.rule = Rule::pinned;
  const std::vector<KnobClaim> c{pin, claim(2, 0, 2), claim(2, 0, 2)};
  const auto s = arbitrate(c, 3);
  EXPECT_TRUE(s.minima_exceed);
  EXPECT_DOUBLE_EQ(after(c, s, 0), 1.5);
}

TEST(ArbitrateMinima, AShareThatMovesALittleIsNotWritten) {
  const std::vector<KnobClaim> c{claim(0.48, 0, 1), claim(0.48, 0, 1)};
  EXPECT_TRUE(arbitrate(c, 1).grants.empty());
  EXPECT_EQ(arbitrate(c, 1.2).grants.size(), 2U);
}

}  // namespace
}  // namespace sluice
