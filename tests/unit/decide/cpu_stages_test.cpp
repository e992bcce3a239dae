// Raises by kernel signals alone: how far, depending on how long the limit throttled.
#include <vector>

#include "tests/unit/decide/cpu_task.hpp"

namespace sluice::testing {
namespace {

// The value wanted after the limit throttled for this share of max_delay; the quota if nothing is wanted.
double wanted_at(double share, double max_delay_seconds = 1, bool memory_stalled = false) {
  CpuTask task(0.1);
  task.in.max_cores = task.in.node_cores = 100;
  task.in.max_delay_seconds = max_delay_seconds;
  task.in.memory_stalled = memory_stalled;
  const auto age = std::chrono::duration<double>(share * max_delay_seconds);
  task.bound_for(std::chrono::duration_cast<Nsec>(age));
  const Intent intent = task.wants();
  return intent.changes() ? intent.value : task.in.quota_cores;
}

TEST(CpuStages, ABindingLimitCostsNothingForAQuarterOfMaxDelay) {
  EXPECT_EQ(wanted_at(0), 0.1);
  EXPECT_EQ(wanted_at(0.25), 0.1);
}

TEST(CpuStages, ThreeRaisesComeBeforeTheLastAndEachIsAsMuchAgain) {
  std::vector<double> wanted{0.1}, when;
  for (double share = 0; share < 0.85; share += 0.01) {
    const double now = wanted_at(share);
    if (now == wanted.back()) continue;
    wanted.push_back(now);
    when.push_back(share);
  }
  ASSERT_EQ(wanted.size(), 4U);
  EXPECT_LT(when[0], 0.4);
  EXPECT_GT(when[1], 0.45);
  EXPECT_GT(when[2], 0.6);
  EXPECT_LT(when[2], 0.75);
  for (std::size_t i = 1; i < wanted.size(); ++i) {
    EXPECT_GT(wanted[i], 2 * wanted[i - 1]) << "of a range of a thousand";
    EXPECT_LT(wanted[i], 6 * wanted[i - 1]);
  }
}

TEST(CpuStages, TheLastGoesToTheBoundWhileTheDeadlineCanBeKept) {
  EXPECT_LT(wanted_at(0.8), 30);
  EXPECT_EQ(wanted_at(0.92), 100);
  EXPECT_EQ(wanted_at(5), 100);
}

TEST(CpuStages, WithADeadlineOfAboutAPeriodThereIsNoLaterLook) {
  EXPECT_EQ(wanted_at(0, 0.1), 100);
  EXPECT_GT(wanted_at(0, 0.2), 0.2) << "one more, perhaps";
  EXPECT_LT(wanted_at(0, 0.2), 50);
  EXPECT_LT(wanted_at(0.1, 0.3), 1) << "there are two more";
}

TEST(CpuStages, WhereMemoryIsTheCureOnlyTheDeadlineRaises) {
  EXPECT_EQ(wanted_at(0.8, 1, true), 0.1);
  EXPECT_EQ(wanted_at(0.95, 1, true), 100) << "it may have been wrong";
}

TEST(CpuStages, NoMoreThanTheNodeHas) {
  CpuTask task(0.1);
  task.in.max_cores = 100;
  task.in.node_cores = 2;
  task.bound_for(950ms);
  EXPECT_EQ(task.wants().value, 2);
}

TEST(CpuStages, EachIsTakenOnce) {
  CpuTask task;
  task.in.max_delay_seconds = 10;
  task.bound_for(3s);
  ASSERT_TRUE(task.obey());
  for (Nsec t{}; t < 1800ms; t += 100ms) {
    task.event(100ms);
    EXPECT_FALSE(task.wants().changes()) << "the next is due later";
  }
}

// The node gave less than asked for, so the last raise is repeated, but not in every tick.
TEST(CpuStages, TheLastIsAskedForAgainInAShareOfMaxDelay) {
  CpuTask task;
  task.in.max_delay_seconds = 10;
  task.bound_for(9500ms);
  ASSERT_EQ(task.wants().value, 4);
  task.write(1, Rule::cpu_throttled);
  task.event(1s);
  EXPECT_FALSE(task.wants().changes());
  task.event(1s);
  EXPECT_EQ(task.wants().value, 4);
}

TEST(CpuStages, ARaiseThatNoBindingAskedForTakesNoneBack) {
  CpuTask task;
  task.bound_for(500ms);
  ASSERT_TRUE(task.obey());
  task.in.memory_stalled = true;
  task.write(1.1 * task.in.quota_cores, Rule::forecast);
  task.in.memory_stalled = false;
  EXPECT_FALSE(task.wants().changes());
}

TEST(CpuStages, ARaiseIsEnoughForWhatArrived) {
  CpuTask task;
  task.state.arrivals.push_back({task.in.now, 1, 1.5});  // before a cut
  task.bound_for(350ms);
  EXPECT_EQ(task.wants().reason.rule, Rule::cpu_throttled);
  EXPECT_GT(task.wants().value, 1.5);
  EXPECT_LT(task.wants().value, 2);
}

TEST(CpuStages, WhatSufficedLatelyStaysWithinWhatTheThreadsCanUse) {
  CpuTask task;
  task.state.surge_cores = 6;
  task.bound_for(350ms);
  EXPECT_EQ(task.wants().reason.rule, Rule::cpu_throttled);
  EXPECT_GT(task.wants().value, 3);
  task.state.threads_most = task.state.threads_now = 1;
  EXPECT_LT(task.wants().value, 1.5);
}

// The value wanted if this many of four threads are runnable; the deadline is near.
double wanted_by_busy(double threads, double quota = 0.5) {
  CpuTask task(quota);
  task.in.max_cores = 8;
  task.state.threads_most = 4;
  task.state.threads_now = threads;
  task.bound_for(950ms);
  return task.wants().value;
}

TEST(CpuStages, NoMoreCoresThanThreadsThatWantToRun) {
  EXPECT_EQ(wanted_by_busy(3), 3);
  EXPECT_EQ(wanted_by_busy(2), 2);
  EXPECT_EQ(wanted_by_busy(0), 1) << "a core for the one that will";
  EXPECT_EQ(wanted_by_busy(4), 5) << "when all of them do there may be one that no sample saw";
}

TEST(CpuStages, ALimitThatBindsIsRaisedHoweverFewThreadsWereSeen) {
  EXPECT_GT(wanted_by_busy(1, 2), 2);
  EXPECT_LT(wanted_by_busy(1, 2), 2.5);
}

TEST(CpuStages, ThreadsThatNobodyCountedBoundNothing) {
  CpuTask task;
  task.in.max_cores = 8;
  task.bound_for(950ms);
  EXPECT_EQ(task.wants().value, 8);
}

TEST(CpuStages, ADecisionTellsWhatTheTaskWouldHaveUsed) {
  CpuTask task;
  task.seen.throttled_cores = 1.25;
  task.look(0.5, true);
  task.bound_for(500ms);
  EXPECT_EQ(task.wants().reason.demand_cores, 1.75);
  task.state.last_throttled_cores = 100;
  EXPECT_EQ(task.wants().reason.demand_cores, 8) << "the node has no more";
  task.seen.throttled_cores.reset();
  task.look(0.1, true);
  EXPECT_EQ(task.wants().reason.demand_cores, 0.5) << "its quota at least, for it is bound by it";
}

// The quota was used up since the last write, but no signal shows a backlog.
class UsedUp : public ::testing::Test {
 protected:
  UsedUp() {
    task.look(0.2);
    task.state.surplus_core_seconds = 50;  // a long time with surplus quota
    task.state.saving_core_seconds = 50;
    task.write(0.5, Rule::cpu_surplus);
    // Some free periods, as in a task that waits for replies.
    for (int i = 0; i < 50; ++i) task.look(0.5, i % 2 == 0);
    task.look(0.5, true);
  }
  CpuTask task{1};
};

TEST_F(UsedUp, IsTooSmallAQuota) {
  EXPECT_EQ(task.wants().reason.rule, Rule::cpu_throttled);
  EXPECT_DOUBLE_EQ(task.wants().value, 1) << "nothing tells how far: twice";
}

TEST_F(UsedUp, IsNoSignWhereMemoryIsTheCure) {
  task.in.memory_stalled = true;
  EXPECT_FALSE(task.wants().changes());
}

TEST_F(UsedUp, IsRaisedToWhatTheThreadsCanUse) {
  task.in.quota_cores = 0.9;
  task.state.threads_most = task.state.threads_now = 1;
  EXPECT_DOUBLE_EQ(task.wants().value, 1.25);
}

TEST_F(UsedUp, IsNoSignWhereAStepMoreWouldBeOfNoUse) {
  task.in.quota_cores = task.in.step_cores = 1;
  task.state.threads_most = task.state.threads_now = 1;
  EXPECT_FALSE(task.wants().changes());
}

TEST_F(UsedUp, IsNoSignWhereSomeIsLeft) {
  task.state.surplus_core_seconds = 0.2;  // in five seconds
  EXPECT_FALSE(task.wants().changes());
}

TEST_F(UsedUp, IsNoSignWhereTheTaskTellsWhatWaits) {
  task.report_backlog(0);
  task.look(0.5, true);
  EXPECT_FALSE(task.wants().changes());
}

TEST_F(UsedUp, IsNoSignWhereSocketsOftenShowWhatWaits) {
  task.state.unread_share = 0.5;
  EXPECT_FALSE(task.wants().changes());
}

TEST_F(UsedUp, IsOneWhereNearlyNothingIsLeft) {
  task.state.surplus_core_seconds = 0.05;  // in five seconds
  EXPECT_TRUE(task.wants().changes());
}

TEST_F(UsedUp, CountsFromTheLastWrite) {
  for (const double quota : {0.4, 0.6}) {
    task.write(quota, Rule::cpu_throttled);
    task.look(quota, false);
    task.look(quota, true);
    EXPECT_FALSE(task.wants().changes()) << "two looks";
  }
}

}  // namespace
}  // namespace sluice::testing
