// The reason of a grant: its rule, the value wanted, and what bounded it. And changes that are not written.
#include <gtest/gtest.h>

#include "tests/unit/arbitrate/claims.hpp"

namespace sluice {
namespace {

KnobClaim pinned(double current, double to) {
  auto c = claim(current, to);
  c.exact = true;
  c.intent.reason.rule = Rule::pinned;
  return c;
}

const KnobGrant* grant_of(const Share& share, std::size_t claim) {
  for (const auto& g : share.grants) {
    if (g.claim == claim) return &g;
  }
  return nullptr;
}

TEST(ArbitrateReasons, WhatStandsInNoWayHasNoMark) {
  const auto s = arbitrate(std::vector{claim(1, 2)}, 8);
  Reason plain{.rule = Rule::cpu_throttled, .wanted = 2};
  ASSERT_EQ(s.grants.size(), 1U);
  EXPECT_EQ(s.grants[0].reason, plain);
  EXPECT_FALSE(s.unmet[0]);
}

TEST(ArbitrateReasons, AMinimumIsNoStep) {
  const auto s = arbitrate(std::vector{claim(1, 0.01)}, 8);
  EXPECT_TRUE(s.grants[0].reason.clamped_min);
  EXPECT_FALSE(s.grants[0].reason.clamped_step);
}

TEST(ArbitrateReasons, OutOfItsBoundsATaskIsMovedForThemOrForItsSchedule) {
  const auto rule_of = [](KnobClaim c, bool min_scheduled, bool max_scheduled) {
    c.min_scheduled = min_scheduled;
    c.max_scheduled = max_scheduled;
    const auto s = arbitrate(std::vector{c}, 8);
    EXPECT_EQ(s.grants[0].reason.wanted, c.current) << "it asked for nothing else";
    return s.grants[0].reason.rule;
  };
  EXPECT_EQ(rule_of(claim(0.01), false, false), Rule::bound);
  EXPECT_EQ(rule_of(claim(0.01), true, false), Rule::schedule);
  EXPECT_EQ(rule_of(claim(0.01), false, true), Rule::bound);
  EXPECT_EQ(rule_of(claim(6), false, false), Rule::bound);
  EXPECT_EQ(rule_of(claim(6), false, true), Rule::schedule);
  EXPECT_EQ(rule_of(claim(6), true, false), Rule::bound);
}

TEST(ArbitrateReasons, ALittleBelowTheMinimumIsNotTolerated) {
  const auto s = arbitrate(std::vector{claim(0.095)}, 8);
  ASSERT_EQ(s.grants.size(), 1U);
  EXPECT_EQ(s.grants[0].value, 0.1);
}

TEST(ArbitrateReasons, ARescueStaysWithinTheBounds) {
  auto rescue = rated(1, 9, 1, 1);
  rescue.rate_free = true;
  EXPECT_EQ(arbitrate(std::vector{rescue}, 16).grants[0].value, 4);
}

TEST(ArbitrateReasons, APinGoesWhereItSays) {
  EXPECT_EQ(arbitrate(std::vector{pinned(1, 5)}, 8).grants[0].value, 5) << "beyond the maximum";
  EXPECT_EQ(arbitrate(std::vector{pinned(1, 0.02)}, 8).grants[0].value, 0.02);
  EXPECT_EQ(arbitrate(std::vector{pinned(1, 1.05)}, 8).grants.size(), 1U) << "no tolerance either";
  EXPECT_TRUE(arbitrate(std::vector{pinned(2, 2)}, 8).grants.empty());
}

TEST(ArbitrateReasons, APinIsNotHeldBelowItsSlice) {
  auto pin = pinned(1, 3);
  pin.ancestor = "/a.slice";
  pin.ancestor_max = 2;
  const auto s = arbitrate(std::vector{pin}, 8);
  ASSERT_EQ(s.grants.size(), 1U);
  EXPECT_EQ(s.grants[0].value, 3);
  EXPECT_FALSE(s.grants[0].reason.clamped_max);
}

TEST(ArbitrateReasons, WhatASliceHoldsBackIsToldAndStaysWanted) {
  auto held = claim(1, 3), free = claim(1, 2);
  held.ancestor = "/a.slice";
  held.ancestor_max = 2;
  const auto s = arbitrate(std::vector{held, free}, 8);
  ASSERT_EQ(s.grants.size(), 2U);
  EXPECT_EQ(s.grants[0].value, 2);
  EXPECT_TRUE(s.grants[0].reason.clamped_max);
  EXPECT_TRUE(s.unmet[0]);
  EXPECT_EQ(s.missing, 0) << "the node has it";
}

TEST(ArbitrateReasons, ARaiseThatIsGrantedInPartKeepsItsRule) {
  const auto s = arbitrate(std::vector{claim(1, 9), claim(2, 2)}, 4);
  const auto* raised = grant_of(s, 0);
  ASSERT_NE(raised, nullptr);
  EXPECT_EQ(raised->reason.rule, Rule::cpu_throttled);
  EXPECT_EQ(raised->reason.wanted, 9) << "more than it may have at all";
  EXPECT_TRUE(raised->reason.clamped_capacity);
  EXPECT_TRUE(s.unmet[0]);
}

TEST(ArbitrateReasons, ATaskThatIsCutForOthersIsToldSo) {
  const auto s = arbitrate(std::vector{claim(3), claim(3, 4), claim(1, 4)}, 6);
  const auto *held = grant_of(s, 0), *asked = grant_of(s, 1);
  ASSERT_TRUE(held && asked);
  EXPECT_EQ(held->reason.rule, Rule::capacity);
  EXPECT_EQ(held->reason.wanted, 3) << "what it had";
  EXPECT_FALSE(s.unmet[0]) << "it asked for nothing";
  EXPECT_EQ(asked->reason.rule, Rule::capacity) << "it asked for more and has less";
  EXPECT_EQ(asked->reason.wanted, 4);
  EXPECT_TRUE(s.unmet[1]);
}

TEST(ArbitrateReasons, APinThatDoesNotFitIsNoUnmetDemand) {
  const auto s = arbitrate(std::vector{pinned(1, 3), claim(1, 4)}, 4);
  EXPECT_FALSE(s.unmet[0]);
  EXPECT_TRUE(s.unmet[1]);
}

TEST(ArbitrateReasons, AStepThatTheNodeCannotGiveIsNotToldAsOne) {
  const auto s = arbitrate(std::vector{stepped(1, 2.2), stepped(1, 2.2)}, 4);
  ASSERT_EQ(s.grants.size(), 2U);
  EXPECT_EQ(s.grants[0].value, 2);
  EXPECT_TRUE(s.grants[0].reason.clamped_capacity);
  EXPECT_FALSE(s.grants[0].reason.clamped_step) << "it has less than it wants, not more";
}

TEST(ArbitrateShares, OfWhatIsNotWrittenTheOldValueCounts) {
  EXPECT_DOUBLE_EQ(arbitrate(std::vector{claim(1, 1.05)}, 8).allocated, 1);
  EXPECT_DOUBLE_EQ(arbitrate(std::vector{claim(1, 2)}, 8).allocated, 2);
  EXPECT_DOUBLE_EQ(arbitrate(std::vector{claim(1, 2), using_(0, claim(kUnlimited))}, 8).allocated, 2);
}

TEST(ArbitrateShares, CutsTooSmallToWriteAreWrittenWhereTheyOverdrawTheNode) {
  const std::vector c{claim(2.05), claim(2.05), claim(1, 1.05)};
  EXPECT_TRUE(arbitrate(c, 5.2).grants.empty());
  const auto s = arbitrate(c, 5);
  ASSERT_EQ(s.grants.size(), 2U) << "and only they";
  EXPECT_EQ(s.grants[0].claim, 0U);
  EXPECT_EQ(s.grants[1].claim, 1U);
  EXPECT_LE(s.allocated, 5);
}

TEST(ArbitrateShares, ARaiseOfWhichTheNodeHasHardlyAnythingIsNotWritten) {
  auto first = claim(3, 0);
  first.priority = 1;
  EXPECT_TRUE(arbitrate(std::vector{first, claim(1, 3)}, 4.02).grants.empty());
  EXPECT_TRUE(arbitrate(std::vector{first, rated(1, 3, 0, 1.5)}, 4.02).grants.empty())
      << "however far it would go with its rate";
}

TEST(ArbitrateShares, ARescueMayGoLowerThanItsRateHolds) {
  auto down = rated(3, 1, 2.5, 9);
  down.rate_free = true;
  const auto s = arbitrate(std::vector{down, claim(1, 4), claim(1, 4)}, 6);
  ASSERT_NE(grant_of(s, 0), nullptr);
  EXPECT_EQ(grant_of(s, 0)->value, 1);
}

TEST(ArbitrateShares, WhatRoundingLeavesGoesNoFurtherThanWhatIsWanted) {
  auto small = stepped(1, 9, 1.5), large = stepped(1, 9);
  small.id = CgroupId{1};
  large.id = CgroupId{2};
  large.weight = 10'000;
  const auto s = arbitrate(std::vector{small, large}, 3.5);
  ASSERT_NE(grant_of(s, 0), nullptr);
  EXPECT_EQ(grant_of(s, 0)->value, 1.5);
  EXPECT_EQ(grant_of(s, 1)->value, 2);
}

TEST(ArbitrateShares, RoundingDownTakesNothingThatARateKeeps) {
  auto kept = stepped(2.5, 4);
  kept.rate = {2.5, 9};
  const auto s = arbitrate(std::vector{kept, claim(0.3, 1)}, 3);
  EXPECT_EQ(grant_of(s, 0), nullptr);
  ASSERT_NE(grant_of(s, 1), nullptr);
  EXPECT_DOUBLE_EQ(grant_of(s, 1)->value, 0.5) << "the other has what is left";
}

TEST(ArbitrateShares, WhatCannotMoveIsGivenByNobodysLeave) {
  auto fixed = claim(3, 1);
  fixed.movable = false;
  auto vip = claim(1, 4);
  vip.priority = 10;
  const auto s = arbitrate(std::vector{fixed, vip}, 4);
  EXPECT_TRUE(s.grants.empty());
  EXPECT_DOUBLE_EQ(s.allocated, 4);
  EXPECT_TRUE(s.unmet[1]);
  EXPECT_FALSE(s.minima_exceed);
}

TEST(ArbitrateShares, TellsWhenTheMinimaAloneAreTooMuch) {
  auto a = claim(1), b = claim(1);
  a.min = b.min = 1;
  EXPECT_FALSE(arbitrate(std::vector{a, b}, 2).minima_exceed);
  EXPECT_TRUE(arbitrate(std::vector{a, b}, 1.9).minima_exceed);
}

}  // namespace
}  // namespace sluice
