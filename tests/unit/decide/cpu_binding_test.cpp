// How long the limit counts as throttling, and what is learned about threads and surges meanwhile.
#include "tests/unit/decide/cpu_task.hpp"

namespace sluice::testing {
namespace {

class CpuBinding : public ::testing::Test {
 protected:
  double age() const { return longest_wait_seconds(task.in.now, task.state); }
  // Learns quotas that sufficed for surges, one after another.
  double sufficed(std::initializer_list<double> quotas) {
    for (const double quota : quotas) {
      task.in.quota_cores = 0.5;
      task.look(0.5, true);
      task.bound_for(500ms);
      task.write(quota, Rule::cpu_throttled);
      task.look(0.1);
      task.look(0.1);
    }
    return task.state.surge_cores;
  }

  CpuTask task{0.5};
};

TEST_F(CpuBinding, BeginsWithTheIntervalOfTheFirstThrottle) {
  task.look(0.5, true, 300ms);
  EXPECT_NEAR(age(), 0.3, 1e-9);
  task.look(0.5, true);
  EXPECT_NEAR(age(), 0.4, 1e-9);
}

TEST_F(CpuBinding, BeginsWithAnEventWhereOneTellsIt) {
  task.look(0.3);
  task.in.throttled_at = task.in.now + 20ms;
  task.event(30ms);
  EXPECT_NEAR(age(), 0.01, 1e-9);
  task.in.throttled_at = task.in.now + 5ms;
  task.event(10ms);
  EXPECT_NEAR(age(), 0.02, 1e-9) << "it has not been free since";
}

TEST_F(CpuBinding, EndsWithAFreePeriod) {
  task.look(0.5, true);
  task.look(0.4);
  EXPECT_EQ(age(), 0);
}

TEST_F(CpuBinding, DoesNotEndInATickThatBringsAThrottle) {
  task.look(0.5, true);
  task.in.throttled_at = task.in.now + 90ms;
  task.look(0.4);
  EXPECT_NEAR(age(), 0.2, 1e-9);
}

TEST_F(CpuBinding, DoesNotEndInTheIntervalThatARaiseCutsInTwo) {
  task.look(0.5, true);
  task.event(50ms);
  task.write(1, Rule::cpu_throttled);
  task.in.now -= 50ms;  // the interval of the next sample began before the raise
  task.look(0.5);
  EXPECT_GT(age(), 0.15);
  task.look(0.5);
  EXPECT_EQ(age(), 0);
}

TEST_F(CpuBinding, DoesNotEndWhileTheTaskRunsOnAllThereIs) {
  task.look(0.5, true);
  task.in.quota_cores = 4;
  task.look(3.9);
  EXPECT_GT(age(), 0.15);
  task.in.node_cores = 2;
  task.look(1.95);
  EXPECT_GT(age(), 0.25);
  task.look(1.5);
  EXPECT_EQ(age(), 0);
}

TEST_F(CpuBinding, EndsWithTheLimit) {
  task.look(0.5, true);
  task.in.quota_cores = kUnlimited;
  task.look(2, false, 40ms);
  ASSERT_EQ(*task.seen.periods, 0U) << "they are not counted without a limit";
  EXPECT_EQ(age(), 0);
}

TEST_F(CpuBinding, EndsWhereNoPeriodWasCountedOnlyIfTheTaskIsIdle) {
  task.look(0.5, true);
  task.look(0.5, false, 40ms);  // no period ended in it
  ASSERT_EQ(*task.seen.periods, 0U);
  EXPECT_GT(age(), 0.1);
  task.look(0, false, 40ms);
  EXPECT_EQ(age(), 0);
}

TEST_F(CpuBinding, GoesOnWhereTheCountersAreNotThere) {
  task.look(0.4);
  task.in.throttled_at = task.in.now;
  task.event(0ms);
  task.in.signals = &task.seen;
  for (auto* counter : {&task.seen.throttled_periods, &task.seen.periods}) {
    counter->reset();
    task.in.now += 100ms;
    observe_cpu(task.in, task.state);
  }
  EXPECT_NEAR(age(), 0.2, 1e-9);
}

TEST_F(CpuBinding, TellsHowManyPeriodsWereThrottled) {
  task.look(0.5, false, 400ms);
  task.seen.throttled_periods = 1;
  task.in.now += 400ms;
  observe_cpu(task.in, task.state);
  EXPECT_EQ(task.state.last_throttled_ratio, 0.25);
  task.look(0, false, 40ms);
  EXPECT_EQ(task.state.last_throttled_ratio, 0);
}

TEST_F(CpuBinding, IsOfWhatCameAfterTheLastRest) {
  for (int i = 0; i < 5; ++i) task.look(0.5, true);
  task.seen.idle_until = task.in.now + 60ms;
  task.look(0.5, true);
  EXPECT_NEAR(age(), 0.04, 1e-9);
  task.look(0.5, true);
  EXPECT_NEAR(age(), 0.14, 1e-9) << "that rest again is no news";
}

TEST_F(CpuBinding, ARestBeforeItBeganSaysNothing) {
  task.seen.idle_until = task.in.now - 10s;
  task.look(0.5, true);
  task.look(0.5, true);
  EXPECT_NEAR(age(), 0.2, 1e-9);
}

TEST_F(CpuBinding, ARestIsTakenFromAnEventAsWell) {
  task.look(0.5, true);
  task.look_for(10s, 0.3);
  task.in.throttled_at = task.in.now;
  task.event();
  task.in.idle_until = task.in.now + 60ms;
  task.event(100ms);
  EXPECT_NEAR(age(), 0.04, 1e-9);
}

TEST_F(CpuBinding, WithARestAFloodIsOverAndSufficed) {
  task.look(0.5, true);
  task.bound_for(500ms);
  task.write(2, Rule::cpu_throttled);
  ASSERT_GT(task.state.stage, 0);
  task.seen.idle_until = task.in.now + 60ms;
  task.look(0.5, true);
  EXPECT_EQ(task.state.stage, 0);
  EXPECT_EQ(task.state.surge_cores, 2);
}

// It has idle time although its limit was not free for long: its backlog is elsewhere.
TEST_F(CpuBinding, RestThatLiesIsDisbelievedForLongerEachTimeAndForADayAtMost) {
  const auto disbelieved = [&] {
    task.bound_for(10s);
    task.in.now = std::max(task.in.now, task.state.idle_distrusted_until);
    task.seen.idle_until = task.in.now + 60ms;
    task.look(0.5, true);
    return std::chrono::duration<double>(task.state.idle_distrusted_until - task.in.now).count();
  };
  EXPECT_NEAR(disbelieved(), 600, 1);
  EXPECT_NEAR(disbelieved(), 1200, 1);
  EXPECT_NEAR(disbelieved(), 2400, 1);
  for (int i = 0; i < 10; ++i) disbelieved();
  EXPECT_NEAR(disbelieved(), 86400, 1);
}

TEST_F(CpuBinding, RestIsBelievedForLongerWhereMaxDelayIsLong) {
  task.in.max_delay_seconds = 10;
  task.bound_for(20s);
  task.seen.idle_until = task.in.now + 60ms;
  task.look(0.5, true);
  EXPECT_LT(age(), 0.1);
  task.bound_for(31s);
  task.seen.idle_until = task.in.now + 60ms;
  task.look(0.5, true);
  EXPECT_GT(age(), 31);
}

TEST_F(CpuBinding, RestIsBelievedForThreeSecondsHoweverShortMaxDelay) {
  task.in.max_delay_seconds = 0.1;
  task.bound_for(2s);
  task.seen.idle_until = task.in.now + 60ms;
  task.look(0.5, true);
  EXPECT_LT(age(), 0.1);
}

TEST_F(CpuBinding, WhatSufficedMovesALittleUpAndMoreDown) {
  EXPECT_EQ(sufficed({2}), 2);
  const double up = sufficed({4});
  EXPECT_GT(up, 2.1);
  EXPECT_LT(up, 2.5);
  const double down = sufficed({up / 2});
  EXPECT_LT(down, 0.9 * up);
  EXPECT_GT(down, 0.7 * up);
}

TEST_F(CpuBinding, WithoutALimitNothingIsLearnedOfWhatSuffices) {
  task.look(0.5, true);
  task.bound_for(500ms);
  task.write(2, Rule::cpu_throttled);
  task.in.quota_cores = kUnlimited;
  task.look(1);
  EXPECT_EQ(task.state.surge_cores, 0);
  EXPECT_EQ(task.state.stage, 0);
}

TEST_F(CpuBinding, ThreadsAreThoseOfLate) {
  task.seen.runnable_threads = 4;
  task.look(0.5);
  EXPECT_TRUE(all_threads_busy(task.state));
  task.seen.runnable_threads = 1;
  task.look(0.5);
  EXPECT_FALSE(all_threads_busy(task.state));
  task.seen.runnable_threads.reset();
  task.look(0.5);
  EXPECT_EQ(task.state.threads_now, 1) << "the last that is known";
  task.seen.runnable_threads = 1;
  task.look_for(5min, 0.5);
  EXPECT_TRUE(all_threads_busy(task.state)) << "the other three are gone";
}

TEST_F(CpuBinding, AnEventCountsThreadsTheTickDidNotSee) {
  task.seen.runnable_threads = 2;
  task.look(0.5);
  task.in.runnable_threads = 5;
  task.event();
  EXPECT_EQ(task.state.threads_most, 5);
  EXPECT_TRUE(all_threads_busy(task.state));
  task.in.runnable_threads = 2;
  task.event();
  EXPECT_EQ(task.state.threads_most, 5);
  EXPECT_FALSE(all_threads_busy(task.state));
  task.event();
  EXPECT_EQ(task.state.threads_now, 2) << "one that tells nothing changes nothing";
}

// The mean arrival that a cut goes to.
TEST(CpuArrivals, OnKernelSignalsALullOfLessThanMaxDelayIsNotTheLoad) {
  const auto mean_after_lull = [](double max_delay_seconds, Nsec lull) {
    CpuTask task(4);
    task.in.max_delay_seconds = max_delay_seconds;
    task.look_for(30s, 2);
    task.look_for(lull, 0.5);
    return task.wants().reason.demand_cores;
  };
  EXPECT_GT(mean_after_lull(10, 5s), 1);
  EXPECT_NEAR(mean_after_lull(10, 11s), 0.5, 1e-6);
  EXPECT_GT(mean_after_lull(0.1, 1s), 0.8);
  EXPECT_NEAR(mean_after_lull(0.1, 2s), 0.5, 1e-6);
  EXPECT_NEAR(mean_after_lull(1, 2s), 0.5, 1e-6);
}

TEST(CpuArrivals, WithABacklogToSteerByTheyAreOfHalfOfThat) {
  const auto remembered = [](double max_delay_seconds) {
    CpuTask task(4);
    task.in.max_delay_seconds = max_delay_seconds;
    for (int i = 0; i < 300; ++i) {
      task.report_backlog(0);
      task.look(1);
    }
    return std::chrono::duration<double>(task.in.now - task.state.arrivals.front().at).count();
  };
  EXPECT_NEAR(remembered(10), 5, 0.11);
  EXPECT_NEAR(remembered(2), 1, 0.11);
  EXPECT_NEAR(remembered(0.1), 0.45, 0.11);
}

}  // namespace
}  // namespace sluice::testing
