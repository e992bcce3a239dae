// A node with less CPU than needed: the cpu.weight that each task is due, when the kernel shares by it, and
// what happens to quotas then.
#include "daemon/arbitrate/full_node.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "daemon/values/knob_value.hpp"

namespace sluice {
namespace {

constexpr CpuNode kNode{.capacity_cores = 4, .reserve_cores = 0};

// Uses all of a limit of ours, without an intent.
KnobClaim claim(double current, int priority = 0, double min = 0.1) {
  KnobClaim c;
  c.current = c.use.emplace(current);
  c.min = min;
  c.max = 4;
  c.priority = priority;
  c.parent = "/system.slice";
  return c;
}
KnobClaim with_weight(KnobClaim c, double held) {
  c.weight_held = held;
  return c;
}
KnobClaim asks(KnobClaim c, double wanted) {
  c.intent = {wanted, Reason{.rule = Rule::cpu_throttled, .wanted = wanted}};
  return c;
}

Share by_quota(const std::vector<KnobClaim>& c) {
  return arbitrate(c, kNode.capacity_cores);
}
Share by_weight(const std::vector<KnobClaim>& c) {
  return share_by_weight(c, by_quota(c), kNode);
}
const KnobGrant* granted(const Share& s, std::size_t claim) {
  for (const auto& g : s.grants) {
    if (g.claim == claim) return &g;
  }
  return nullptr;
}
// What the kernel gives each task when all want all they can get.
std::vector<double> when_all_are_hungry(const std::vector<KnobClaim>& c, const CpuNode& node = kNode) {
  auto due = due_weights(c, node);
  const double sum = std::accumulate(due.begin(), due.end(), 0.0);
  for (double& d : due) d *= node.capacity_cores / sum;
  return due;
}

TEST(FullNode, EqualTasksKeepTheirWeights) {
  const std::vector c{claim(1), claim(3), claim(0.1)};
  EXPECT_EQ(due_weights(c, kNode), (std::vector<double>{1, 1, 1}));
  EXPECT_TRUE(weights_hold(c, kNode));
}

TEST(FullNode, WhenAllWantAllEachGetsItsMinimum) {
  const std::vector c{claim(1, 10, 0.2), claim(1, 0, 1), claim(1, -10, 0.5), claim(1, -10, 0.1)};
  const auto share = when_all_are_hungry(c);
  for (std::size_t i = 0; i < c.size(); ++i) EXPECT_GE(share[i], c[i].min) << i;
  EXPECT_GT(share[0], 0.2 + 0.8 * (4 - 1.8)) << "and what is left goes to the highest priority";
}

TEST(FullNode, APriorityGetsTenTimesTheRestOfTheNextLower) {
  const std::vector c{claim(1, 10, 0), claim(1, 3, 0), claim(1, -7, 0)};
  const auto due = due_weights(c, kNode);
  EXPECT_DOUBLE_EQ(due[0], 1) << "no weight is above its baseline";
  EXPECT_DOUBLE_EQ(due[1], 0.1);
  EXPECT_DOUBLE_EQ(due[2], 0.01);
}

TEST(FullNode, AmongEqualsTheConfiguredWeightCounts) {
  auto heavy = claim(1, 0, 0), light = claim(1, 0, 0);
  heavy.weight = 300;
  EXPECT_EQ(due_weights(std::vector{heavy, light}, kNode), (std::vector<double>{1, 1.0 / 3}));
}

TEST(FullNode, WhoIsNotGovernedIsLeftAlone) {
  auto stranger = claim(1, -10);
  stranger.governed = false;
  const auto due = due_weights(std::vector{claim(1), stranger, claim(1)}, kNode);
  EXPECT_EQ(due, (std::vector<double>{1, 1, 1}));
}

TEST(FullNode, SomebodyElseGetsTheReserve) {
  const CpuNode node{.capacity_cores = 7, .reserve_cores = 1};
  const std::vector<KnobClaim> c(70, claim(0.1, 0, 0));
  const auto due = due_weights(c, node);
  const double ours = std::accumulate(due.begin(), due.end(), 0.0);
  EXPECT_NEAR(8 / (ours + 1), 1, 1e-9) << "of eight cores, with the kernel's default weight";
  EXPECT_EQ(due_weights(std::vector(7, claim(1)), node), std::vector<double>(7, 1)) << "they leave it anyway";
}

TEST(FullNode, AWeightIsAWholeNumberAndNotZero) {
  EXPECT_EQ(weight_of({100}, 0.345), CpuWeight{35});
  EXPECT_EQ(weight_of({200}, 0.1), CpuWeight{20});
  EXPECT_EQ(weight_of({100}, 0.001), CpuWeight{1});
  EXPECT_FALSE(differs(0.01, 0.002)) << "there is no smaller one";
  EXPECT_TRUE(differs(1, 0.8));
}

TEST(FullNode, WeightsInForceThatSaySomethingElseDoNotHold) {
  const std::vector c{claim(1, 10, 0), claim(1, 0, 0)};
  EXPECT_FALSE(weights_hold(c, kNode)) << "equal weights, and unequal tasks";
  EXPECT_TRUE(weights_hold(std::vector{c[0], with_weight(c[1], 0.1)}, kNode));
}

TEST(FullNode, AWeightActsAmongSiblingsOnly) {
  auto apart = with_weight(claim(1, 0, 0), 0.1);
  apart.parent = "/other.slice";
  EXPECT_FALSE(weights_hold(std::vector{claim(1, 10, 0), apart}, kNode));
  auto equal = claim(1);
  equal.parent = "/other.slice";
  EXPECT_TRUE(weights_hold(std::vector{claim(1), equal}, kNode)) << "the kernel shares as without Sluice";
}

TEST(FullNode, IsFullWhenMoreIsNeededAndUntilAFifthIsFree) {
  const std::vector enough{claim(1), claim(1)}, more{asks(claim(2), 4), claim(2)};
  EXPECT_FALSE(is_full(enough, by_quota(enough), kNode, false));
  EXPECT_FALSE(is_full(enough, by_quota(enough), kNode, true));
  EXPECT_TRUE(is_full(more, by_quota(more), kNode, false));
  const std::vector busy{claim(1.7), claim(1.7)};
  EXPECT_TRUE(is_full(busy, by_quota(busy), kNode, true));
  EXPECT_FALSE(is_full(busy, by_quota(busy), kNode, false)) << "that much in use is no shortage by itself";
}

TEST(FullNode, MinimaBeyondTheNodeAreSharedByQuotas) {
  const std::vector c{claim(2, 0, 3), claim(2, 0, 3)};
  ASSERT_TRUE(by_quota(c).minima_exceed);
  EXPECT_FALSE(is_full(c, by_quota(c), kNode, true));
}

TEST(FullNode, NobodyIsCutAndQuotasOfOursGoToTheirMaxima) {
  const std::vector c{asks(claim(1), 4), claim(3)};
  ASSERT_FALSE(by_quota(c).grants.empty());
  const auto s = by_weight(c);
  for (std::size_t i = 0; i < c.size(); ++i) {
    ASSERT_NE(granted(s, i), nullptr) << i;
    EXPECT_DOUBLE_EQ(granted(s, i)->value, 4);
    EXPECT_EQ(granted(s, i)->reason.rule, Rule::by_weight);
  }
}

TEST(FullNode, AQuotaThatHoldsNobodyUpStays) {
  auto idle = claim(1);
  idle.use = 0.2;
  auto foreign = claim(1);
  foreign.ours = false;
  auto unlimited = claim(1);
  unlimited.current = kUnlimited;
  unlimited.ours = false;
  const auto s = by_weight({asks(claim(1), 4), claim(3), idle, foreign, unlimited});
  for (const std::size_t i : {2, 3, 4}) EXPECT_EQ(granted(s, i), nullptr) << i;
}

TEST(FullNode, ALimitThatIsNotOursIsRaisedForWhoAsks) {
  auto foreign = asks(claim(1), 2);
  foreign.ours = false;
  const auto s = by_weight({foreign, claim(3)});
  ASSERT_NE(granted(s, 0), nullptr);
  EXPECT_DOUBLE_EQ(granted(s, 0)->value, 4);
}

TEST(FullNode, AMaximumLimitsAndAPinStays) {
  auto above = claim(3), pin = asks(claim(1), 1.5), open = claim(2);
  above.max = 2;
  above.max_is_set = true;
  pin.exact = true;
  pin.intent.reason.rule = Rule::pinned;
  open.current = kUnlimited;
  open.ours = false;
  open.max_is_set = true;
  const auto s = by_weight({above, pin, open, claim(2)});
  ASSERT_NE(granted(s, 0), nullptr);
  EXPECT_DOUBLE_EQ(granted(s, 0)->value, 2);
  EXPECT_TRUE(granted(s, 0)->reason.clamped_max);
  ASSERT_NE(granted(s, 1), nullptr);
  EXPECT_DOUBLE_EQ(granted(s, 1)->value, 1.5);
  ASSERT_NE(granted(s, 2), nullptr);
  EXPECT_DOUBLE_EQ(granted(s, 2)->value, 4);
}

TEST(FullNode, ARatePolicyHoldsUpTheRaise) {
  auto slow = asks(claim(1), 4);
  slow.rate.highest = 1.5;
  const auto s = by_weight({slow, claim(3)});
  ASSERT_NE(granted(s, 0), nullptr);
  EXPECT_DOUBLE_EQ(granted(s, 0)->value, 1.5);
  EXPECT_TRUE(granted(s, 0)->reason.clamped_rate);
}

TEST(FullNode, WhoIsNotOursToMoveIsNotWritten) {
  auto held = asks(claim(1), 4);
  held.movable = false;
  EXPECT_EQ(granted(by_weight({held, claim(3)}), 0), nullptr);
}

// Without quotas nothing is throttled: the shortage shows as the time that threads waited for a CPU.
TEST(FullNode, WhatIsMissingShowsInTheTimeThatTasksWait) {
  auto waits = claim(2), runs = claim(2);
  waits.current = runs.current = 4;
  waits.waiting_ratio = 0.5;
  EXPECT_NEAR(by_weight({waits, runs}).missing, 2, 1e-9)
      << "in half of the time it would have used four cores";
  waits.waiting_ratio = 1;
  EXPECT_NEAR(by_weight({waits, runs}).missing, 2, 1e-9) << "no more than its maximum";
  waits.waiting_ratio = 0;
  EXPECT_NEAR(by_weight({waits, runs}).missing, 0, 1e-9);
}

}  // namespace
}  // namespace sluice
