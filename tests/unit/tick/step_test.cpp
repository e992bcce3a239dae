// cpu.step: whole multiples only, without alternating between two of them.
#include <gtest/gtest.h>

#include "daemon/arbitrate/validate.hpp"
#include "tests/unit/policy_inputs.hpp"

namespace sluice::testing {
namespace {

config::Config with_step(double step, double min = 0.05, double max = 4) {
  auto c = one_task_config();
  c.tasks[0].policy.cpu.step_cores = step;
  c.tasks[0].policy.cpu.min_cores = min;
  c.tasks[0].policy.cpu.max_cores = max;
  return c;
}

std::size_t run(Bench& b, Nsec length, double usage) {
  std::size_t writes = 0;
  for (Nsec t{}; t < length; t += 100ms) {
    b.run_cpu(1, 100ms, usage, false);
    writes += b.full().plan.writes.size();
  }
  return writes;
}

// Settled at two cores by a load of one and a half.
Bench at_two() {
  Bench b(with_step(1));
  b.add(1, cores(4));
  run(b, 30s, 1.5);
  EXPECT_DOUBLE_EQ(b.quota(), 2);
  return b;
}

TEST(Step, TheMinimumIsAStepAndToldAsSuch) {
  Bench b(with_step(1, 1.2, 3.5));
  b.add(1, cores(0.3));
  b.full();
  EXPECT_DOUBLE_EQ(b.last.report.tasks.at(0).cpu_min_cores, 2);
  EXPECT_DOUBLE_EQ(b.last.report.tasks.at(0).cpu_max_cores, 3.5);
  b.full();
  EXPECT_DOUBLE_EQ(b.quota(), 2);
}

TEST(Step, ACutIsToTheNextStepAboveWhatIsNeeded) {
  Bench b = at_two();
  EXPECT_EQ(b.task().cpu.limit.reason().rule, Rule::cpu_surplus);
  EXPECT_TRUE(b.task().cpu.limit.reason().clamped_step);
  EXPECT_LT(b.task().cpu.limit.reason().wanted, 2);
}

TEST(Step, WhatNoStepCouldSparePaysForNoWrite) {
  Bench b = at_two();
  b.config.tasks[0].policy.cpu.writes_per_minute = 6;
  EXPECT_EQ(run(b, 10min, 1.5), 0U) << "half a core is unused all the time";
  EXPECT_EQ(run(b, 2s, 0.5), 0U) << "which is no reason to follow a short lull";
  EXPECT_DOUBLE_EQ(b.quota(), 2);
}

TEST(Step, ALoadJustUnderAStepIsNotCutToIt) {
  Bench b = at_two();
  EXPECT_EQ(run(b, 10min, 0.97), 0U);
  EXPECT_EQ(run(b, 1min, 0.8), 1U);
  EXPECT_DOUBLE_EQ(b.quota(), 1);
}

TEST(Step, ARaiseIsAWholeStep) {
  Bench b = at_two();
  for (int i = 0; i < 30 && b.quota() == 2; ++i) {
    b.run_cpu(1, 100ms, 2, true, 0.2);
    b.full();
  }
  EXPECT_DOUBLE_EQ(b.quota(), 3);
}

TEST(Step, EveryPlanIsHeldToIt) {
  Bench b(with_step(0.5, 0.05, 3.2));
  b.add(1, cores(2));
  b.full();
  const PlanContext c{&b.state, &b.config, b.node, b.now};
  const auto found = [&](double to, Rule rule) {
    return validate_plan({{{CgroupId{1}, Knob::cpu_max, cores(to), Reason{.rule = rule}, {}}}, false}, c);
  };
  for (const double right : {0.5, 1.5, 3.0, 3.2})
    EXPECT_TRUE(found(right, Rule::cpu_surplus).empty()) << right;
  for (const double wrong : {1.2, 2.25, 3.1}) {
    ASSERT_EQ(found(wrong, Rule::cpu_surplus).size(), 1U) << wrong;
    EXPECT_EQ(found(wrong, Rule::cpu_surplus)[0].invariant, Invariant::whole_steps);
  }
  EXPECT_TRUE(found(1.2, Rule::pinned).empty()) << "the administrator's word";
  EXPECT_TRUE(found(1.2, Rule::released).empty()) << "and the baseline";
  EXPECT_TRUE(found(1.2, Rule::burst).empty()) << "the quota stays";
}

}  // namespace
}  // namespace sluice::testing
