// The breaker's second cause: governing makes a task worse. tick_test.cpp tests failing writes.
#include <gtest/gtest.h>

#include <algorithm>

#include "daemon/tick/tick.hpp"
#include "tests/unit/policy_inputs.hpp"

namespace sluice::testing {
namespace {

constexpr CgroupId kTask{1};

void repeat(MonotonicTime at, std::size_t times, Ring<MonotonicTime>& moments) {
  for (moments.clear(); moments.size() < times;) moments.push_back(at);
}

// Baseline 3 cores, bound 4, we hold 0.5, and the write budget is used up, so the controller cannot correct
// it.
Bench squeezed(double held_cores = 0.5, double baseline_cores = 3) {
  Bench b;
  b.add(1, cores(baseline_cores));
  b.full();
  KnobState& cpu = b.state.tasks.at(kTask).cpu;
  b.hold(cpu, Knob::cpu_max, b.sample().cpu_max.emplace(cores(held_cores)));
  return b;
}

// The task is throttled in every period or in none. No write of cpu.max is ever left in the budget.
void run(Bench& b, Nsec length, bool throttled, double usage_cores = 0.5) {
  for (const auto until = b.now + length; b.now < until;) {
    repeat(b.now, 60, b.state.tasks.at(kTask).cpu.writes);
    b.run_cpu(1, 100ms, usage_cores, throttled, throttled ? 2 : 0);
    b.full();
  }
}

BreakerState state_of(const Bench& b) {
  return b.task().breaker.state;
}

TEST(Breaker, LateUnderOurQuotaIsReleasedWithinItsDelayAndTenSeconds) {
  Bench b = squeezed();
  run(b, 10s, true);
  EXPECT_EQ(state_of(b), BreakerState::closed) << "a second of it was within max_delay";
  run(b, 1200ms, true);
  EXPECT_EQ(state_of(b), BreakerState::open);
  EXPECT_EQ(b.task().breaker.trip, BreakerTrip::late);
  const TaskReport& r = b.full().report.tasks.front();
  EXPECT_EQ(b.quota(), 3) << "the baseline is back";
  EXPECT_EQ(r.breaker, BreakerState::open);
  EXPECT_EQ(r.breaker_trip, BreakerTrip::late);
  EXPECT_EQ(r.diagnosis.cause, Cause::starved_by_quota);
  EXPECT_TRUE(r.breaker_retry_at);
}

TEST(Breaker, TheNoticeSaysWhy) {
  Bench b = squeezed();
  const Notice* found = nullptr;
  for (int i = 0; i < 120 && !found; ++i) {
    run(b, 100ms, true);
    for (const auto& n : b.last.report.notices) found = n.kind == Notice::Kind::breaker_opened ? &n : found;
  }
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->trip, BreakerTrip::late);
  EXPECT_FALSE(found->receipt);
}

TEST(Breaker, ThreeUndoneCutsHalveThePatience) {
  Bench b = squeezed();
  repeat(b.now, 3, b.state.tasks.at(kTask).harm.undos);
  run(b, 6200ms, true);
  EXPECT_EQ(state_of(b), BreakerState::open);
}

TEST(Breaker, CutsThatWereUndoneLongAgoCostNoPatience) {
  Bench b = squeezed();
  repeat(b.now, 3, b.state.tasks.at(kTask).harm.undos);
  run(b, 62s, false);
  run(b, 8s, true);
  EXPECT_EQ(state_of(b), BreakerState::closed);
}

TEST(Breaker, GoodTimeIsNotSavedUp) {
  Bench b = squeezed();
  run(b, 20s, false);
  run(b, 11200ms, true);
  EXPECT_EQ(state_of(b), BreakerState::open);
}

TEST(Breaker, HarmIsForgottenWhileNothingIsGoverned) {
  Bench b = squeezed();
  run(b, 9s, true);
  EXPECT_GT(b.task().harm.late_debt_seconds, 7);
  b.commands.push_back(SuspendCommand{"t1", "hands off"});
  run(b, 200ms, true);
  EXPECT_EQ(b.task().harm.late_debt_seconds, 0);
}

TEST(Breaker, WaitsTenMinutesAtMost) {
  Bench b = squeezed();
  b.state.tasks.at(kTask).breaker.failures = 9;
  run(b, 11200ms, true);
  ASSERT_EQ(state_of(b), BreakerState::open);
  EXPECT_LE(b.task().breaker.retry_at, b.now + 10min);
  EXPECT_GE(b.task().breaker.retry_at, b.now + 9min);
}

TEST(Breaker, ThrottlingWithBreaksCostsNoDeadline) {
  Bench b = squeezed();
  for (int i = 0; i < 60; ++i) {
    run(b, 900ms, true);
    run(b, 100ms, false);
  }
  EXPECT_EQ(state_of(b), BreakerState::closed);
}

TEST(Breaker, GoodTimePaysForBadTime) {
  Bench b = squeezed();
  for (int i = 0; i < 5; ++i) {
    run(b, 5s, true);  // four of them late
    run(b, 5s, false);
  }
  EXPECT_EQ(state_of(b), BreakerState::closed);
}

TEST(Breaker, WhatIsNotOurDoingIsNotHeldAgainstUs) {
  Bench at_bound = squeezed(4, 8);
  run(at_bound, 30s, true);
  EXPECT_EQ(state_of(at_bound), BreakerState::closed) << "its owner allows no more";
  Bench above_baseline = squeezed(2, 1);
  run(above_baseline, 30s, true);
  EXPECT_EQ(state_of(above_baseline), BreakerState::closed) << "without us it would have less";
  Bench untouched = squeezed();
  untouched.state.tasks.at(kTask).cpu.limit = {};
  untouched.sample().cpu_max = cores(0.5);
  untouched.full();
  run(untouched, 30s, true);
  EXPECT_EQ(state_of(untouched), BreakerState::closed);
  Bench pinned = squeezed();
  PinCommand pin;
  pin.task = "t1";
  pin.cpu_cores = 0.5;
  pinned.commands.emplace_back(pin);
  run(pinned, 30s, true);
  EXPECT_EQ(state_of(pinned), BreakerState::closed) << "an administrator wants it so";
}

TEST(Breaker, NothingIsConcludedFromMissingSignals) {
  Bench b = squeezed();
  run(b, 5s, true);
  b.sample().bandwidth.reset();
  run(b, 1s, false);
  EXPECT_LE(b.task().harm.late_debt_seconds, 4.1);
  for (int i = 0; i < 300; ++i) {
    repeat(b.now, 60, b.state.tasks.at(kTask).cpu.writes);
    b.tasks.at(kTask).sample.reset();
    b.full();
  }
  EXPECT_EQ(state_of(b), BreakerState::closed);
}

TEST(Breaker, AfterHarmAMinuteWithoutItClosesAndHarmInThatMinuteWaitsTwiceAsLong) {
  Bench b = squeezed();
  run(b, 12s, true);
  ASSERT_EQ(state_of(b), BreakerState::open);
  const Nsec wait = b.task().breaker.retry_at - b.now;
  EXPECT_GT(wait, 25s);
  EXPECT_LE(wait, 30s);
  run(b, 31s, false);
  ASSERT_EQ(state_of(b), BreakerState::half_open);

  b.hold(b.state.tasks.at(kTask).cpu, Knob::cpu_max, b.sample().cpu_max.emplace(cores(0.5)));
  run(b, 12s, true);
  ASSERT_EQ(state_of(b), BreakerState::open);
  EXPECT_GT(b.task().breaker.retry_at - b.now, 55s);
  run(b, 60s, false);
  ASSERT_EQ(state_of(b), BreakerState::half_open);
  run(b, 55s, false);
  EXPECT_EQ(state_of(b), BreakerState::half_open) << "on trial";
  run(b, 6s, false);
  EXPECT_EQ(state_of(b), BreakerState::closed);
  EXPECT_EQ(b.task().breaker.failures, 0U);
}

TEST(Breaker, StallingUnderOurMemoryHighIsReleased) {
  Bench b;
  b.add(1, {}, mib(1000));
  b.full();
  KnobState& memory = b.state.tasks.at(kTask).memory;
  b.hold(memory, Knob::memory_high, b.sample().memory_high.emplace(mib(256)));
  auto stall = [&](int ticks) {
    for (int i = 0; i < ticks; ++i) {
      repeat(b.now, 60, b.state.tasks.at(kTask).memory.writes);
      b.sample().memory_pressure->some += 50ms;
      b.run_cpu(1, 100ms, 0.1, false);
      b.full();
    }
  };
  stall(95);
  EXPECT_EQ(state_of(b), BreakerState::closed);
  stall(15);
  EXPECT_EQ(state_of(b), BreakerState::open);
  EXPECT_EQ(b.task().breaker.trip, BreakerTrip::memory_stalled);
  EXPECT_EQ(b.high(), 1000.0 * Bench::kMiB);
}

TEST(Breaker, AStallFarBelowMemoryHighIsNotOurs) {
  Bench b;
  b.add(1, {}, mib(1000));
  b.full();
  KnobState& memory = b.state.tasks.at(kTask).memory;
  b.hold(memory, Knob::memory_high, b.sample().memory_high.emplace(mib(900)));
  for (int i = 0; i < 300; ++i) {
    repeat(b.now, 60, b.state.tasks.at(kTask).memory.writes);
    b.sample().memory_pressure->some += 50ms;
    b.run_cpu(1, 100ms, 0.1, false);
    b.full();
  }
  EXPECT_EQ(state_of(b), BreakerState::closed);
}

// The cause of each decision in the tick.
TEST(Cause, EveryDecisionAndTheReportCarryIt) {
  Bench b;
  b.add(1, cores(0.2));
  b.full();
  const Write* write = nullptr;
  for (int i = 0; i < 50 && !write; ++i) {
    b.run_cpu(1, 100ms, 0.2, true, 2);
    write = write_to(b.full().plan, Knob::cpu_max);
  }
  ASSERT_NE(write, nullptr);
  EXPECT_EQ(write->reason.cause, Cause::starved_by_quota);
  b.run_cpu(1, 100ms, 0.2, false);
  const auto& r = b.full().report.tasks.front();
  EXPECT_EQ(r.cpu_reason.cause, Cause::starved_by_quota);
  EXPECT_EQ(r.diagnosis.cause, Cause::starved_by_quota) << "a mean of a second does not forget in a tick";
}

TEST(NextLook, IsTheNextTickOrWhenAHoldLapsesOrWhenTheBudgetHasRoom) {
  Bench b = squeezed();
  b.run_cpu(1, 100ms, 0.1, false);
  const TaskReport* r = &b.full().report.tasks.front();
  EXPECT_EQ(*r->cpu_looks_again_at, b.now + 100ms);
  EXPECT_GE(*r->memory_probes_again_at, *r->memory_looks_again_at);
  repeat(b.now, 60, b.state.tasks.at(kTask).cpu.writes);
  r = &b.full().report.tasks.front();
  EXPECT_EQ(*r->cpu_looks_again_at, b.now - 100ms + kBudgetWindow);
  b.commands.emplace_back(SuspendCommand{"t1", "maintenance"});
  r = &b.full().report.tasks.front();
  EXPECT_FALSE(r->cpu_looks_again_at);
  EXPECT_FALSE(r->memory_probes_again_at);
}

TEST(NextLook, KnowsOfTheWritesOfItsOwnTick) {
  auto config = one_task_config();
  config.tasks[0].policy.cpu.initial_cores = 2;
  config.tasks[0].policy.cpu.writes_per_minute = 1;
  Bench b(config);
  b.add(1);
  ASSERT_TRUE(write_to(b.full().plan, Knob::cpu_max));
  const TaskReport& row = b.last.report.tasks.front();
  EXPECT_EQ(row.writes_last_minute, 1U);
  EXPECT_EQ(*row.cpu_looks_again_at, b.now + kBudgetWindow) << "the budget is spent now";
}

}  // namespace
}  // namespace sluice::testing
