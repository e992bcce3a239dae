// What a task keeps whatever other tasks need: an idle task, one without evidence, one that is bound by its
// rate or steps.
#include <gtest/gtest.h>

#include <cmath>

#include "daemon/arbitrate/arbitrate.hpp"
#include "daemon/decide/cpu.hpp"

namespace sluice {
namespace {

// A task between `min` and 4 cores, under a limit of ours if it has one, without an intent.
KnobClaim idle(double current, double use, double min = 0.1) {
  KnobClaim c;
  c.id = CgroupId{1};
  c.current = current;
  c.ours = !std::isinf(current);
  c.use = use;
  c.min = min;
  c.max = 4;
  return c;
}

KnobClaim wants(double current, double wanted) {
  auto c = idle(current, current);
  c.id = CgroupId{2};
  c.intent = {wanted, Reason{.rule = Rule::cpu_throttled, .wanted = wanted}};
  return c;
}

// The first task's value after the grants. The second wants four cores, and the node is too small for both.
double kept(const KnobClaim& c, double capacity = 4) {
  const std::vector<KnobClaim> both{c, wants(1, 4)};
  const auto s = arbitrate(both, capacity);
  EXPECT_LE(s.allocated, capacity * (1 + 1e-9));
  EXPECT_TRUE(s.unmet[1]);
  for (const auto& g : s.grants) {
    if (g.claim == 0) return g.value;
  }
  return c.current;
}

TEST(ArbitrateIdle, KeepsItsMinimum) {
  EXPECT_DOUBLE_EQ(kept(idle(3, 0.05, 1)), 1);
}

TEST(ArbitrateIdle, KeepsItsMinimumWhenItGoesIntoItsBounds) {
  EXPECT_DOUBLE_EQ(kept(idle(6, 0.05, 1)), 1);
}

TEST(ArbitrateIdle, IsCutNoFasterThanItsRate) {
  auto c = idle(3, 0.05);
  c.rate = {2.5, 9};
  EXPECT_DOUBLE_EQ(kept(c), 2.5);
}

TEST(ArbitrateIdle, IsCutToItsMaximumAndNoFurtherThanItsRate) {
  auto c = idle(6, 0.05);
  c.rate = {3, 9};
  EXPECT_DOUBLE_EQ(kept(c, 5), 3);
}

TEST(ArbitrateIdle, KeepsTheWholeStepThatItUses) {
  auto c = idle(3, 1.2, 1);
  c.step = 1;
  EXPECT_DOUBLE_EQ(kept(c), 2);
}

TEST(ArbitrateIdle, KeepsWhatItHadIfNothingWasSeenOfIt) {
  auto c = wants(2.5, 3);
  c.use.reset();
  EXPECT_GE(kept(c), 2.5) << "more than half of the node";
}

TEST(ArbitrateIdle, StaysWithoutALimitWhileItsFirstOneHasToWait) {
  for (const double use : {3, 5}) {  // less than the node has, or more
    auto c = idle(kUnlimited, use);
    c.rate.lowest = kUnlimited;  // no policy permits a cut
    const std::vector<KnobClaim> both{c, wants(1, 4)};
    for (const auto& g : arbitrate(both, 4).grants) EXPECT_NE(g.claim, 0U) << g.value;
  }
}

TEST(ArbitrateShares, GoByWeightAmongEquals) {
  std::vector<KnobClaim> c{wants(1, 4), wants(1, 4)};
  c[0].weight = 300;
  const auto s = arbitrate(c, 4);
  ASSERT_EQ(s.grants.size(), 1U);
  EXPECT_EQ(s.grants[0].claim, 0U);
  EXPECT_NEAR(s.grants[0].value, 3, 0.1) << "above the minima of 0.1 by weight";
}

}  // namespace
}  // namespace sluice
