// The quota that known backlog requires.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "tests/unit/decide/cpu_task.hpp"

namespace sluice::testing {
namespace {

// The demand of a task with a small quota on a large node and this backlog.
double demand_of(double cpu_seconds, double max_delay_seconds, Nsec age = 0ms) {
  CpuTask task(0.01);
  task.in.max_cores = task.in.node_cores = 1000;
  task.in.max_delay_seconds = max_delay_seconds;
  task.waits(cpu_seconds, age);
  return task.wants().reason.demand_cores;
}

TEST(CpuDeadline, WorkThatJustCameHasNearlyAllOfMaxDelay) {
  EXPECT_GT(demand_of(1, 10), 1.0 / 10);
  EXPECT_LT(demand_of(1, 10), 1.2 / 9);
}

TEST(CpuDeadline, OfAShortMaxDelayATickMustNotTakeNearlyAll) {
  EXPECT_GT(demand_of(1, 0.2), 1 / 0.2);
  EXPECT_LT(demand_of(1, 0.2), 8);
}

TEST(CpuDeadline, WhatHasWaitedHasLessTimeLeft) {
  EXPECT_GT(demand_of(1, 1, 500ms), 2);
  EXPECT_LT(demand_of(1, 1, 500ms), 4);
}

TEST(CpuDeadline, WhatIsLateAlreadyIsServedWithinAPeriod) {
  EXPECT_GT(demand_of(1, 1, 5s), 10);
  EXPECT_LT(demand_of(1, 1, 5s), 50);
}

// In order of arrival and with the quota wanted, all backlog is finished in time and without waste.
RC_GTEST_PROP(CpuDeadline, EveryCohortIsServedInTime, ()) {
  CpuTask task(0.001);
  task.in.max_cores = task.in.node_cores = 1000;
  task.in.max_delay_seconds = *rc::gen::inRange(3, 100) / 10.0;
  const double delay = task.in.max_delay_seconds;
  double age = *rc::gen::inRange(0, 70) / 100.0 * delay;
  double sum = 0, least = 0;
  const int cohorts = *rc::gen::inRange(1, 6);
  for (int i = 0; i < cohorts; ++i) {
    const double work = *rc::gen::inRange(1, 100) / 50.0;
    task.waits(work, std::chrono::duration_cast<Nsec>(std::chrono::duration<double>(age)));
    sum += work;
    least = std::max(least, sum / (delay - age));
    age *= *rc::gen::inRange(0, 100) / 100.0;
  }
  const Intent intent = task.wants();
  RC_ASSERT(intent.reason.rule == Rule::cpu_deadline);
  RC_ASSERT(intent.reason.demand_cores >= least);
  RC_ASSERT(intent.value >= intent.reason.demand_cores);
  // In the worst case 8 % of max_delay are left of 30 %.
  RC_ASSERT(intent.reason.demand_cores <= 1.1 * least * 0.3 / 0.08 + 1e-6);
}

TEST(CpuDeadline, WhatIsServedTogetherEndsTogetherAndLate) {
  CpuTask fifo(0.1), shared(0.1);
  fifo.waits(0.5);
  shared.waits(0.5);
  shared.state.in_service_cpu_seconds = 0.5;
  EXPECT_GT(shared.wants().reason.demand_cores, 1.3 * fifo.wants().reason.demand_cores);
}

// Work that was read and is in service, with nothing unread. Its age is unknown: it arrived some time after
// the task last had nothing to run.
class LastOnes : public ::testing::Test {
 protected:
  LastOnes() {
    task.in.max_cores = task.in.node_cores = 100;
    task.in.max_delay_seconds = 0.4;
    task.waits(0.05);
    task.state.in_service_cpu_seconds = 0.05;
    unbound = demand();
    task.bound_for(200ms);
  }
  double demand() const { return task.wants().reason.demand_cores; }

  CpuTask task{0.02};
  double unbound = 0;
};

TEST_F(LastOnes, AreTakenToBeAsOldAsTheBindingWhereLooksAreFew) {
  EXPECT_GT(demand(), 1.2 * unbound);
  EXPECT_LT(demand(), 2.5 * unbound);
  task.bound_for(0s);
  EXPECT_EQ(demand(), unbound) << "never younger than it is known to be";
  task.bound_for(10s);
  EXPECT_GT(demand(), 0.05 / 0.1);
  EXPECT_LT(demand(), 0.05 / 0.04);
}

TEST_F(LastOnes, AreNotLastWhileOthersWaitBehindThem) {
  task.state.backlog_cpu_seconds = 0.2;
  EXPECT_EQ(demand(), unbound);
}

TEST_F(LastOnes, HaveTheAgeThatATaskReports) {
  task.in.load_valid = true;
  EXPECT_EQ(demand(), unbound);
}

TEST_F(LastOnes, AreSeenInTimeWhereLooksAreMany) {
  task.in.max_delay_seconds = 1;
  task.bound_for(700ms);
  const double with = demand();
  task.state.oldest_wait_since.reset();
  EXPECT_EQ(with, demand());
}

TEST(CpuDeadline, ARaiseGoesBeyondTheNeedTheMoreOfTheBudgetIsSpent) {
  CpuTask task;
  task.waits(1);
  const double whole = task.wants().value;
  EXPECT_GT(whole, 1.2 * task.wants().reason.demand_cores);
  task.in.budget_spent_ratio = 0.9;
  EXPECT_GT(task.wants().value, 1.1 * whole);
}

TEST(CpuDeadline, TheLastWriteOfABudgetGoesToTheMaximum) {
  CpuTask task;
  task.waits(0.6);
  task.in.writes_left = 2;
  EXPECT_LT(task.wants().value, 1.5);
  task.in.writes_left = 1;
  EXPECT_EQ(task.wants().value, 4) << "until the next write it could only starve";
}

TEST(CpuDeadline, ARaiseCountsOnPartOfTheBurstThatItBrings) {
  CpuTask task;
  task.in.max_delay_seconds = 0.5;
  task.waits(1);
  const double without = task.wants().value;
  task.in.burst_ratio = 0.5;
  EXPECT_LT(task.wants().value, 0.97 * without);
  EXPECT_GT(task.wants().value, 0.9 * without);
}

TEST(CpuDeadline, ARaiseIsEnoughForWhatArrivesAsWell) {
  CpuTask task;
  task.waits(0.45);
  task.state.arrivals.push_back({task.in.now, 0.5, 2.5});
  EXPECT_EQ(task.wants().reason.rule, Rule::cpu_deadline);
  EXPECT_GE(task.wants().value, 2.5);
}

TEST(CpuDeadline, OneThreadIsNotGivenCoresThatItCannotUse) {
  CpuTask task;
  task.waits(3);
  EXPECT_GT(task.wants().value, 3);
  task.state.threads_most = 1;
  EXPECT_GE(task.wants().value, 1);
  EXPECT_LT(task.wants().value, 1.5);
  task.state.threads_most = 0.3;  // one thread, long ago
  EXPECT_GE(task.wants().value, 1);
  task.state.threads_most = 2;
  EXPECT_GE(task.wants().value, 2);
  EXPECT_LT(task.wants().value, 3);
}

TEST(CpuDeadline, OneThreadIsGivenAWholeCoreWhereQuotasAreWhole) {
  CpuTask task;
  task.in.step_cores = 1;
  task.waits(3);
  task.state.threads_most = 0.5;  // one thread, long ago
  EXPECT_EQ(task.wants().value, 1);
  task.state.threads_most = 3;
  EXPECT_EQ(task.wants().value, 3);
  task.in.step_cores = 0.5;
  task.state.threads_most = 2;
  EXPECT_EQ(task.wants().value, 2.5);
  task.in.step_cores = 2;
  task.state.threads_most = 1;
  EXPECT_EQ(task.wants().value, 2) << "a step at least";
}

TEST(CpuDeadline, NothingIsRaisedThatIsAtItsMaximum) {
  CpuTask task(4);
  task.waits(50);
  EXPECT_FALSE(task.wants().changes());
}

TEST(CpuDeadline, ADecisionTellsWhatItWasMadeFrom) {
  CpuTask task;
  task.seen.cpu_pressure_ratio = 0.25;
  task.look(0.4);
  task.look(0.5, true, 300ms);
  task.waits(2);
  const Reason r = task.wants().reason;
  EXPECT_EQ(r.wanted, task.wants().value);
  EXPECT_EQ(r.usage_cores, 0.5);
  EXPECT_EQ(r.backlog_cpu_seconds, 2);
  EXPECT_NEAR(r.binding_seconds, 0.3, 1e-9);
  EXPECT_EQ(r.throttled_ratio, 1);
  EXPECT_EQ(r.pressure_ratio, 0.25);
  task.seen.cpu_pressure_ratio.reset();
  task.state.oldest_wait_since.reset();
  EXPECT_EQ(task.wants().reason.pressure_ratio, 0) << "not known";
  EXPECT_EQ(task.wants().reason.binding_seconds, 0);
}

}  // namespace
}  // namespace sluice::testing
