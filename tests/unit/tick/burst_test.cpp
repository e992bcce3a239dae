// cpu.max.burst follows its quota, and the task's own burst is restored.
#include <gtest/gtest.h>

#include "tests/unit/tick/governed.hpp"

namespace sluice::testing {
namespace {

CpuMax bursting(double n, std::optional<Usec> burst) {
  CpuMax v = cores(n);
  v.burst = burst;
  return v;
}
config::Config with_ratio(std::optional<double> ratio) {
  auto c = one_task_config();
  c.tasks[0].policy.cpu.burst_ratio = ratio;
  return c;
}
const CpuMax& holds(const Bench& b) {
  return std::get<CpuMax>(b.task().cpu.limit.value());
}

// Uses half a core of its baseline of 3, so that it ends with a quota below one.
Bench governed(std::optional<double> ratio, std::optional<Usec> burst) {
  Bench b(with_ratio(ratio));
  b.add(1, bursting(3, burst));
  for (int i = 0; i < 40; ++i) {
    b.run_cpu(1, 100ms, 0.5, false);
    b.full();
    EXPECT_LE(holds(b).burst.value_or(0us), *holds(b).quota);
    EXPECT_FALSE(noticed(b.last, Notice::Kind::foreign_write) ||
                 noticed(b.last, Notice::Kind::plan_violation));
  }
  EXPECT_LT(b.quota(), 1.0);
  return b;
}

// Quiet: the task's load requires no other quota.
void settle(Bench& b, int ticks = 120) {
  for (int i = 0; i < ticks; ++i) {
    b.run_cpu(1, 100ms, 0.5, false);
    b.full();
  }
}

TEST(Burst, TheTasksOwnIsKeptAsFarAsTheQuotaAllowsAndComesBack) {
  Bench b = governed(std::nullopt, 250ms);
  EXPECT_EQ(holds(b).burst, holds(b).quota);
  EXPECT_EQ(write_to(b.stop_plan(), Knob::cpu_max)->value, KnobValue{bursting(3, 250ms)});
  Bench small = governed(std::nullopt, 10ms);
  EXPECT_EQ(holds(small).burst, 10ms);
}

TEST(Burst, ARatioMakesItFollowTheQuota) {
  Bench b = governed(0.5, 0us);
  EXPECT_EQ(holds(b).burst->count(), holds(b).quota->count() / 2);
  EXPECT_EQ(write_to(b.stop_plan(), Knob::cpu_max)->value, KnobValue{bursting(3, 0us)});
}

TEST(Burst, AKernelWithoutItIsAskedForNone) {
  Bench b = governed(1.0, std::nullopt);
  EXPECT_EQ(holds(b).burst, std::nullopt);
}

TEST(Burst, AnUnlimitedTaskGetsItWithItsFirstQuota) {
  Bench b(with_ratio(1.0));
  CpuMax unlimited;
  unlimited.burst = 0us;
  b.add(1, unlimited);
  settle(b, 40);
  ASSERT_TRUE(holds(b).quota);
  EXPECT_EQ(holds(b).burst, holds(b).quota);
  EXPECT_EQ(write_to(b.stop_plan(), Knob::cpu_max)->value, KnobValue{unlimited});
}

TEST(Burst, AReloadChangesItWithoutTheQuotaAndOnce) {
  Bench b = governed(std::nullopt, 0us);
  settle(b);
  const Usec quota = *holds(b).quota;
  b.config = with_ratio(1.0);
  std::size_t writes = 0;
  for (int i = 0; i < 120; ++i) {
    b.run_cpu(1, 100ms, 0.5, false);
    if (const Write* w = write_to(b.full().plan, Knob::cpu_max)) {
      ++writes;
      EXPECT_EQ(w->reason.rule, Rule::burst);
    }
  }
  EXPECT_EQ(writes, 1U);
  EXPECT_EQ(holds(b).quota, quota);
  EXPECT_EQ(holds(b).burst, quota);
  EXPECT_GE(b.task().cpu.writes.size(), 1U) << "it is paid for as any write";
}

TEST(Burst, WhatIsNotSeenIsBelievedUnchanged) {
  Bench b = governed(1.0, 0us);
  settle(b);
  for (int i = 0; i < 30; ++i) {
    b.run_cpu(1, 100ms, 0.5, false);
    b.sample().cpu_max->burst.reset();
    EXPECT_FALSE(noticed(b.full(), Notice::Kind::foreign_write));
  }
  EXPECT_EQ(holds(b).burst, holds(b).quota);
}

TEST(Burst, AnotherHandsBurstIsNoticedAndYieldedTo) {
  Bench b = governed(1.0, 0us);
  settle(b, 5);
  b.sample().cpu_max->burst = 1ms;
  EXPECT_TRUE(noticed(b.full(), Notice::Kind::foreign_write));
  EXPECT_EQ(holds(b).burst, 1ms);
  EXPECT_EQ(std::get<CpuMax>(*b.task().cpu.limit.baseline()).burst, 1ms);
  settle(b, 50);
  EXPECT_EQ(holds(b).burst, 1ms);
}

TEST(Burst, AResetOfTheQuotaAloneIsAReset) {
  Bench b = governed(1.0, 0us);
  settle(b, 5);
  const CpuMax ours = holds(b);
  b.sample().cpu_max->quota = cores(3).quota;
  b.run_cpu(1, 100ms, 0.5, false);
  EXPECT_TRUE(noticed(b.full(), Notice::Kind::knob_reset));
  b.full();
  EXPECT_EQ(holds(b), ours) << "written again, the burst with it";
}

TEST(Burst, OursDoesNotOutliveAQuotaOfSomebodyElse) {
  Bench b = governed(0.5, 0us);
  settle(b, 5);
  b.sample().cpu_max->quota = cores(1.7).quota;
  EXPECT_TRUE(noticed(b.full(), Notice::Kind::foreign_write));
  EXPECT_EQ(*b.task().cpu.limit.baseline(), KnobValue{bursting(1.7, 0us)});
  const Write* back = write_to(b.last.plan, Knob::cpu_max);
  ASSERT_NE(back, nullptr) << "the burst is still ours to take away";
  EXPECT_EQ(back->value, KnobValue{bursting(1.7, 0us)});
}

}  // namespace
}  // namespace sluice::testing
