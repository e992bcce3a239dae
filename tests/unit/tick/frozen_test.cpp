// A paused (frozen) task is not idle: its limits and what was learned stay until it thaws.
#include <gtest/gtest.h>

#include "tests/unit/policy_inputs.hpp"

namespace sluice::testing {
namespace {

// We hold both knobs, and the task works at a steady rate.
Bench at_work() {
  Bench b;
  b.add(1, cores(2), mib(300));
  for (int i = 0; i < 100; ++i) {
    b.run_cpu(1, 100ms, 1, false);
    b.full();
  }
  return b;
}

void freeze(Bench& b, Nsec length) {
  b.sample().frozen = true;
  for (Nsec t{}; t < length; t += 100ms) b.full();
}

TEST(Frozen, NoLimitMoves) {
  Bench b = at_work();
  const double quota = b.quota(), high = b.high();
  b.sample().frozen = true;
  for (int i = 0; i < 1200; ++i) EXPECT_TRUE(b.full().plan.writes.empty()) << i;
  EXPECT_EQ(b.quota(), quota);
  EXPECT_EQ(b.high(), high);
  EXPECT_EQ(b.last.report.tasks[0].diagnosis.cause, Cause::frozen);
}

TEST(Frozen, AnIdleTaskInItsPlaceIsCut) {
  Bench b = at_work();
  const double quota = b.quota();
  for (int i = 0; i < 1200; ++i) b.full();
  EXPECT_LT(b.quota(), 0.5 * quota);
}

TEST(Frozen, WhatWasLearnedStays) {
  Bench b = at_work();
  const CpuState before = b.task().cpu_control;
  freeze(b, 2min);
  b.sample().frozen = false;
  b.full();
  const CpuState& after = b.task().cpu_control;
  EXPECT_EQ(after.arrivals.size(), before.arrivals.size());
  EXPECT_EQ(after.margin, before.margin);
  EXPECT_EQ(after.surplus_core_seconds, before.surplus_core_seconds);
  for (int i = 0; i < 100; ++i) {
    b.run_cpu(1, 100ms, 1, false);
    b.full();
    EXPECT_GE(b.quota(), 1) << i;
  }
}

TEST(Frozen, ItsPauseIsNoTimeThatItWaitedForItsLimit) {
  Bench b;
  b.add(1, cores(1));
  for (int i = 0; i < 5; ++i) {
    b.run_cpu(1, 100ms, 1, true, 0.1);
    b.full();
  }
  const double before = longest_wait_seconds(b.now, b.task().cpu_control);
  freeze(b, 1min);
  b.sample().frozen = false;
  b.full();
  EXPECT_LT(longest_wait_seconds(b.now, b.task().cpu_control), before + 1);
  EXPECT_EQ(b.task().harm.late_debt_seconds, 0);
}

TEST(Frozen, ItTakesNothingFromItsNeighbours) {
  Bench b;
  b.node.cpu_capacity_cores = 4;
  b.add(1, cores(3));
  b.add(2, cores(1));
  for (int i = 0; i < 20; ++i) {
    b.run_cpu(1, 100ms, 2.5, false);
    b.run_cpu(2, 100ms, 0.9, false);
    b.full();
  }
  const double quota = b.quota(1);
  b.sample(1).frozen = true;
  for (int i = 0; i < 100; ++i) {
    b.run_cpu(2, 100ms, std::min(3.5, b.quota(2)), b.quota(2) < 3.5, 2);
    b.full();
    for (const auto& n : b.last.report.notices) EXPECT_NE(n.kind, Notice::Kind::plan_violation);
  }
  EXPECT_EQ(b.quota(1), quota);
  EXPECT_GE(b.quota(2), 3.4);
  EXPECT_FALSE(b.last.report.node.saturated);
}

TEST(Frozen, APinIsWrittenAllTheSame) {
  Bench b = at_work();
  b.sample().frozen = true;
  PinCommand pin;
  pin.task = "t1";
  pin.cpu_cores = 3;
  b.commands.emplace_back(pin);
  b.full();
  b.full();
  EXPECT_EQ(b.quota(), 3);
}

}  // namespace
}  // namespace sluice::testing
