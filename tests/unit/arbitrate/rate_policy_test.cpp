#include "daemon/arbitrate/rate_policy.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace sluice {
namespace {

using namespace std::chrono_literals;
using config::ChangeType;
using config::Scaling;
using config::ScalingPolicy;
using config::ScalingRules;
using config::SelectPolicy;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

ScalingPolicy percent(double value, config::Duration period) {
  return {ChangeType::percent, value, period};
}
ScalingPolicy absolute(double value, config::Duration period) {
  return {ChangeType::absolute, value, period};
}

// A knob that follows the value wanted, as far as its rate limits permit.
struct KnobUnderRates {
  Scaling scaling;
  double value = 1;
  double step = 0;
  MonotonicTime now{1000s};
  RateHistory history{};

  RateLimits limits() const { return rate_limits(scaling, history, now, value, step); }
  double wish(double wanted) {
    note_wish(scaling, now, wanted, value, history);
    const auto [lowest, highest] = limits();
    const double next = std::clamp(wanted, lowest, highest);
    if (next != value) {
      note_change(scaling, now, value, history);
      value = next;
    }
    return value;
  }
};

ScalingRules rules(std::vector<ScalingPolicy> policies, SelectPolicy select = SelectPolicy::max,
                   config::Duration stabilization = 0s) {
  return {stabilization, std::move(policies), select};
}

TEST(RatePolicy, NoneBoundsNothing) {
  const KnobUnderRates k{{}};
  EXPECT_EQ(k.limits().lowest, 0);
  EXPECT_EQ(k.limits().highest, kInfinity);
}

// The HPA's default for scaling up: the larger of doubling and 4 more every 15 seconds.
TEST(RatePolicy, DoubledOrFourMoreWhicheverIsMore) {
  KnobUnderRates k{{rules({percent(100, 15s), absolute(4, 15s)}), {}}};
  std::vector<double> seen;
  for (int i = 0; i < 6; ++i) {
    seen.push_back(k.wish(1000));
    EXPECT_EQ(k.wish(1000), seen.back()) << "the period is spent";
    k.now += 15s - 1ns;
    EXPECT_EQ(k.wish(1000), seen.back());
    k.now += 1ns;
  }
  EXPECT_EQ(seen, (std::vector<double>{5, 10, 20, 40, 80, 160}));
}

TEST(RatePolicy, OrWhicheverIsLess) {
  KnobUnderRates k{{rules({percent(100, 15s), absolute(4, 15s)}, SelectPolicy::min), {}}};
  std::vector<double> seen;
  for (int i = 0; i < 5; ++i, k.now += 15s) seen.push_back(k.wish(1000));
  EXPECT_EQ(seen, (std::vector<double>{2, 4, 8, 12, 16}));
}

// The example of the HPA documentation: 4 or 10 % per minute. Below 40, 10 % is less than 4.
TEST(RatePolicy, DownByATenthOrFourAMinute) {
  KnobUnderRates k{{{}, rules({absolute(4, 1min), percent(10, 1min)})}, 80};
  std::vector<double> seen;
  for (int i = 0; i < 9; ++i, k.now += 1min) seen.push_back(std::ceil(k.wish(10)));
  EXPECT_EQ(seen, (std::vector<double>{72, 65, 59, 53, 48, 43, 39, 35, 31}));
}

TEST(RatePolicy, EachPolicyHasItsOwnPeriod) {
  KnobUnderRates k{{rules({absolute(1, 1s), absolute(3, 10s)}, SelectPolicy::min), {}}};
  std::vector<double> seen;
  for (int i = 0; i < 12; ++i, k.now += 1s) seen.push_back(k.wish(100));
  EXPECT_EQ(seen, (std::vector<double>{2, 3, 4, 4, 4, 4, 4, 4, 4, 4, 5, 6}));
}

TEST(RatePolicy, ManySmallChangesAddUpToNoMoreThanALargeOne) {
  KnobUnderRates k{{rules({percent(100, 10s)}), {}}};
  for (int i = 0; i < 100; ++i, k.now += 100ms - 1us) k.wish(k.value * 1.02);
  EXPECT_DOUBLE_EQ(k.value, 2);
}

// The value at the start of the period counts: a return to it is no raise.
TEST(RatePolicy, BackToWhereThePeriodBegan) {
  KnobUnderRates k{{rules({percent(10, 1min)}), {}}, 4};
  EXPECT_EQ(k.wish(1), 1);
  k.now += 10s;
  EXPECT_DOUBLE_EQ(k.wish(100), 4.4);
}

TEST(RatePolicy, DisabledIsNoChange) {
  KnobUnderRates k{{rules({percent(100, 1s)}, SelectPolicy::disabled), {}}, 4};
  EXPECT_EQ(k.wish(8), 4);
  EXPECT_EQ(k.wish(2), 2);
  KnobUnderRates unlimited{{{}, rules({}, SelectPolicy::disabled)}, kInfinity};
  EXPECT_EQ(unlimited.wish(2), kInfinity);
}

TEST(RatePolicy, ThereIsNoRateFromInfinity) {
  KnobUnderRates k{{{}, rules({percent(10, 1min)})}, kInfinity};
  EXPECT_EQ(k.wish(5), 5) << "the first limit is free";
  k.now += 1s;
  EXPECT_DOUBLE_EQ(k.wish(1), 4.5) << "and the rate begins with it";
}

TEST(RatePolicy, NorIsThereOneInCores) {
  KnobUnderRates k{{{}, rules({absolute(4, 1min)})}, kInfinity};
  EXPECT_EQ(k.wish(5), 5);
}

TEST(RatePolicy, WhatWasBeforeAKnobHadNoLimitIsForgotten) {
  KnobUnderRates k{{{}, rules({percent(10, 1min)})}, 4};
  k.wish(3.8);
  k.now += 1s;
  note_change(k.scaling, k.now, kInfinity, k.history);  // the limit was lifted meanwhile
  k.value = 8;
  EXPECT_DOUBLE_EQ(k.limits().lowest, 7.2);
}

TEST(RatePolicy, AChangeIsForgottenWithTheLongestPeriod) {
  KnobUnderRates k{{rules({percent(1, 1s), percent(1, 10s)}), rules({percent(1, 3s)})}};
  for (int i = 0; i < 1000; ++i, k.now += 100ms) note_change(k.scaling, k.now, 1, k.history);
  EXPECT_LE(k.history.changes.size(), 101U);
  EXPECT_GE(k.history.changes.size(), 99U);
}

TEST(RatePolicy, AReceiptThatComesLateDoesNotTurnTimeBack) {
  KnobUnderRates k{{rules({percent(100, 10s)}), {}}, 4};
  note_change(k.scaling, k.now, 2, k.history);
  note_change(k.scaling, k.now - 9s, 3, k.history);
  k.now += 2s;
  EXPECT_DOUBLE_EQ(k.limits().highest, 4) << "from the value at the period's start";
}

TEST(RatePolicy, WholeStepsAreRoundedAwaySoThatASmallShareMovesThem) {
  KnobUnderRates k{{rules({percent(10, 15s)}), rules({percent(10, 15s)})}, 4, 1};
  EXPECT_EQ(k.limits().highest, 5);
  EXPECT_EQ(k.limits().lowest, 3);
  EXPECT_EQ(k.wish(5), 5);
  EXPECT_EQ(k.limits().highest, 5) << "no second one in the same period";
  k.value = 4.5;  // not a whole number, and the period's change is used up
  EXPECT_EQ(k.limits().highest, 4.5);
  KnobUnderRates still{{rules({absolute(0, 15s)}), rules({absolute(0, 15s)})}, 4.5, 1};
  EXPECT_EQ(still.limits().lowest, 4.5) << "a step is no way around a rate of nothing";
}

TEST(RatePolicy, AndStepsAreOfAnySize) {
  KnobUnderRates k{{rules({percent(10, 15s)}), rules({percent(10, 15s)})}, 8, 2};
  EXPECT_EQ(k.limits().highest, 10);
  EXPECT_EQ(k.limits().lowest, 6);
  k.scaling = {rules({percent(50, 15s)}), rules({percent(50, 15s)})};
  EXPECT_EQ(k.limits().highest, 12) << "what is whole stays";
  EXPECT_EQ(k.limits().lowest, 4);
}

TEST(RatePolicy, WhatMustNotWaitDoesNot) {
  const std::set<Rule> urgent{Rule::initial,    Rule::memory_futile, Rule::memory_floor, Rule::burst,
                              Rule::reasserted, Rule::pinned,        Rule::released};
  for (int i = 0; i <= static_cast<int>(Rule::released); ++i) {
    const auto rule = static_cast<Rule>(i);
    EXPECT_EQ(beyond_rates(rule), urgent.contains(rule)) << to_string(rule);
  }
}

TEST(Stabilization, ACutTakesTheLargestWishOfTheWindow) {
  KnobUnderRates k{{{}, rules({}, SelectPolicy::max, 60s)}, 8};
  for (int i = 0; i < 60; ++i, k.now += 1s) EXPECT_EQ(k.wish(i == 30 ? 5 : 3), 8) << i;
  EXPECT_EQ(k.wish(3), 5);
  for (int i = 0; i < 29; ++i, k.now += 1s) EXPECT_EQ(k.wish(3), 5) << i;
  k.now += 2s;
  EXPECT_EQ(k.wish(3), 3);
}

TEST(Stabilization, ARaiseTakesTheSmallest) {
  KnobUnderRates k{{rules({}, SelectPolicy::max, 3s), {}}, 1};
  EXPECT_EQ(k.wish(9), 1);
  k.now += 1s;
  EXPECT_EQ(k.wish(4), 1);
  k.now += 1s;
  EXPECT_EQ(k.wish(9), 1);
  k.now += 1s;
  EXPECT_EQ(k.wish(9), 4);
  EXPECT_EQ(k.wish(2), 2) << "a cut does not wait";
}

TEST(Stabilization, OfWishesCloseTogetherNoneExpiresBeforeItsDue) {
  KnobUnderRates k{{{}, rules({}, SelectPolicy::max, 60s)}, 8};
  k.wish(3);
  k.now += 61s;  // earlier values are forgotten
  k.now = std::chrono::ceil<std::chrono::minutes>(k.now);
  k.wish(5);
  k.now += 900ms;
  k.wish(4.9);
  k.now += 100ms;
  for (; k.now.time_since_epoch() % 1min != 500ms; k.now += 500ms) k.wish(3);
  EXPECT_GE(k.wish(3), 4.9);
}

TEST(Stabilization, NothingIsKnownBeforeTheFirstLook) {
  const KnobUnderRates k{{rules({}, SelectPolicy::max, 3s), rules({}, SelectPolicy::max, 3s)}, 4};
  EXPECT_EQ(k.limits().lowest, 4);
  EXPECT_EQ(k.limits().highest, 4);
}

TEST(Stabilization, ItsMemoryIsBounded) {
  KnobUnderRates k{{rules({}, SelectPolicy::max, 1h), rules({}, SelectPolicy::max, 1h)}, 1};
  for (int i = 0; i < 100'000; ++i, k.now += 100ms) {
    // Falling values are the worst case for the largest, rising ones for the smallest.
    note_wish(k.scaling, k.now, i % 2 == 0 ? 1e6 - i : i, 1, k.history);
    ASSERT_LE(k.history.largest.size(), 62U);
    ASSERT_LE(k.history.smallest.size(), 62U);
  }
  EXPECT_GE(k.history.largest.size(), 50U);
  EXPECT_GE(k.history.smallest.size(), 50U);
}

ScalingRules some_rules(double most_percent) {
  const auto policies = *rc::gen::container<std::vector<ScalingPolicy>>(rc::gen::map(
      rc::gen::tuple(rc::gen::arbitrary<bool>(), rc::gen::inRange(1, 100), rc::gen::inRange(1, 40)),
      [&](const auto& t) {
        const auto [share, value, period] = t;
        return share ? percent(value * most_percent / 100, period * 500ms)
                     : absolute(value / 10.0, period * 500ms);
      }));
  return {*rc::gen::element(0, 0, 1, 7) * 1s, policies,
          *rc::gen::element(SelectPolicy::max, SelectPolicy::max, SelectPolicy::min, SelectPolicy::disabled)};
}

// The same policy, computed literally from the whole history.
struct Everything {
  std::map<MonotonicTime, double> values, wishes;  // from then on; at that sample

  double at(MonotonicTime time) const {
    const auto next = values.upper_bound(time);
    return next == values.begin() ? next->second : std::prev(next)->second;
  }
  bool allows(const ScalingRules& r, MonotonicTime now, double from, double to) const {
    const double way = to > from ? 1 : -1;
    constexpr double kSlack = 1e-6;
    if (r.select_policy == SelectPolicy::disabled) return false;
    for (auto w = wishes.upper_bound(now - r.stabilization); r.stabilization > 0s && w != wishes.end(); ++w) {
      if (way * to > way * w->second + kSlack) return false;
    }
    if (r.policies.empty()) return true;
    const auto within = [&](const ScalingPolicy& p) {
      const double start = at(now - p.period);
      const double change = p.type == ChangeType::percent ? start * p.value / 100 : p.value;
      return way * (to - start) <= change + kSlack;
    };
    return r.select_policy == SelectPolicy::max ? std::any_of(r.policies.begin(), r.policies.end(), within)
                                                : std::all_of(r.policies.begin(), r.policies.end(), within);
  }
};

TEST(RatePolicy, Properties) {
  EXPECT_TRUE(rc::check("no change is further than the policies allow, and something always may be", [] {
    KnobUnderRates k{{some_rules(300), some_rules(100)}, *rc::gen::inRange(1, 100) / 10.0};
    Everything all;
    all.values[{}] = k.value;
    for (int i = 0; i < 120; ++i) {
      k.now += *rc::gen::inRange(1, 30) * 100ms;
      const double from = k.value, wanted = *rc::gen::inRange(1, 2000) / 100.0;
      const auto limits = k.limits();
      RC_ASSERT(limits.lowest >= 0 && limits.lowest <= from && limits.highest >= from);
      all.wishes[k.now] = wanted;
      const double to = k.wish(wanted);
      if (to != from) RC_ASSERT(all.allows(to > from ? k.scaling.up : k.scaling.down, k.now, from, to));
      all.values[k.now] = to;
    }
    // Long after the last change, with one constant wish, the value must change, unless that is forbidden.
    const double from = k.value, wanted = from * 2;
    for (int i = 0; i < 90; ++i, k.now += 500ms) k.wish(wanted);
    RC_ASSERT(k.scaling.up.select_policy == SelectPolicy::disabled || k.value > from);
  }));
}

}  // namespace
}  // namespace sluice
