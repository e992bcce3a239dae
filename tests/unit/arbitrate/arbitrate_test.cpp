#include "daemon/arbitrate/arbitrate.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "tests/unit/arbitrate/claims.hpp"

namespace sluice {
namespace {

rc::Gen<double> number(int low_percent, int high_percent) {
  return rc::gen::map(rc::gen::inRange(low_percent, high_percent), [](int n) { return n / 100.0; });
}

TEST(Arbitrate, BoundsAndTheirMarks) {
  const std::vector<KnobClaim> c{claim(1, 9), claim(1, 0.01)};
  const auto s = arbitrate(c, 8);
  ASSERT_EQ(s.grants.size(), 2U);
  EXPECT_DOUBLE_EQ(s.grants[0].value, 4);
  EXPECT_TRUE(s.grants[0].reason.clamped_max);
  EXPECT_DOUBLE_EQ(s.grants[1].value, 0.1);
  EXPECT_TRUE(s.grants[1].reason.clamped_min);
}

TEST(Arbitrate, NoWriteWithinTolerance) {
  const std::vector<KnobClaim> c{claim(1, 1.05), claim(1, 0.95)};
  EXPECT_TRUE(arbitrate(c, 8).grants.empty());
}

TEST(Arbitrate, OutOfBoundsIsNeverTolerated) {
  auto c = claim(4.1, 0);
  const auto s = arbitrate(std::vector{c}, 8);
  ASSERT_EQ(s.grants.size(), 1U);
  EXPECT_DOUBLE_EQ(s.grants[0].value, 4);
  EXPECT_EQ(s.grants[0].reason.rule, Rule::bound);
}

TEST(Arbitrate, WholeSteps) {
  auto c = claim(1, 1.2);
  c.step = 1;
  const auto s = arbitrate(std::vector{c}, 8);
  ASSERT_EQ(s.grants.size(), 1U);
  EXPECT_DOUBLE_EQ(s.grants[0].value, 2);
  EXPECT_TRUE(s.grants[0].reason.clamped_step);
  EXPECT_FALSE(s.grants[0].reason.clamped_min || s.grants[0].reason.clamped_max);
}

TEST(Arbitrate, AMaximumThatIsNoMultipleIsTheTopStep) {
  const auto s = arbitrate(std::vector{stepped(2, 2.1, 2.5), stepped(2, 3, 2.5)}, 8);
  ASSERT_EQ(s.grants.size(), 2U);
  EXPECT_DOUBLE_EQ(s.grants[0].value, 2.5);
  EXPECT_TRUE(s.grants[0].reason.clamped_step && !s.grants[0].reason.clamped_max);
  EXPECT_DOUBLE_EQ(s.grants[1].value, 2.5);
  EXPECT_TRUE(s.grants[1].reason.clamped_max && !s.grants[1].reason.clamped_step);
}

TEST(Arbitrate, CapacityIsSharedInWholeStepsAndNoneIsLeftOver) {
  std::vector<KnobClaim> c{stepped(1, 3), stepped(2, 3), claim(1, 1.4)};
  for (std::size_t i = 0; i < c.size(); ++i) c[i].id = CgroupId{i};
  const auto s = arbitrate(c, 4.6);
  ASSERT_EQ(s.grants.size(), 1U) << "one step each, and the one left over to who holds it";
  EXPECT_EQ(s.grants[0].claim, 2U);
  EXPECT_DOUBLE_EQ(s.grants[0].value, 1.4) << "and the rest to who takes any";
  EXPECT_DOUBLE_EQ(s.missing, 3);

  c[0].priority = 1;
  const auto by_priority = arbitrate(c, 4.6);
  ASSERT_EQ(by_priority.grants.size(), 3U);
  EXPECT_DOUBLE_EQ(by_priority.grants[0].value, 3) << "by priority first";
  EXPECT_DOUBLE_EQ(by_priority.grants[1].value, 1) << "the guaranteed step";
}

TEST(Arbitrate, CapacityCutsOthersAndTellsWhatIsMissing) {
  const std::vector<KnobClaim> c{claim(3, 0), claim(1, 4)};
  const auto s = arbitrate(c, 4);
  ASSERT_EQ(s.grants.size(), 2U);
  EXPECT_DOUBLE_EQ(s.grants[0].value + s.grants[1].value, 4);
  EXPECT_EQ(s.grants[0].reason.rule, Rule::capacity);
  EXPECT_TRUE(s.grants[1].reason.clamped_capacity);
  EXPECT_DOUBLE_EQ(s.missing, 3);
}

KnobClaim not_ours(KnobClaim c) {
  c.ours = false;
  return c;
}
KnobClaim unseen(KnobClaim c) {
  c.use.reset();
  return c;
}

TEST(Arbitrate, AnUnlimitedTaskCountsByWhatItUses) {
  const std::vector<KnobClaim> c{using_(1.25, claim(kUnlimited, 0)), claim(1, 3)};
  auto s = arbitrate(c, 4.5);
  ASSERT_EQ(s.grants.size(), 1U);
  EXPECT_DOUBLE_EQ(s.grants[0].value, 3);
  s = arbitrate(c, 4);
  ASSERT_EQ(s.grants.size(), 1U) << "it uses less than its fair share, and keeps it";
  EXPECT_DOUBLE_EQ(s.grants[0].value, 2.75);
  s = arbitrate(std::vector{using_(3.75, claim(kUnlimited, 0)), claim(1, 3)}, 4);
  ASSERT_EQ(s.grants.size(), 2U) << "with more than that it gets its first limit";
  EXPECT_DOUBLE_EQ(s.grants[0].value, 2);
  EXPECT_EQ(s.grants[0].reason.rule, Rule::capacity);
}

TEST(Arbitrate, ALimitThatNobodyUsesTakesNothing) {
  const std::vector<KnobClaim> c{not_ours(using_(0.05, claim(4, 0))), claim(1, 2.5)};
  const auto s = arbitrate(c, 3);
  ASSERT_EQ(s.grants.size(), 1U);
  EXPECT_DOUBLE_EQ(s.grants[0].value, 2.5);
  EXPECT_EQ(s.missing, 0);
}

TEST(Arbitrate, AnIdleLimitOfOursMakesRoomAndKeepsWhatItsTaskUses) {
  const std::vector<KnobClaim> c{using_(0.5, claim(3, 0)), claim(1, 2.5)};
  EXPECT_EQ(arbitrate(c, 6).grants.size(), 1U) << "there is room for both";
  const auto s = arbitrate(c, 4);
  EXPECT_DOUBLE_EQ(after(c, s, 0), 1.5) << "what is left, and more than it uses";
  EXPECT_DOUBLE_EQ(after(c, s, 1), 2.5);
  EXPECT_EQ(s.grants[0].reason.rule, Rule::capacity);
  EXPECT_EQ(s.missing, 0) << "nobody is short of anything";
}

TEST(Arbitrate, NobodyIsCutWithoutEvidence) {
  const std::vector<KnobClaim> c{unseen(not_ours(claim(1.5, 0))), unseen(not_ours(claim(1.5, 0)))};
  const auto s = arbitrate(c, 2);
  EXPECT_TRUE(s.grants.empty());
  EXPECT_EQ(s.missing, 0);
}

TEST(Arbitrate, AWishThatNothingWasSeenForCostsNobodyHisLimit) {
  const std::vector<KnobClaim> c{unseen(claim(2, 3)), claim(1, 4)};  // a throttle event between two samples
  const auto s = arbitrate(c, 4);
  EXPECT_GE(after(c, s, 0), 2);
  EXPECT_LE(after(c, s, 0) + after(c, s, 1), 4 + 1e-9);
}

TEST(Arbitrate, AMaximumLimitsWhoHadNoLimitAndWhoUsesLess) {
  for (const double used : {0.0, 0.3, 7.0}) {
    auto c = using_(used, claim(kUnlimited, 0));
    EXPECT_TRUE(arbitrate(std::vector{c}, 8).grants.empty()) << "the node's size is nobody's maximum";
    c.max_is_set = true;
    const auto s = arbitrate(std::vector{c}, 8);
    ASSERT_EQ(s.grants.size(), 1U);
    EXPECT_DOUBLE_EQ(s.grants[0].value, 4);
    EXPECT_EQ(s.grants[0].reason.rule, Rule::bound);
  }
}

TEST(Arbitrate, AMaximumWaitsForEvidenceAsLongAsThereIsTime) {
  for (const double current : {kUnlimited, 6.0}) {
    auto c = unseen(claim(current, 0));
    c.max_is_set = c.bound_waits = true;
    EXPECT_TRUE(arbitrate(std::vector{c}, 8).grants.empty());
    c.bound_waits = false;
    EXPECT_EQ(arbitrate(std::vector{c}, 8).grants.size(), 1U);
  }
}

TEST(Arbitrate, MaximaThatExceedTheNodeAreRoomForWhatIsUsed) {
  std::vector<KnobClaim> c{using_(2.5, claim(kUnlimited, 0)), using_(0.05, claim(kUnlimited, 0)),
                           using_(0.05, claim(kUnlimited, 0))};
  for (auto& each : c) each.max_is_set = true;
  const auto s = arbitrate(c, 4);
  ASSERT_EQ(s.grants.size(), 3U);
  EXPECT_GE(s.grants[0].value, 2.5);
  EXPECT_LE(s.allocated, 4 * (1 + 1e-9));
  EXPECT_EQ(s.missing, 0);
}

TEST(Arbitrate, MinimaBeyondTheNodeAreSharedByWeightThoseInUseFirst) {
  std::vector<KnobClaim> c{claim(0.2, 1.3), claim(0.2, 1.3), claim(0.2, 1.3)};
  for (auto& each : c) each.min = 1;
  auto s = arbitrate(c, 1.5);
  ASSERT_EQ(s.grants.size(), 3U);
  for (const auto& g : s.grants) EXPECT_DOUBLE_EQ(g.value, 0.5);
  EXPECT_TRUE(s.minima_exceed);
  EXPECT_NEAR(s.missing, 3 * 0.8, 1e-9);
  c[0].weight = 200;
  c[1].priority = 7;
  s = arbitrate(c, 1.5);
  EXPECT_DOUBLE_EQ(after(c, s, 0), 0.75) << "by weight";
  EXPECT_DOUBLE_EQ(after(c, s, 1), 0.375) << "whatever the priority";
  c = {claim(0.2, 1.3), using_(0.05, claim(1, 0)), using_(0.05, claim(1, 0))};
  for (auto& each : c) each.min = 1;
  s = arbitrate(c, 1.5);
  EXPECT_DOUBLE_EQ(after(c, s, 0), 1) << "who uses it goes before those who do not";
  EXPECT_DOUBLE_EQ(after(c, s, 1), 0.25);
  EXPECT_GE(s.missing, 1.5) << "of what is guaranteed";
}

TEST(Arbitrate, NoShortageOfMinimaGoesBelowAFloor) {
  std::vector<KnobClaim> c{claim(3, 0), claim(3, 0)};
  for (auto& each : c) each.min = 3;
  c[0].floor = 2.5;
  const auto s = arbitrate(c, 4, Knob::memory_high);
  EXPECT_GE(after(c, s, 0), 2.5);
  EXPECT_DOUBLE_EQ(after(c, s, 0) + after(c, s, 1), 4);
}

TEST(Arbitrate, OneThatIsNotOursIsBelievedToKeepItsFairShareAndNoMore) {
  auto hog = not_ours(using_(5, claim(kUnlimited, 0)));
  hog.movable = hog.governed = false;
  const std::vector<KnobClaim> c{hog, claim(1, 4)};
  const auto s = arbitrate(c, 4);
  EXPECT_DOUBLE_EQ(after(c, s, 1), 2) << "as without quotas";
  const std::vector<KnobClaim> memory{hog, claim(1, 4)};
  EXPECT_DOUBLE_EQ(after(memory, arbitrate(memory, 4, Knob::memory_high), 1), 0.1)
      << "memory is not shared by time";
}

TEST(Arbitrate, AnOrderUnderWayCountsAsWhatItAsksFor) {
  auto cut = using_(0.5, claim(4, 0));  // from four to one
  cut.movable = false;
  cut.ordered = 1;
  const std::vector<KnobClaim> c{cut, claim(1, 4)};
  EXPECT_DOUBLE_EQ(after(c, arbitrate(c, 4), 1), 3);
}

TEST(Arbitrate, AnImmovableClaimIsLeftAloneAndCounted) {
  auto fixed = claim(3, 1);
  fixed.movable = false;
  const std::vector<KnobClaim> c{fixed, claim(0.5, 3)};
  const auto s = arbitrate(c, 4);
  ASSERT_EQ(s.grants.size(), 1U);
  EXPECT_EQ(s.grants[0].claim, 1U);
  EXPECT_DOUBLE_EQ(s.grants[0].value, 1);
}

TEST(Arbitrate, APinIsExactAndServedFirst) {
  auto pin = claim(1, 3.05);
  pin.exact = true;
  pin.intent.reason.rule = Rule::pinned;
  const std::vector<KnobClaim> c{pin, claim(1, 3)};
  const auto s = arbitrate(c, 4);
  ASSERT_FALSE(s.grants.empty());
  EXPECT_DOUBLE_EQ(s.grants[0].value, 3.05);
  EXPECT_LE(s.allocated, 4 + 1e-9);
}

TEST(Arbitrate, Properties) {
  EXPECT_TRUE(rc::check("within bounds, within capacity where minima allow, one grant a claim", [] {
    const auto n = *rc::gen::inRange(1, 12);
    std::vector<KnobClaim> c;
    double minima = 0, fixed = 0;
    for (int i = 0; i < n; ++i) {
      auto k = claim(*number(10, 400), *number(0, 600));
      k.weight = *number(100, 10000);
      k.movable = *rc::gen::arbitrary<bool>();
      if (!k.movable) fixed += k.current;
      minima += k.movable ? k.min : 0;
      c.push_back(k);
    }
    const double capacity = *number(100, 2000);
    const auto s = arbitrate(c, capacity);
    std::vector<int> seen(c.size());
    for (const auto& g : s.grants) {
      RC_ASSERT(++seen[g.claim] == 1);
      RC_ASSERT(c[g.claim].movable);
      RC_ASSERT(s.minima_exceed || g.value >= c[g.claim].min - 1e-9);
      RC_ASSERT(g.value <= c[g.claim].max + 1e-9);
      RC_ASSERT(g.reason.rule != Rule::none);
    }
    RC_ASSERT(s.allocated <= std::max(capacity, fixed + minima) + 1e-6);
    RC_ASSERT(s.minima_exceed || s.allocated <= capacity * (1 + 1e-6));
  }));
  EXPECT_TRUE(rc::check("rate limits hold unless they alone are more than the node has", [] {
    const auto n = *rc::gen::inRange(1, 12);
    std::vector<KnobClaim> c;
    double kept = 0;
    for (int i = 0; i < n; ++i) {
      auto k = claim(*number(1, 500), *number(0, 600));
      k.step = *rc::gen::element(0.0, 0.0, 0.5, 1.0);
      const auto whole = [&](double v, bool up) {
        return k.step > 0 ? (up ? std::ceil(v / k.step) : std::floor(v / k.step)) * k.step : v;
      };
      k.rate = {std::min(k.current, whole(k.current * *number(0, 120), false)),
                std::max(k.current, whole(k.current * *number(80, 300), true))};
      k.min = std::min(whole(k.min, true), k.max);
      k.weight = *number(100, 10000);
      kept += std::clamp(k.rate.lowest, k.min, k.max);
      c.push_back(k);
    }
    const double capacity = *number(100, 3000);
    const auto s = arbitrate(c, capacity);
    RC_ASSERT(s.minima_exceed || s.allocated <= capacity * (1 + 1e-6));
    for (const auto& g : s.grants) {
      const auto& k = c[g.claim];
      RC_ASSERT(g.value <= k.max + 1e-9);
      if (s.minima_exceed) continue;  // they are shared, without rates and steps
      RC_ASSERT(g.value >= k.min - 1e-9);
      RC_ASSERT(g.value <= std::max(k.rate.highest, k.min) + 1e-9);
      if (kept <= capacity) RC_ASSERT(g.value >= std::min(k.rate.lowest, k.max) - 1e-9);
      const double steps = k.step > 0 ? g.value / k.step : 0;
      RC_ASSERT(std::abs(steps - std::round(steps)) < 1e-6 || g.value == k.max);
    }
  }));
  EXPECT_TRUE(rc::check("permuted claims get the same grants, for the same reasons", [] {
    const auto n = *rc::gen::inRange(1, 12);
    std::vector<KnobClaim> c;
    for (int i = 0; i < n; ++i) {
      auto k = claim(*number(10, 400), *number(0, 600));
      k.id = CgroupId{static_cast<std::uint64_t>(i)};
      k.weight = *number(100, 10000);
      k.priority = *rc::gen::inRange(-1, 2);
      k.movable = *rc::gen::arbitrary<bool>();
      k.step = *rc::gen::element(0.0, 0.0, 0.5, 1.0);
      k.min = std::max(k.min, k.step);
      if (*rc::gen::inRange(0, 8) == 0) k.current = kUnlimited;
      if (*rc::gen::inRange(0, 8) == 0 && k.intent.changes()) k.exact = true;
      c.push_back(k);
    }
    std::vector<std::size_t> order(c.size());
    std::iota(order.begin(), order.end(), 0U);
    const auto dice = *rc::gen::container<std::vector<int>>(c.size(), rc::gen::inRange(0, 1000));
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return dice[a] < dice[b]; });
    std::vector<KnobClaim> permuted;
    for (const auto i : order) permuted.push_back(c[i]);

    const double capacity = *number(100, 2000);
    const auto one = arbitrate(c, capacity), other = arbitrate(permuted, capacity);
    std::map<CgroupId, KnobGrant> expected;
    for (const auto& g : one.grants) expected.emplace(c[g.claim].id, g);
    RC_ASSERT(other.grants.size() == expected.size());
    for (const auto& g : other.grants) {
      const auto& twin = expected.at(permuted[g.claim].id);
      // Sums in another order differ in their last bits.
      RC_ASSERT(std::abs(g.value - twin.value) < 1e-9);
      RC_ASSERT(g.reason.rule == twin.reason.rule);
    }
    RC_ASSERT(std::abs(one.missing - other.missing) < 1e-6);
    RC_ASSERT(one.minima_exceed == other.minima_exceed);
  }));
}

}  // namespace
}  // namespace sluice
