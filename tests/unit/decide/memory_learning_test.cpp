// What probes teach: the memory that a task needs, their cost, and the size of the next step.
#include "tests/unit/decide/memory_task.hpp"

namespace sluice::testing {
namespace {

// A probe took 100 of the 790 MiB that can be reclaimed. How much is needed is not known yet.
class MemoryPrice : public ::testing::Test {
 protected:
  MemoryPrice() {
    task.look_for(3s);
    task.probe(900);
  }
  double kept() const { return task.state.keep_bytes / kMiB; }
  double explores_in() const {
    return std::chrono::duration<double>(task.state.explore_at - task.state.probed_at).count();
  }
  // The next one, after so many MiB in all came back.
  void probe_again(double to_mib) { task.probe(to_mib); }

  MemoryTask task{1000};
};

TEST_F(MemoryPrice, IsKnownByWhatItTookAndLeft) {
  EXPECT_NEAR(task.state.probe_took_bytes / kMiB, 100, 0.1);
  EXPECT_NEAR(task.state.probe_left_bytes / kMiB, 690, 0.1);
  EXPECT_TRUE(task.state.probe_explored);
}

TEST_F(MemoryPrice, ATenthThatIsReadAgainSaysThatItWasNeeded) {
  task.refault_for(1s, 9);
  EXPECT_FALSE(task.state.probe_failed);
  task.refault_for(1s, 2);
  EXPECT_TRUE(task.state.probe_failed);
  EXPECT_NEAR(kept(), 790, 0.1) << "all that was there before";
}

TEST_F(MemoryPrice, AFewPagesSayNothing) {
  task.state.probe_took_bytes = task.state.probe_unsure_bytes = 0.1 * kMiB;
  task.refault_for(1s, 0.11);
  EXPECT_FALSE(task.state.probe_failed);
  task.refault_for(1s, 0.11);
  EXPECT_TRUE(task.state.probe_failed);
}

TEST_F(MemoryPrice, OfAProbeThatTookNothingThereIsNone) {
  task.in.high_bytes = 2000 * kMiB;
  task.write(950, Rule::memory_probe);  // the limit was far above the memory in use
  task.refault_for(5s, 20);
  EXPECT_FALSE(task.state.probe_failed);
  EXPECT_EQ(kept(), 0);
}

TEST_F(MemoryPrice, AProbeThatFailedMakesStepsSmallerOnce) {
  const double step = task.state.step;
  task.refault_for(5s, 20);
  EXPECT_DOUBLE_EQ(task.state.step, step / 2);
  task.probe(850);
  EXPECT_DOUBLE_EQ(task.state.step, step / 2) << "and it is not judged twice";
  task.state.step = 0.002;
  task.state.keep_bytes = 0;
  task.refault_for(5s, 20);
  EXPECT_DOUBLE_EQ(task.state.step, 0.002) << "but never nothing";
}

TEST_F(MemoryPrice, IsPaidOffBeforeTheNextOne) {
  task.seen.memory_pressure_ratio = 0.01;
  task.refault_for(2s, 20);
  // 20 ms, at most 15 % of a target of a thousandth.
  EXPECT_NEAR(explores_in(), 0.02 / 0.00015, 10);
  const double later = explores_in();
  task.seen.memory_pressure_ratio = 0;
  task.refault_for(2s, 20);
  EXPECT_DOUBLE_EQ(explores_in(), later) << "no sooner for what came without a stall";
}

TEST_F(MemoryPrice, IsPaidOffInTenSecondsAtLeastAndInAQuarterOfAnHourAtMost) {
  task.refault_for(2s, 20);
  EXPECT_NEAR(explores_in(), 10, 0.01);
  task.seen.memory_pressure_ratio = 0.9;
  task.refault_for(2s, 20);
  EXPECT_NEAR(explores_in(), 900, 0.01);
}

TEST_F(MemoryPrice, ACheapMistakeDoesNotForgiveADearOne) {
  task.seen.memory_pressure_ratio = 0.01;
  task.refault_for(2s, 20);
  task.seen.memory_pressure_ratio = 0;
  const auto until = task.state.explore_at;
  task.probe(850);
  task.state.keep_bytes = 0;
  task.refault_for(2s, 20);
  EXPECT_TRUE(task.state.probe_failed);
  EXPECT_GE(task.state.explore_at, until);
}

TEST_F(MemoryPrice, BeforeTheFirstProbeThereIsNone) {
  MemoryTask other;
  other.state.probe_took_bytes = kMiB;
  other.refault_for(10s, 50);
  EXPECT_EQ(other.state.keep_bytes, 0);
  EXPECT_EQ(other.state.probe_refaults, 0);
}

TEST_F(MemoryPrice, OfEachProbeIsItsOwn) {
  task.seen.memory_pressure_ratio = 0.01;
  task.refault_for(1s, 8);
  task.seen.memory_pressure_ratio = 0;
  task.probe(800);
  EXPECT_EQ(task.state.probe_refaults, 0);
  EXPECT_EQ(task.state.probe_some_seconds, 0);
  task.refault_for(1s, 8);
  EXPECT_FALSE(task.state.probe_failed);
}

TEST_F(MemoryPrice, AProbeOfWhichNothingWasSeenIsNotJudgedByTheOneBefore) {
  task.sample.memory_stat.reset();
  task.write(850, Rule::memory_probe);
  EXPECT_EQ(task.state.probe_took_bytes, 0);
  EXPECT_FALSE(task.state.probe_explored);
  task.refault_for(5s, 20);
  EXPECT_EQ(kept(), 0);
  task.uses(900);
  task.sample.memory_current.reset();
  task.write(840, Rule::memory_probe);
  EXPECT_EQ(task.state.probe_took_bytes, 0);
  task.in.sample = nullptr;
  task.write(830, Rule::memory_probe);
  EXPECT_EQ(task.state.probe_took_bytes, 0);
}

TEST_F(MemoryPrice, AProbeBelowWhatCannotBeReclaimedTakesNoMoreThanThat) {
  task.uses(900, 850);
  task.write(500, Rule::memory_probe);
  EXPECT_NEAR(task.state.probe_took_bytes / kMiB, 40, 0.1);
  EXPECT_EQ(task.state.probe_left_bytes, 0);
  task.sample.memory_stat->anon = Bytes{1200} << 20;  // read slightly later than the memory in use
  task.write(495, Rule::memory_probe);
  EXPECT_EQ(task.state.probe_took_bytes, 0);
  task.write(490, Rule::memory_probe);
  task.uses(400, 200);
  task.write(480, Rule::memory_probe);
  EXPECT_EQ(task.state.probe_took_bytes, 0) << "above what is in use";
  EXPECT_FALSE(task.state.probe_explored);
}

// The needed memory is known: 600 MiB.
class MemoryKeeps : public MemoryPrice {
 protected:
  MemoryKeeps() {
    task.uses(1000);
    task.state.keep_bytes = 600 * kMiB;
    task.state.probe_failed = task.state.probe_explored = false;
    task.state.step = 0.02;
  }
};

TEST_F(MemoryKeeps, WhatCameAboveIsTakenWithoutBeingAStepIntoTheUnknown) {
  task.probe(900);
  EXPECT_FALSE(task.state.probe_explored);
  EXPECT_NEAR(task.state.probe_unsure_bytes / kMiB, 100, 0.1);
  task.probe(880);
  EXPECT_DOUBLE_EQ(task.state.step, 0.02);
  EXPECT_NEAR(kept(), 600, 0.1);
}

TEST_F(MemoryKeeps, WhatCameAboveAndIsReadAgainIsKeptButIsNoStepThatWasTooLarge) {
  task.probe(900);
  task.refault_for(2s, 10);
  EXPECT_TRUE(task.state.probe_failed);
  EXPECT_GT(kept(), 700);
  EXPECT_DOUBLE_EQ(task.state.step, 0.02);
}

TEST_F(MemoryKeeps, OfWhatIsBelowAlreadyOnlyWhatWasTakenIsUnsure) {
  task.state.keep_bytes = 900 * kMiB;
  task.probe(990);
  EXPECT_NEAR(task.state.probe_unsure_bytes / kMiB, 10, 0.1);
}

TEST_F(MemoryKeeps, OfAStepBelowOnlyThatPartIsUnsure) {
  task.probe(790);  // 210 of 790: 20 below
  EXPECT_TRUE(task.state.probe_explored);
  EXPECT_NEAR(task.state.probe_unsure_bytes / kMiB, 20, 0.1);
  task.refault_for(1s, 3);
  EXPECT_TRUE(task.state.probe_failed) << "a tenth of the 20";
  EXPECT_NEAR(kept(), 600, 1);
}

TEST_F(MemoryKeeps, WhatComesBackIsKeptTwiceOverButNoMoreThanWasTaken) {
  task.state.keep_bytes = 400 * kMiB;
  task.probe(560);  // leaves 350
  task.refault_for(4s, 10);
  EXPECT_NEAR(kept(), 350 + 80, 1) << "not all of it has come back yet";
  task.refault_for(60s, 10);
  EXPECT_NEAR(kept(), 790, 1);
}

TEST_F(MemoryKeeps, AStepBelowThatWasCleanIsWhatIsKeptFromNowOn) {
  task.probe(790);
  task.look_for(3s);
  task.uses(1000);
  task.probe(900);
  EXPECT_NEAR(kept(), 580, 0.1);
  EXPECT_DOUBLE_EQ(task.state.step, 0.025) << "and the next is a little larger";
}

TEST_F(MemoryKeeps, AStepBelowThatFailedIsNot) {
  task.probe(790);
  task.refault_for(1s, 5);
  ASSERT_TRUE(task.state.probe_failed);
  const double before = kept();
  task.uses(1000);
  task.probe(900);
  EXPECT_DOUBLE_EQ(kept(), before);
  EXPECT_FALSE(task.state.probe_failed) << "that is the new one's to say";
  EXPECT_DOUBLE_EQ(task.state.step, 0.01);
}

TEST_F(MemoryKeeps, AProbeThatTookWhatWasKeptAnywayLowersNothing) {
  task.probe(900);
  task.look_for(3s);
  task.probe(850);
  EXPECT_NEAR(kept(), 600, 0.1);
}

// Steps below the known need, one after another.
class MemorySteps : public MemoryPrice {
 protected:
  double step_after(double stall_share, Nsec quiet = 3s) {
    task.stall_for(1s, stall_share);
    task.look_for(quiet);
    task.probe(static_cast<double>(*task.sample.memory_current) / kMiB - 5);
    return task.state.step;
  }
};

TEST_F(MemorySteps, GrowWhileTheyAreCleanToATenth) {
  EXPECT_DOUBLE_EQ(step_after(0), 0.03);
  EXPECT_DOUBLE_EQ(step_after(0), 0.045);
  for (int i = 0; i < 5; ++i) step_after(0);
  EXPECT_DOUBLE_EQ(task.state.step, 0.1);
}

TEST_F(MemorySteps, ShrinkWhereTheTaskStalled) {
  EXPECT_DOUBLE_EQ(step_after(0.004), 0.01) << "more than half of the target since the last";
  EXPECT_DOUBLE_EQ(step_after(0.001), 0.015);
  for (int i = 0; i < 10; ++i) step_after(0.02);
  EXPECT_DOUBLE_EQ(task.state.step, 0.002);
}

TEST_F(MemorySteps, AreJudgedByTheLastTenSecondsAtMost) {
  EXPECT_DOUBLE_EQ(step_after(0.02, 1min), 0.03);
  EXPECT_DOUBLE_EQ(step_after(0.004, 8s), 0.045) << "of nine seconds it is less than half";
  EXPECT_DOUBLE_EQ(step_after(0.006, 8s), 0.0225);
  task.look_for(1min);
  EXPECT_DOUBLE_EQ(step_after(0.006, 8s), 0.01125) << "and of a minute only ten seconds are asked";
}

TEST_F(MemorySteps, AreJudgedByWhatWasSeenSinceTheLastProbe) {
  task.stall_for(1s, 0.02);
  task.probe(890);
  task.look_for(3s);
  const double before = task.state.step;
  task.probe(880);
  EXPECT_DOUBLE_EQ(task.state.step, 1.5 * before);
}

}  // namespace
}  // namespace sluice::testing
