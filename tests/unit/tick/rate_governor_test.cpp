// Rate policies in the whole tick: what they delay, what takes precedence, and that every plan is checked
// against them.
#include <gtest/gtest.h>

#include <algorithm>

#include "daemon/arbitrate/validate.hpp"
#include "tests/unit/policy_inputs.hpp"

namespace sluice::testing {
namespace {

using config::ChangeType;
using config::SelectPolicy;

config::Config with(const config::Scaling& cpu, const config::Scaling& memory = {}) {
  auto config = one_task_config();
  config.tasks[0].policy.max_delay = 100ms;
  config.tasks[0].policy.cpu.scaling = cpu;
  config.tasks[0].policy.memory.scaling = memory;
  return config;
}

config::ScalingRules percent(double value, config::Duration period) {
  return {{}, {{ChangeType::percent, value, period}}, SelectPolicy::max};
}
const config::ScalingRules kDisabled{{}, {}, SelectPolicy::disabled};

bool violated(const Outcome& o) {
  return std::any_of(o.report.notices.begin(), o.report.notices.end(),
                     [](const auto& n) { return n.kind == Notice::Kind::plan_violation; });
}

// A starved task; returns the quota after each tick.
std::vector<double> starve(Bench& b, int ticks) {
  std::vector<double> quotas;
  for (int i = 0; i < ticks; ++i) {
    b.run_cpu(1, 100ms, b.quota(), true, 3);
    EXPECT_FALSE(violated(b.full()));
    quotas.push_back(b.quota());
  }
  return quotas;
}

TEST(RateGovernor, ARaiseTakesAsLongAsItsPolicySays) {
  Bench b(with({percent(100, 1s), {}}));
  b.add(1, cores(0.5));
  b.full();
  auto quotas = starve(b, 8);
  EXPECT_EQ(quotas.back(), 1);
  EXPECT_TRUE(b.task().cpu.limit.reason().clamped_rate);
  const auto later = starve(b, 40);
  quotas.insert(quotas.end(), later.begin(), later.end());
  EXPECT_EQ(quotas.back(), 4);
  for (std::size_t i = 10; i < quotas.size(); ++i) EXPECT_LE(quotas[i], 2 * quotas[i - 10] + 1e-4) << i;

  Bench free(with({}));
  free.add(1, cores(0.5));
  free.full();
  EXPECT_EQ(starve(free, 10).back(), 4) << "without the policy it would have been quick";
}

TEST(RateGovernor, ACutTooAndTheReasonSaysSo) {
  Bench b(with({{}, percent(25, 1min)}));
  b.add(1, cores(4));
  for (int i = 0; i < 50; ++i, b.run_cpu(1, 100ms, 0.2, false)) b.full();
  EXPECT_DOUBLE_EQ(b.quota(), 3);
  EXPECT_TRUE(b.task().cpu.limit.reason().clamped_rate);
  EXPECT_LT(b.task().cpu.limit.reason().wanted, 1);
}

TEST(RateGovernor, AStabilizedCutWaitsForItsWindow) {
  Bench b(with({{}, {10s, {}, SelectPolicy::max}}));
  b.add(1, cores(4));
  b.full();
  for (int i = 0; i < 99; ++i) {
    b.run_cpu(1, 100ms, 0.2, false);
    b.full();
    EXPECT_EQ(b.quota(), 4) << i;
  }
  for (int i = 0; i < 60; ++i) {
    b.run_cpu(1, 100ms, 0.2, false);
    b.full();
  }
  EXPECT_LT(b.quota(), 1);
}

TEST(RateGovernor, APinAndTheWayBackDoNotWait) {
  Bench b(with({kDisabled, kDisabled}));
  b.add(1, cores(3));
  b.full();
  starve(b, 10);
  EXPECT_EQ(b.quota(), 3);
  b.commands = {PinCommand{"t1", 0.5, std::nullopt, b.now + 1s, "night", ":1.2"}};
  b.full();
  b.full();
  EXPECT_EQ(b.quota(), 0.5);
  b.commands = {SuspendCommand{"t1", "enough"}};
  b.full();
  b.full();
  EXPECT_EQ(b.quota(), 3);
}

TEST(RateGovernor, ABoundDoesNotWait) {
  Bench b(with({kDisabled, kDisabled}));
  b.add(1, cores(3));
  b.full();
  b.commands = {SetBoundsCommand{"t1", std::nullopt, 2, std::nullopt, std::nullopt}};
  b.full();
  EXPECT_FALSE(violated(b.full()));
  EXPECT_EQ(b.quota(), 2);
}

TEST(RateGovernor, ARescueOfMemoryDoesNotWait) {
  Bench b(with({}, {kDisabled, kDisabled}));
  Sample& s = b.add(1, cores(4), mib(300));
  b.full();
  s.memory_stat->anon = 290 * Bench::kMiB;  // the floor rises above the limit
  EXPECT_FALSE(violated(b.full()));
  b.full();
  EXPECT_GT(b.high(), 300.0 * Bench::kMiB);
  const double rescued = b.high();
  b.sample().memory_current = static_cast<Bytes>(rescued);
  for (int i = 0; i < 10; ++i) {  // reclaim that frees nothing
    b.sample().memory_stat->pgscan += 5000;
    b.sample().memory_pressure->some += 60ms;
    b.sample().memory_pressure->full += 60ms;
    EXPECT_FALSE(violated(b.full()));
  }
  EXPECT_GT(b.high(), 2 * rescued);
}

// Cold cache that would be reclaimed, limited to a tenth per half an hour.
TEST(RateGovernor, OfMemoryItIsMemorysPolicy) {
  Bench b(with({}, {{}, percent(10, 30min)}));
  b.add(1, cores(4), mib(256));
  b.full();
  for (int i = 0; i < 3000; ++i) {
    EXPECT_FALSE(violated(b.full()));
    auto& s = b.sample();
    const auto high = static_cast<Bytes>(std::min(b.high(), 256.0 * Bench::kMiB));
    s.memory_stat->pgscan += (*s.memory_current - high) / 4096;
    s.memory_stat->pgsteal += (*s.memory_current - high) / 4096;
    s.memory_stat->file -= *s.memory_current - high;
    s.memory_current = high;
  }
  EXPECT_LT(b.high(), 0.93 * 256 * Bench::kMiB);
  EXPECT_GE(b.high(), 0.89 * 256 * Bench::kMiB);
}

TEST(RateGovernor, WhatTheNodeLacksIsTakenAllTheSame) {
  auto config = with({{}, percent(1, 30min)});
  config.tasks.push_back(config.tasks[0]);
  config.tasks[1].policy.priority = 1;  // cpu.weight cannot express it, so quotas share the node
  Bench b(config);
  b.add(1, cores(3));
  b.add(2, cores(3), {}, 1);
  b.full();
  starve(b, 3);
  b.node.cpu_capacity_cores = 4;  // the node loses half of its CPUs
  for (int i = 0; i < 5; ++i) {
    for (const std::uint64_t id : {1U, 2U}) b.run_cpu(id, 100ms, b.quota(id), true, 1);
    EXPECT_FALSE(violated(b.full()));
  }
  EXPECT_LE(b.quota(1) + b.quota(2), 4.01);
  EXPECT_GE(b.quota(1) + b.quota(2), 3.9) << "and no more than that";
}

TEST(RateGovernor, AnotherHandsValueIsWhereItBeginsAnew) {
  Bench b(with({{}, percent(25, 1min)}));
  b.add(1, cores(4));
  for (int i = 0; i < 50; ++i, b.run_cpu(1, 100ms, 0.2, false)) b.full();
  ASSERT_DOUBLE_EQ(b.quota(), 3);
  b.sample().cpu_max = cores(2);
  b.full();
  EXPECT_TRUE(b.task().cpu.rates.changes.empty());
  b.now += 61s;  // we yield for a minute
  for (int i = 0; i < 50; ++i, b.run_cpu(1, 100ms, 0.2, false)) b.full();
  EXPECT_DOUBLE_EQ(b.quota(), 1.5);
}

TEST(RateGovernor, EveryPlanIsHeldToThem) {
  Bench b(with({percent(50, 10s), percent(50, 10s)}, {percent(50, 10s), percent(50, 10s)}));
  b.add(1, cores(2), mib(1000));
  b.full();
  const PlanContext c{&b.state, &b.config, b.node, b.now};
  const auto right = [&](Knob knob, const KnobValue& value, const Reason& why) {
    const auto found = validate_plan({{{CgroupId{1}, knob, value, why, {}}}, false}, c);
    for (const auto& v : found) EXPECT_EQ(v.invariant, Invariant::rate);
    return found.empty();
  };
  const Reason up{.rule = Rule::cpu_throttled}, down{.rule = Rule::cpu_surplus};
  EXPECT_TRUE(right(Knob::cpu_max, cores(3), up));
  EXPECT_FALSE(right(Knob::cpu_max, cores(3.01), up));
  EXPECT_TRUE(right(Knob::cpu_max, cores(1), down));
  EXPECT_FALSE(right(Knob::cpu_max, cores(0.99), down));
  EXPECT_FALSE(right(Knob::cpu_max, cores(0.99), {.rule = Rule::capacity, .clamped_capacity = true}))
      << "the node has enough";
  EXPECT_TRUE(right(Knob::cpu_max, cores(4), {.rule = Rule::pinned}));
  EXPECT_TRUE(right(Knob::memory_high, mib(1500), {.rule = Rule::memory_pressure}));
  EXPECT_FALSE(right(Knob::memory_high, mib(1501), {.rule = Rule::memory_pressure}));
  EXPECT_TRUE(right(Knob::memory_high, mib(1501), {.rule = Rule::memory_futile}));
  EXPECT_FALSE(right(Knob::memory_high, mib(499), {.rule = Rule::memory_probe}));

  b.node.cpu_capacity_cores = 0.9;
  const PlanContext small{&b.state, &b.config, b.node, b.now};
  const Reason capacity{.rule = Rule::capacity, .clamped_capacity = true};
  EXPECT_TRUE(
      validate_plan({{{CgroupId{1}, Knob::cpu_max, cores(0.9), capacity, {}}}, false}, small).empty());
}

}  // namespace
}  // namespace sluice::testing
