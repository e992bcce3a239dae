#include <gtest/gtest.h>

#include <deque>

#include "tests/unit/policy_inputs.hpp"

namespace sluice::testing {
namespace {

// Ticks until the quota changes; returns the time that took.
Nsec until_change(Bench& b, double usage, bool throttled, double throttled_cores, Nsec limit) {
  const double before = b.quota();
  Nsec t{};
  while (t < limit && b.quota() == before) {
    b.run_cpu(1, 100ms, usage, throttled, throttled_cores);
    b.full();
    t += 100ms;
  }
  return t;
}

TEST(Cpu, AThrottledTaskIsRaisedBeforeItsDeadlineNotAtItsFirstThrottle) {
  Bench b;
  b.add(1, cores(0.2));
  b.full();
  b.full();
  const Nsec first = until_change(b, 0.2, true, 0.8, 5s);
  EXPECT_GT(first, 200ms) << "throttling that costs no deadline is no reason to raise";
  EXPECT_LT(b.quota(), 1.0) << "a little first";
  Nsec t = first;
  while (b.quota() < 1.0 && t < 5s) t += until_change(b, b.quota(), true, 0.8, 5s);
  EXPECT_LE(t, 1s) << "max_delay is 1 s";
}

TEST(Cpu, WithATightDeadlineTheFirstThrottleEventRaisesAtOnce) {
  auto config = one_task_config();
  config.tasks[0].policy.max_delay = 100ms;
  Bench b(config);
  b.add(1, cores(0.2));
  b.full();
  b.run_cpu(1, 100ms, 0.15, false);
  b.full();
  b.events.push_back({CgroupId{1}, b.now, 0});
  const auto& out = b.event();
  const Write* w = write_to(out.plan, Knob::cpu_max);
  ASSERT_NE(w, nullptr);
  EXPECT_EQ(w->reason.rule, Rule::cpu_throttled);
  EXPECT_EQ(w->caused_at, b.now - 1ms);
  EXPECT_GT(cores_of(std::get<CpuMax>(w->value)), 0.2);
}

TEST(Cpu, AFloodThroughTwoThreadsIsNotGivenTheWholeNode) {
  Bench b;
  b.add(1, cores(0.2));
  b.sample().runnable_threads = 2;
  b.full();
  double most = 0;
  for (int i = 0; i < 30; ++i) {
    const bool limited = b.quota() < 2;
    b.run_cpu(1, 100ms, std::min(2.0, b.quota()), limited, limited ? 0.8 : 0);
    b.full();
    most = std::max(most, b.quota());
  }
  EXPECT_GE(most, 2) << "each may run";
  EXPECT_LT(most, 3) << "the node has more, which they could not use";
}

// A growing backlog, served by one thread as far as samples show.
double quota_for_one_thread(bool binds_all_the_same, double step) {
  auto config = one_task_config();
  config.tasks[0].policy.cpu.step_cores = step;
  Bench b(config);
  b.add(1, cores(0.5));
  b.sample().runnable_threads = 1;
  b.full();
  for (int i = 0; i < 100; ++i) {
    const bool binds = b.quota() < 1 || binds_all_the_same;
    b.run_cpu(1, 100ms, binds ? b.quota() : 1, binds, binds ? 0.5 : 0);
    LoadReport load;
    load.backlog_cpu_seconds = 1 + 0.1 * i;
    b.commands.emplace_back(ReportLoadCommand{"t1", load, b.now + 1s});
    b.full();
  }
  return b.quota();
}

TEST(Cpu, WhatWaitsForOneThreadIsNotGivenCoresThatItCannotUse) {
  EXPECT_GE(quota_for_one_thread(false, 0), 1);
  EXPECT_LE(quota_for_one_thread(false, 0), 1.4);
  EXPECT_EQ(quota_for_one_thread(false, 1), 1);
  EXPECT_GT(quota_for_one_thread(true, 0), 3.5) << "where the limit binds there are threads that nobody saw";
}

TEST(Cpu, OneUnthrottledPeriodStopsTheClock) {
  Bench b;
  b.add(1, cores(0.2));
  b.full();
  for (int i = 0; i < 40; ++i) {  // never throttled for a whole max_delay
    const bool bound = i % 3 != 0;
    b.run_cpu(1, 100ms, bound ? 0.2 : 0.15, bound, bound ? 0.2 : 0);
    b.full();
  }
  EXPECT_DOUBLE_EQ(b.quota(), 0.2);
}

config::Config without_maximum() {
  auto config = one_task_config();
  config.tasks[0].policy.cpu.max_cores.reset();
  return config;
}

TEST(Cpu, AnUnlimitedTaskGetsItsFirstQuotaOnceItHasBeenSeen) {
  Bench b(without_maximum());
  b.add(1);
  b.full();
  const Nsec t = until_change(b, 0.5, false, 0, 5s);
  EXPECT_GE(t, 2s);
  EXPECT_LE(t, 3s);
  EXPECT_GT(b.quota(), 0.5);
  EXPECT_LT(b.quota(), 0.8);
  EXPECT_EQ(rule_of(b.task().cpu), Rule::cpu_unlimited);
}

TEST(Cpu, AnUnlimitedTaskGetsNoQuotaWhileItsBandwidthIsNotKnown) {
  Bench b(without_maximum());
  b.add(1);
  for (int i = 0; i < 100; ++i) {
    b.run_cpu(1, 100ms, 0.5, false);
    const auto counters = std::exchange(b.sample().bandwidth, std::nullopt);
    EXPECT_EQ(write_to(b.full().plan, Knob::cpu_max), nullptr);
    b.sample().bandwidth = counters;
  }
  EXPECT_LT(until_change(b, 0.5, false, 0, 5s), 5s) << "the counters are back";
  EXPECT_EQ(rule_of(b.task().cpu), Rule::cpu_unlimited);
}

TEST(Cpu, ASurplusIsGivenBackAndIdlenessGoesToTheMinimum) {
  Bench b;
  b.add(1, cores(3));
  b.full();
  until_change(b, 1.0, false, 0, 5s);
  EXPECT_LT(b.quota(), 1.5);
  EXPECT_GT(b.quota(), 1.0);
  for (int i = 0; i < 100; ++i) b.full();
  EXPECT_NEAR(b.quota(), 0.05, 0.005) << "within tolerance of the minimum";
}

TEST(Cpu, NothingShrinksOnMissingSignals) {
  Bench b;
  b.add(1, cores(3));
  b.full();
  b.sample().cpu.reset();
  for (int i = 0; i < 100; ++i) b.full();
  EXPECT_DOUBLE_EQ(b.quota(), 3);
  b.sample().cpu = CpuUsage{};
  b.sample().bandwidth.reset();
  for (int i = 0; i < 100; ++i) b.full();
  EXPECT_DOUBLE_EQ(b.quota(), 3);
}

TEST(Cpu, ACutThatProvesWrongIsUndone) {
  Bench b;
  b.add(1, cores(1));
  b.full();
  until_change(b, 0.6, false, 0, 5s);
  ASSERT_LT(b.quota(), 0.8);
  const double cut = b.quota();
  until_change(b, cut, true, 0.2, 3s);
  EXPECT_EQ(rule_of(b.task().cpu), Rule::cpu_undo);
  EXPECT_DOUBLE_EQ(b.quota(), 1);
  EXPECT_GT(b.task().cpu_control.margin, 0.1) << "and the margin is wider";
}

TEST(Cpu, AReportedBacklogIsSizedToItsDeadline) {
  Bench b;
  b.add(1, cores(0.5));
  b.full();
  b.run_cpu(1, 100ms, 0.5, true, 0.1);
  b.full();
  LoadReport load;
  load.backlog_cpu_seconds = 1.0;
  b.commands.push_back(ReportLoadCommand{"t1", load, b.now + 10s});
  const auto& out = b.event();
  const Write* w = write_to(out.plan, Knob::cpu_max);
  ASSERT_NE(w, nullptr);
  EXPECT_EQ(w->reason.rule, Rule::cpu_deadline);
  // 1.1 CPU-seconds within 0.76 s need 1.45 cores, plus some head-room.
  EXPECT_GT(cores_of(std::get<CpuMax>(w->value)), 1.45);
  EXPECT_LT(cores_of(std::get<CpuMax>(w->value)), 2.2);
}

TEST(Cpu, TheCostOfARecordIsLearnedFromLagAndProcessed) {
  Bench b;
  b.add(1, cores(0.5));
  b.full();
  double processed = 0;
  for (int i = 0; i < 20; ++i) {
    b.run_cpu(1, 100ms, 0.5, true, 0.1);
    processed += 10;  // 50 ms of CPU for ten records: 5 ms each
    LoadReport load;
    load.lag = 0;
    load.processed = processed;
    b.commands.push_back(ReportLoadCommand{"t1", load, b.now + 10s});
    b.full();
  }
  ASSERT_TRUE(b.task().cpu_control.cost_cpu_seconds_per_record);
  EXPECT_NEAR(*b.task().cpu_control.cost_cpu_seconds_per_record, 0.005, 0.001);
}

TEST(Cpu, AnExpiredReportIsForgotten) {
  Bench b;
  b.add(1, cores(0.5));
  b.full();
  LoadReport load;
  load.backlog_cpu_seconds = 5;
  b.commands.push_back(ReportLoadCommand{"t1", load, b.now + 200ms});
  b.event();
  b.full();
  EXPECT_TRUE(b.task().load);
  b.full();
  b.full();
  EXPECT_FALSE(b.task().load);
  EXPECT_EQ(b.task().cpu_control.backlog_cpu_seconds, 0);
}

TEST(Cpu, TheWriteBudgetIsHard) {
  auto config = one_task_config();
  config.tasks[0].policy.max_delay = 100ms;
  config.tasks[0].policy.cpu.writes_per_minute = 6;
  Bench b(config);
  b.add(1, cores(0.1));
  b.full();
  std::deque<MonotonicTime> writes;
  std::size_t most = 0;
  for (int i = 0; i < 2000; ++i) {
    // Hostile load: throttled while the quota is low, idle as soon as it is raised.
    const bool burst = (i / 7) % 2 == 0;
    b.run_cpu(1, 100ms, burst ? b.quota() : 0.0, burst, burst ? 1 : 0);
    if (write_to(b.full().plan, Knob::cpu_max)) writes.push_back(b.now);
    while (!writes.empty() && b.now - writes.front() >= 60s) writes.pop_front();
    most = std::max(most, writes.size());
  }
  EXPECT_LE(most, 6U);
  EXPECT_GE(most, 4U) << "the test did not press";
}

}  // namespace
}  // namespace sluice::testing
