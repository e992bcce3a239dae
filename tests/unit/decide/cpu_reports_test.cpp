// How the controller uses a task's own load reports.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "tests/unit/decide/cpu_task.hpp"

namespace sluice::testing {
namespace {

double sum_of_waiting(const CpuState& s) {
  double sum = 0;
  for (const auto& c : s.waiting) sum += c.cpu_seconds;
  return sum;
}

double wait(const CpuTask& task) {
  return longest_wait_seconds(task.in.now, task.state);
}

class CpuReports : public ::testing::Test {
 protected:
  CpuTask task{1};
};

TEST_F(CpuReports, WhatCameFirstIsServedFirst) {
  task.report_backlog(1);
  task.look(0);
  for (int i = 0; i < 5; ++i) {
    task.report_backlog(1);
    task.look(0);
  }
  task.report_backlog(2);
  task.look(0);
  EXPECT_NEAR(wait(task), 0.6, 1e-9);
  for (int i = 9; i >= 0; --i) {
    task.report_backlog(1 + i * 0.1);
    task.look(1);
  }
  EXPECT_NEAR(wait(task), 1, 1e-9) << "the half that came 0.6 s later is left";
}

TEST_F(CpuReports, AQueueThatMovesIsAsOldAsItIsLong) {
  for (int i = 0; i < 200; ++i) {
    task.report_backlog(0.25);  // a core's worth arrives, and a core's worth is done
    task.look(1);
  }
  EXPECT_GE(wait(task), 0.15);
  EXPECT_LE(wait(task), 0.35);
}

RC_GTEST_PROP(CpuCohorts, CohortsSumUpToWhatWaitsAndAreInOrder, ()) {
  CpuTask task(1);
  for (int i = 0; i < 60; ++i) {
    task.report_backlog(*rc::gen::inRange(0, 300) / 100.0);
    task.look(*rc::gen::inRange(0, 200) / 100.0);
    RC_ASSERT(std::abs(sum_of_waiting(task.state) - task.state.backlog_cpu_seconds) < 1e-6);
    MonotonicTime before{};
    for (const auto& c : task.state.waiting) {
      RC_ASSERT(c.cpu_seconds > 0);
      RC_ASSERT(c.arrived >= before && c.arrived <= task.in.now);
      before = c.arrived;
    }
    for (const auto& a : task.state.arrivals) RC_ASSERT(a.cores >= 0);
  }
}

TEST_F(CpuReports, OfAVeryLongQueueTheOldestAreToldApart) {
  for (int i = 1; i <= 1000; ++i) {
    task.report_backlog(i);
    task.look(0);
  }
  EXPECT_LE(task.state.waiting.size(), 256U);
  EXPECT_NEAR(sum_of_waiting(task.state), 1000, 1e-6);
  EXPECT_NEAR(wait(task), 99.9, 1e-6);
}

TEST_F(CpuReports, ATaskMayTellHowOldItsOldestIs) {
  LoadReport load;
  load.backlog_cpu_seconds = 1;
  load.oldest_age_seconds = 0.4;
  task.report(load);
  task.look(0);
  EXPECT_NEAR(wait(task), 0.4, 1e-9);
  load.oldest_age_seconds = 0.1;
  task.report(load);
  task.look(0);
  EXPECT_NEAR(wait(task), 0.5, 1e-9) << "it cannot have become younger";
  load.oldest_age_seconds = -5;
  task.report(load);
  task.look(0);
  EXPECT_NEAR(wait(task), 0.6, 1e-9);
  load.oldest_age_seconds = 1e300;
  task.report(load);
  task.look(0);
  EXPECT_NEAR(wait(task), 86400, 1);
  load.backlog_cpu_seconds = 0;
  task.report(load);
  task.look(0);
  EXPECT_EQ(wait(task), 0) << "nothing waits";
}

TEST_F(CpuReports, AnAgeWithNothingWaitingIsNone) {
  LoadReport load;
  load.backlog_cpu_seconds = 0;
  load.oldest_age_seconds = 5;
  task.report(load);
  task.look(0.5);
  EXPECT_EQ(wait(task), 0);
}

TEST_F(CpuReports, OfWhatAReportSaysIsForgottenInHalfOfMaxDelay) {
  task.in.max_delay_seconds = 2;
  task.report_backlog(1);
  task.look(0.5);
  task.look_for(900ms, 0.5);
  EXPECT_TRUE(task.state.backlog_known);
  task.look_for(300ms, 0.5);
  EXPECT_FALSE(task.state.backlog_known) << "it comes too seldom for the deadline";
  EXPECT_EQ(task.state.backlog_cpu_seconds, 0);
  EXPECT_TRUE(task.state.waiting.empty());
  EXPECT_EQ(wait(task), 0);
}

TEST_F(CpuReports, AreBelievedForAFewLooksHoweverShortMaxDelay) {
  task.in.max_delay_seconds = 0.1;
  task.report_backlog(1);
  task.look(0.5);
  task.look_for(200ms, 0.5);
  EXPECT_TRUE(task.state.backlog_known);
  task.look_for(200ms, 0.5);
  EXPECT_FALSE(task.state.backlog_known);
}

TEST_F(CpuReports, AreForgottenWhenTheyExpire) {
  task.report_backlog(1);
  task.look(0.5);
  task.in.load_valid = false;
  task.look(0.5);
  EXPECT_FALSE(task.state.backlog_known);
}

TEST_F(CpuReports, WhatWaitedBeforeAGapIsNotWhatWaitsAfterIt) {
  task.state.runnable_threads = 4;
  task.state.cost_cpu_seconds_per_record = 0.1;
  task.report_backlog(3);
  task.look(0.5);
  EXPECT_GT(task.state.in_service_cpu_seconds, 0);
  task.in.load_valid = false;
  task.look(0.5);
  EXPECT_EQ(task.state.in_service_cpu_seconds, 0);
  task.look_for(10s, 0.5);
  task.report_backlog(1);
  task.look(0.5);
  EXPECT_EQ(wait(task), 0);
  EXPECT_NEAR(sum_of_waiting(task.state), 1, 1e-9);
}

TEST_F(CpuReports, GoBeforeWhatTheSocketsShow) {
  task.sockets(3, 1);
  task.look(0.5);
  EXPECT_NEAR(task.state.backlog_cpu_seconds, 3, 1e-9);
  task.report_backlog(0.5);
  task.look(0.5);
  task.look(0.5);
  EXPECT_NEAR(task.state.backlog_cpu_seconds, 0.5, 1e-9);
}

TEST_F(CpuReports, TwoAtOneMomentDoNoHarm) {
  task.report_backlog(1);
  task.look(0.5);
  task.report_backlog(1.2);
  task.event(0ms);
  task.report_backlog(1.2);
  task.look(0.5);
  for (const auto& a : task.state.arrivals) EXPECT_LT(a.cores, 10);
  EXPECT_LT(task.wants().value, 10);
}

TEST_F(CpuReports, ArrivalsAreWhatTheBacklogGrewAndWhatWasDone) {
  for (int i = 0; i < 10; ++i) {
    task.report_backlog(1 + 0.1 * i);
    task.look(0.5);
  }
  EXPECT_NEAR(task.state.arrivals.back().cores, 1.5, 1e-6);
  task.look(0.8);
  task.report_backlog(1.9);
  task.look(0.2);
  EXPECT_NEAR(task.state.arrivals.back().cores, 0.5, 1e-6) << "over both looks";
}

TEST_F(CpuReports, OnOneThatIsHeardBetweenTwoLooksARaiseFollowsAtOnce) {
  task.look(0.5);
  task.report_backlog(2);
  task.event();
  EXPECT_EQ(task.wants().reason.rule, Rule::cpu_deadline);
}

// Learns the cost of a record from CPU time and finished records.
class CpuCost : public CpuReports {
 protected:
  void finishes(double records, double cpu_seconds, double lag = 0) {
    processed += records;
    LoadReport load;
    load.processed = processed;
    load.lag = lag;
    task.report(load);
    task.look(cpu_seconds / 0.1);
  }
  double cost() const { return task.state.cost_cpu_seconds_per_record.value_or(-1); }

  double processed = 0;
};

TEST_F(CpuCost, IsOfWhatWasUsedSinceTheFirstReport) {
  task.look_for(60s, 1);
  finishes(1000, 0.1);
  EXPECT_EQ(cost(), -1);
  finishes(10, 0.05);
  EXPECT_NEAR(cost(), 0.005, 1e-9);
}

TEST_F(CpuCost, FollowsWorkThatBecomesDearer) {
  for (int i = 0; i < 3; ++i) finishes(10, 0.05);
  for (int i = 0; i < 20; ++i) finishes(10, 0.1);
  EXPECT_NEAR(cost(), 0.01, 0.0005);
}

TEST_F(CpuCost, OneDearReportMovesItAPart) {
  for (int i = 0; i < 3; ++i) finishes(10, 0.05);
  finishes(10, 0.1);
  EXPECT_GT(cost(), 0.0055);
  EXPECT_LT(cost(), 0.0075);
}

TEST_F(CpuCost, FewRecordsSayNothingAlone) {
  for (int i = 0; i < 3; ++i) finishes(10, 0.05);
  finishes(0, 0.1);
  EXPECT_NEAR(cost(), 0.005, 1e-9);
  finishes(4, 0.1);
  EXPECT_NEAR(cost(), 0.005, 1e-9);
  finishes(16, 0.1);
  EXPECT_NEAR(cost(), 0.005 + 0.3 * (0.3 / 20 - 0.005), 1e-6) << "with the next ones they count";
}

TEST_F(CpuCost, OfATaskThatCountsFromZeroAgainStaysSane) {
  for (int i = 0; i < 10; ++i) finishes(10, 0.05);
  processed = 0;  // restarted
  for (int i = 0; i < 15; ++i) {
    finishes(10, 0.05);
    EXPECT_NEAR(cost(), 0.005, 1e-6);
  }
}

TEST_F(CpuCost, AReportWithoutACountTeachesNothing) {
  for (int i = 0; i < 3; ++i) finishes(10, 0.05);
  LoadReport load;
  load.lag = 20;
  for (int i = 0; i < 3; ++i) {
    task.report(load);
    task.look(3);
  }
  EXPECT_NEAR(cost(), 0.005, 1e-9);
  EXPECT_NEAR(task.state.backlog_cpu_seconds, 0.1, 1e-9) << "and its lag counts all the same";
  finishes(90, 0);
  EXPECT_NEAR(cost(), 0.005 + 0.3 * (0.9 / 90 - 0.005), 1e-6) << "the next count is of all since the last";
}

TEST_F(CpuCost, MakesWorkOfALagAndNoneIsMadeBefore) {
  finishes(10, 0.05, 1000);
  EXPECT_FALSE(task.state.backlog_known) << "records of an unknown cost";
  finishes(10, 0.05, 1000);
  EXPECT_NEAR(task.state.backlog_cpu_seconds, 5, 1e-6);
}

TEST_F(CpuCost, MakesNoBacklogOfACountAlone) {
  for (int i = 0; i < 3; ++i) finishes(10, 0.05);
  task.in.load_valid = false;
  task.look(0.5);
  LoadReport load;
  load.processed = processed + 10;
  task.report(load);
  task.look(0.5);
  EXPECT_FALSE(task.state.backlog_known);
}

TEST_F(CpuCost, IsNotAskedWhereTheTaskTellsItsWork) {
  for (int i = 0; i < 3; ++i) finishes(10, 0.05);
  LoadReport load;
  load.lag = 1000;
  load.backlog_cpu_seconds = 0.2;
  task.report(load);
  task.look(0.5);
  EXPECT_NEAR(task.state.backlog_cpu_seconds, 0.2, 1e-9);
}

TEST_F(CpuCost, OfEachThreadsRecordIsInService) {
  task.seen.runnable_threads = 4;
  for (int i = 0; i < 3; ++i) finishes(10, 0.05, 1000);
  EXPECT_NEAR(task.state.in_service_cpu_seconds, 4 * 0.005, 1e-6);
  finishes(10, 0.05, 2);
  EXPECT_NEAR(task.state.in_service_cpu_seconds, 2 * 0.005, 1e-6) << "no more than waits";
}

}  // namespace
}  // namespace sluice::testing
