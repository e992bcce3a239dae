// When a quota is cut, how far, and what is remembered about it.
#include "tests/unit/decide/cpu_task.hpp"

namespace sluice::testing {
namespace {

// Observed for a minute with four cores available, of which it used as many as the test sets.
class CpuCut : public ::testing::Test {
 protected:
  void seen_at(double usage) { task.look_for(60s, usage); }

  CpuTask task{4};
};

TEST_F(CpuCut, LeavesWhatIsUsedAndLittleMore) {
  task.look_for(2500ms, 0.5);
  ASSERT_EQ(task.wants().reason.rule, Rule::cpu_surplus);
  EXPECT_GE(task.wants().value, 0.5);
  EXPECT_LT(task.wants().value, 0.56);
}

TEST_F(CpuCut, WaitsUntilTheTaskHasBeenSeenForTwoSeconds) {
  task.look_for(1900ms, 0.5);
  EXPECT_FALSE(task.wants().changes());
  task.look_for(300ms, 0.5);
  EXPECT_TRUE(task.wants().changes());
}

TEST_F(CpuCut, IsNotMadeOnWhatWasSeenBefore) {
  seen_at(0.5);
  task.event();
  EXPECT_FALSE(task.wants().changes());
  task.look(0.5);
  ASSERT_TRUE(task.wants().changes());
  task.seen.usage_cores.reset();
  EXPECT_FALSE(task.wants().changes()) << "its use was not read this time";
  task.seen.usage_cores = 0.5;
  task.seen.periods.reset();
  EXPECT_FALSE(task.wants().changes()) << "nor would anything tell that the quota is too small";
}

TEST_F(CpuCut, IsNotMadeWhereNoArrivalIsKnown) {
  seen_at(0.5);
  task.report_backlog(0);  // from now on reports show the arrivals
  task.look(0.5);
  EXPECT_FALSE(task.wants().changes());
}

TEST_F(CpuCut, IsNotMadeWhileTheLimitBinds) {
  task.in.max_cores = 6;
  seen_at(0.5);
  ASSERT_TRUE(task.wants().changes());
  task.look(0.5, true);
  EXPECT_FALSE(task.wants().changes());
}

TEST_F(CpuCut, IsWorthAnEighthOfTheQuota) {
  task.in.quota_cores = 1;
  seen_at(0.93);
  EXPECT_FALSE(task.wants().changes());
  seen_at(0.7);
  EXPECT_TRUE(task.wants().changes());
}

TEST_F(CpuCut, IsNoSavingWhereTheMinimumIsJustBelow) {
  task.in.quota_cores = 1.1;
  task.in.min_cores = 1;
  seen_at(0.1);
  EXPECT_FALSE(task.wants().changes());
  task.in.min_cores = 0.5;
  EXPECT_TRUE(task.wants().changes());
}

TEST_F(CpuCut, LeavesAnIdleTaskAQuotaAllTheSame) {
  task.in.min_cores = 0;
  seen_at(0);
  EXPECT_GE(task.wants().value, 0.01);
  EXPECT_LT(task.wants().value, 0.02);
}

TEST_F(CpuCut, TellsIdlenessFromALittleLoad) {
  seen_at(0);
  EXPECT_EQ(task.wants().reason.rule, Rule::cpu_idle);
  seen_at(0.01);
  EXPECT_EQ(task.wants().reason.rule, Rule::cpu_surplus) << "under its minimum, and at work";
  seen_at(0.5);
  task.look(0);
  EXPECT_EQ(task.wants().reason.rule, Rule::cpu_surplus) << "it was at work a moment ago";
}

TEST_F(CpuCut, LeavesTheLastWritesOfTheBudgetToRaises) {
  seen_at(0.5);
  const auto cuts = [&](std::uint32_t left, std::uint32_t of) {
    task.in.writes_left = left;
    task.in.writes_per_minute = of;
    return task.wants().changes();
  };
  EXPECT_TRUE(cuts(4, 60));
  EXPECT_FALSE(cuts(3, 60));
  EXPECT_TRUE(cuts(3, 8)) << "of few a quarter";
  EXPECT_FALSE(cuts(2, 8));
  EXPECT_TRUE(cuts(2, 2));
  EXPECT_FALSE(cuts(1, 2)) << "and one of however few";
}

TEST_F(CpuCut, IsTheDearerTheMoreOfTheBudgetIsSpent) {
  const auto cuts = [&](double surplus, double spent, std::uint32_t of) {
    task.in.budget_spent_ratio = spent;
    task.in.writes_per_minute = of;
    task.state.saving_core_seconds = surplus;
    return task.wants().changes();
  };
  seen_at(0.5);
  EXPECT_TRUE(cuts(0.001, 0, 60));
  EXPECT_FALSE(cuts(0.05, 0.5, 60));
  EXPECT_TRUE(cuts(1, 0.5, 60));
  EXPECT_FALSE(cuts(1, 0.9, 60));
  EXPECT_TRUE(cuts(10, 0.9, 60));
  EXPECT_FALSE(cuts(10, 1, 60)) << "whatever it saves";
  EXPECT_FALSE(cuts(1, 0.5, 6)) << "few writes are dear from the start";
  EXPECT_TRUE(cuts(10, 0.1, 6));
}

TEST_F(CpuCut, OfOneThreadLeavesOneCoreWhereQuotasAreWhole) {
  task.in.step_cores = 1;
  task.seen.runnable_threads = 1;
  seen_at(0.99);
  ASSERT_TRUE(task.wants().changes());
  EXPECT_EQ(task.wants().value, 1);
}

TEST_F(CpuCut, OfAnUnlimitedTaskIsNotMadeWhereItNeedsItsMaximum) {
  task.in.quota_cores = kUnlimited;
  seen_at(3.9);
  EXPECT_FALSE(task.wants().changes());
  seen_at(1);
  EXPECT_EQ(task.wants().reason.rule, Rule::cpu_unlimited);
}

// Arrivals of one core, and a backlog.
class CpuCutWithBacklog : public CpuCut {
 protected:
  Intent with(double backlog, double arrivals) {
    task.waits(backlog);
    task.state.arrivals.clear();
    task.state.arrivals.push_back({task.in.now, 0.5, arrivals});
    return task.wants();
  }
  CpuCutWithBacklog() {
    task.in.max_delay_seconds = 2;
    seen_at(1);
  }
};

TEST_F(CpuCutWithBacklog, LeavesWhatItNeeds) {
  const Intent intent = with(2, 0.1);
  ASSERT_TRUE(intent.changes());
  EXPECT_GT(intent.value, 1) << "two CPU-seconds within two seconds";
  EXPECT_LT(intent.value, 1.5);
}

TEST_F(CpuCutWithBacklog, LeavesWhatArrivesAndDrainsTheRestInAWhile) {
  const Intent intent = with(0.5, 1);
  ASSERT_TRUE(intent.changes());
  EXPECT_GT(intent.value, 1.03);
  EXPECT_LT(intent.value, 1.1);
}

TEST_F(CpuCutWithBacklog, LeavesNoMoreThanTheThreadsCanUse) {
  task.state.threads_most = task.state.threads_now = 1;
  const Intent intent = with(0.1, 3);
  ASSERT_TRUE(intent.changes());
  EXPECT_LT(intent.value, 1.5);
}

// A cut from 1 to 0.6 cores, and the limit throttles soon after.
class CpuUndo : public ::testing::Test {
 protected:
  CpuUndo() {
    task.look(0.5);
    task.write(0.6, Rule::cpu_surplus);
  }
  // A raise for a backlog, with the size that the test sets.
  Intent raise(double need, Nsec after) {
    task.event(after);
    task.waits(need * 0.81 / 1.1);
    return task.wants();
  }
  CpuTask task{1};
};

TEST_F(CpuUndo, GoesBackToWhatItWasWhereThatSuffices) {
  const Intent intent = raise(0.7, 1s);
  EXPECT_EQ(intent.reason.rule, Rule::cpu_undo);
  EXPECT_EQ(intent.value, 1);
}

TEST_F(CpuUndo, IsNoneLongAfterTheCut) {
  EXPECT_EQ(raise(0.7, 3100ms).reason.rule, Rule::cpu_deadline);
}

TEST_F(CpuUndo, IsNoneWhereMoreIsNeededThanThereWas) {
  const Intent intent = raise(1.5, 1s);
  EXPECT_EQ(intent.reason.rule, Rule::cpu_deadline);
  EXPECT_GT(intent.value, 1.5);
}

TEST_F(CpuUndo, IsNoneWhereTheCutWasRightInKind) {
  task.state.before_cut_cores = 3;
  const Intent intent = raise(0.7, 1s);
  EXPECT_EQ(intent.reason.rule, Rule::cpu_deadline);
  EXPECT_LT(intent.value, 1);
}

TEST_F(CpuUndo, IsNoneOfALargeCutHoweverSmallTheQuota) {
  task.in.quota_cores = 0.1;
  task.state.before_cut_cores = 0.5;
  task.state.arrivals.clear();
  const Intent intent = raise(0.11, 1s);
  EXPECT_EQ(intent.reason.rule, Rule::cpu_deadline);
  EXPECT_LT(intent.value, 0.2);
}

TEST_F(CpuUndo, IsNoneAfterAnotherRaise) {
  task.write(0.65, Rule::cpu_throttled);
  EXPECT_EQ(raise(0.7, 1s).reason.rule, Rule::cpu_deadline);
}

TEST(CpuMargin, IsWiderAfterEachCutThatWasWrongUpToAsMuchAgain) {
  CpuTask task(0.5);
  task.write(1, Rule::cpu_undo);
  EXPECT_GT(task.state.margin, 0.2);
  EXPECT_LT(task.state.margin, 0.5);
  for (int i = 0; i < 50; ++i) task.write(task.in.quota_cores + 0.01, Rule::cpu_undo);
  EXPECT_EQ(task.state.margin, 1);
}

TEST(CpuMargin, IsNotForATaskWhoseBacklogIsSeen) {
  CpuTask task(0.5);
  const double before = task.state.margin;
  task.waits(1);
  task.write(1, Rule::cpu_undo);
  EXPECT_EQ(task.state.margin, before);
}

// One task that uses a core for a long time.
double margin_in_the_end(double max_delay_seconds, std::uint32_t writes_per_minute) {
  CpuTask task(2);
  task.in.max_delay_seconds = max_delay_seconds;
  task.in.writes_per_minute = writes_per_minute;
  task.look_for(60s, 1);
  return task.state.margin;
}

TEST(CpuMargin, FadesAndEndsBelowTheMeanWherePatienceAndWritesAreLeft) {
  EXPECT_GT(margin_in_the_end(1, 60), 0.01);
  EXPECT_LT(margin_in_the_end(1, 60), 0.03);
  EXPECT_EQ(margin_in_the_end(0.1, 60), margin_in_the_end(1, 60)) << "no writes to spare: no lower";
  EXPECT_LT(margin_in_the_end(5, 60), -0.05) << "five writes within max_delay";
  EXPECT_EQ(margin_in_the_end(50, 60), margin_in_the_end(5, 60)) << "and no lower with more";
  EXPECT_LT(margin_in_the_end(3.5, 60), margin_in_the_end(1, 60));
  EXPECT_GT(margin_in_the_end(3.5, 60), margin_in_the_end(5, 60));
  EXPECT_EQ(margin_in_the_end(10, 6), margin_in_the_end(1, 60)) << "it is the writes that count";
}

TEST(CpuMargin, FadesWithinSeconds) {
  CpuTask task(2);
  task.look_for(1s, 1);
  EXPECT_GT(task.state.margin, 0.05);
  task.look_for(2s, 1);
  EXPECT_LT(task.state.margin, 0.03);
}

TEST(CpuSurplus, IsWhatIsLeftOfTheQuotaSinceTheLastWrite) {
  CpuTask task(2);
  task.look_for(10s, 1.5);
  EXPECT_NEAR(task.state.surplus_core_seconds, 5, 0.01);
  EXPECT_NEAR(task.state.saving_core_seconds, 5, 0.01);
  task.look_for(10s, 2.5);  // a burst
  EXPECT_NEAR(task.state.surplus_core_seconds, 5, 0.01) << "more than the quota is no debt";
  task.write(1.8, Rule::cpu_surplus);
  EXPECT_EQ(task.state.surplus_core_seconds, 0);
  EXPECT_EQ(task.state.saving_core_seconds, 0);
}

TEST(CpuSurplus, OfALookThatDidNotTellTheUseIsNotKnown) {
  CpuTask task(2);
  task.look(1.5);
  task.seen.usage_cores.reset();
  task.in.now += 100ms;
  observe_cpu(task.in, task.state);
  EXPECT_NEAR(task.state.surplus_core_seconds, 0.05, 1e-9);
}

TEST(CpuSurplus, OfAnUnlimitedTaskIsWhatItsMaximumLeaves) {
  CpuTask task(kUnlimited);
  task.look_for(10s, 1);
  EXPECT_NEAR(task.state.saving_core_seconds, 30, 0.01);
}

TEST(CpuSurplus, OfWholeStepsIsWhatAStepLessWouldSpare) {
  CpuTask task(4);
  task.in.step_cores = 1;
  task.look_for(10s, 2.5);
  EXPECT_NEAR(task.state.surplus_core_seconds, 15, 0.01);
  EXPECT_NEAR(task.state.saving_core_seconds, 10, 0.01);
  task.look_for(1s, 5.5);
  EXPECT_NEAR(task.state.saving_core_seconds, 10, 0.01);
}

TEST(CpuSurplus, DoesNotCountTheLookThatARaiseCutsInTwo) {
  CpuTask task(1);
  task.look(1);
  task.event(50ms);
  task.write(4, Rule::cpu_deadline);
  task.in.now -= 50ms;  // the interval of the next sample began before the raise
  task.look(1);
  EXPECT_EQ(task.state.surplus_core_seconds, 0);
  task.look(1);
  EXPECT_NEAR(task.state.surplus_core_seconds, 0.3, 0.01);
}

}  // namespace
}  // namespace sluice::testing
