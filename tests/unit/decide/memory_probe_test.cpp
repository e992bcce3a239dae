// When memory.high is lowered, and how far.
#include "tests/unit/decide/memory_task.hpp"

namespace sluice::testing {
namespace {

// Quiet, without a limit.
class MemoryProbe : public ::testing::Test {
 protected:
  MemoryProbe() { task.look_for(3s); }
  // In MiB; zero: no probe.
  double probed() const { return task.rule() == Rule::memory_probe ? task.wanted() : 0; }
  MemoryTask task;
};

TEST_F(MemoryProbe, GoesAStepIntoTheUnknown) {
  EXPECT_NEAR(probed(), 980, 0.1);
  task.state.step = 0.1;
  EXPECT_NEAR(probed(), 900, 0.1);
  task.state.step = 0.002;
  EXPECT_NEAR(probed(), 989, 0.1) << "or as far as the tolerance does not swallow";
}

TEST_F(MemoryProbe, NeverGoesBelowWhatCannotBeFreed) {
  task.uses(1000, 880);
  task.state.step = 0.1;
  EXPECT_NEAR(probed(), 1.1 * 890, 0.1);
  task.uses(1000, 900);
  task.in.high_bytes = 1005 * kMiB;
  EXPECT_EQ(probed(), 0) << "and not to and fro at its floor";
}

TEST_F(MemoryProbe, NeverGoesBelowTheConfiguredMinimum) {
  task.in.min_bytes = 990 * kMiB;
  EXPECT_NEAR(probed(), 990, 0.1);
}

TEST_F(MemoryProbe, LeavesAGrowingTaskWithoutSwapRoomForTwoSeconds) {
  task.uses(1000, 800);
  task.state.step = 0.1;
  task.state.anon_growth_bytes_per_second = 20 * kMiB;
  EXPECT_NEAR(probed(), 1.1 * (810 + 40), 0.1);
  task.uses(1000, 850);
  task.state.anon_growth_bytes_per_second = -20 * kMiB;
  EXPECT_NEAR(probed(), 1.1 * 860, 0.1) << "what shrinks may grow again";
  task.sample.memory_stat = MemoryStat{.anon = 150 << 20, .unreclaimable = 840 << 20};
  task.sample.swap_free = 1 << 30;
  task.state.anon_growth_bytes_per_second = 20 * kMiB;
  EXPECT_NEAR(probed(), 1.1 * 840, 0.1) << "with swap it finds room there";
}

TEST_F(MemoryProbe, WhatTheToleranceWouldSwallowIsNotAskedFor) {
  task.in.high_bytes = 985 * kMiB;
  EXPECT_EQ(probed(), 0);
  task.in.high_bytes = 995 * kMiB;
  EXPECT_NEAR(probed(), 980, 0.1);
}

TEST_F(MemoryProbe, WaitsForAnIntervalAfterTheFirstLookAndTheLastProbe) {
  MemoryTask young;
  young.look_for(2s);
  EXPECT_FALSE(young.wants().changes());
  young.look_for(200ms);
  EXPECT_TRUE(young.wants().changes());
  task.probe(980);
  task.look_for(1900ms);
  EXPECT_EQ(probed(), 0);
  task.look_for(200ms);
  EXPECT_GT(probed(), 0);
  task.in.interval_seconds = 10;
  EXPECT_EQ(probed(), 0);
  MemoryTask patient;
  patient.in.interval_seconds = 60;
  EXPECT_NEAR(std::chrono::duration<double>(patient.until_probed()).count(), 60, 0.3);
}

TEST_F(MemoryProbe, WaitsTheLongerTheLessOfTheBudgetIsLeft) {
  const auto waits_with = [&](std::uint32_t left) {
    MemoryTask other;
    other.in.writes_left = left;
    return other.until_probed();
  };
  EXPECT_LE(waits_with(60), 2200ms);
  EXPECT_GE(waits_with(40), 3900ms) << "half of what is not for raises";
  EXPECT_LE(waits_with(40), 4300ms);
  EXPECT_EQ(waits_with(20), 2h) << "the last third is for raises";
}

TEST_F(MemoryProbe, NeedsSignalsThatSayItIsQuiet) {
  task.seen.memory_pressure_ratio.reset();
  EXPECT_EQ(probed(), 0);
  task.seen.memory_pressure_ratio = 0;
  task.seen.refaults_per_second.reset();
  EXPECT_EQ(probed(), 0);
  task.seen.refaults_per_second = 0;
  EXPECT_GT(probed(), 0);
  task.in.signals = nullptr;
  EXPECT_EQ(probed(), 0);
  task.in.signals = &task.seen;
  task.sample.memory_stat.reset();
  EXPECT_EQ(probed(), 0);
}

TEST_F(MemoryProbe, MostOfTheIntervalMustHaveBeenSeen) {
  task.seen.refaults_per_second.reset();
  task.look_for(1200ms);
  task.seen.refaults_per_second = 0;
  task.look();
  EXPECT_EQ(probed(), 0) << "0.8 s of two";
  task.look_for(1500ms);
  EXPECT_GT(probed(), 0);
  task.seen.memory_pressure_ratio.reset();
  task.look_for(1200ms);
  task.seen.memory_pressure_ratio = 0;
  task.look();
  EXPECT_EQ(probed(), 0);
}

TEST_F(MemoryProbe, WaitsWhileTheTaskStallsMoreThanHalfOfWhatItMay) {
  task.stall_for(2s, 0.002);
  EXPECT_GT(probed(), 0) << "0.4 per mille of ten seconds";
  task.stall_for(2s, 0.002);
  EXPECT_EQ(probed(), 0);
  task.look_for(7s);
  EXPECT_EQ(probed(), 0) << "they are of the last ten seconds still";
  task.look_for(3s);
  EXPECT_GT(probed(), 0);
}

TEST_F(MemoryProbe, TellsThePressureThatItJudged) {
  task.stall_for(2s, 0.002);
  task.look_for(1s);
  EXPECT_NEAR(task.wants().reason.pressure_ratio, 0.0004, 1e-5);
}

TEST_F(MemoryProbe, WaitsWhileMemoryIsReadAgain) {
  task.refault_for(500ms, 3);
  EXPECT_GT(probed(), 0) << "0.75 MiB a second over the interval";
  task.refault_for(1s, 3);
  EXPECT_EQ(probed(), 0);
  task.look_for(2s);
  EXPECT_GT(probed(), 0);
}

TEST_F(MemoryProbe, WaitsUntilTheStallsUnderItsLimitArePaidOff) {
  task.state.debt_seconds = 0.0101;
  EXPECT_EQ(probed(), 0);
  task.state.debt_seconds = 0.0099;
  EXPECT_GT(probed(), 0);
}

TEST_F(MemoryProbe, OfATaskThatReclaimsAtItsBoundIsTheCure) {
  task.in.max_bytes = 1000 * kMiB;
  task.in.high_bytes = 1000 * kMiB;
  task.state.debt_seconds = 1;
  task.stall_for(3s, 0.5);
  EXPECT_GT(probed(), 0);
  task.uses(900);
  EXPECT_EQ(probed(), 0) << "it is not at its bound";
  task.uses(1000);
  task.in.max_bytes = 1040 * kMiB;
  task.look_for(12s);
  EXPECT_EQ(probed(), 0) << "nor now: its limit can be raised";
}

// The need within its 790 reclaimable MiB is known.
class MemoryKept : public MemoryProbe {
 protected:
  double probed_with_kept(double mib) {
    task.state.keep_bytes = mib * kMiB;
    return probed();
  }
  void explored_before_now() { task.state.explore_at = task.in.now; }
  void not_to_explore_yet() { task.state.explore_at = task.in.now + 1ns; }
};

TEST_F(MemoryKept, WhatCameAboveIsTakenInPartsWithoutAsking) {
  not_to_explore_yet();
  EXPECT_NEAR(probed_with_kept(500), 900, 0.1) << "a tenth at one time";
  EXPECT_NEAR(probed_with_kept(750), 960, 0.1) << "all forty";
  explored_before_now();
  EXPECT_NEAR(probed_with_kept(500), 900, 0.1) << "before any step below";
  not_to_explore_yet();
  task.in.high_bytes = 1030 * kMiB;
  task.in.tolerance = 0.05;
  EXPECT_EQ(probed_with_kept(750), 0) << "forty are not worth a write";
}

TEST_F(MemoryKept, WithSwapWhatCameMayBeWarmAndIsTakenByTheStep) {
  task.sample.swap_free = 1 << 30;
  not_to_explore_yet();
  EXPECT_NEAR(probed_with_kept(500), 980, 0.1);
  task.state.step = 0.05;
  EXPECT_NEAR(probed_with_kept(500), 950, 0.1);
  task.state.step = 0.002;
  EXPECT_NEAR(probed_with_kept(500), 980, 0.1) << "worth its writes";
  task.state.step = 0.5;
  EXPECT_NEAR(probed_with_kept(500), 900, 0.1);
}

TEST_F(MemoryKept, NextIsAStepBelowWhatIsKept) {
  explored_before_now();
  EXPECT_NEAR(probed_with_kept(780), 1000 - 10 - 20, 0.1);
  task.state.step = 0.005;
  EXPECT_NEAR(probed_with_kept(780), 1000 - 10 - 5, 0.1);
  EXPECT_NEAR(probed_with_kept(840), 1000 - 5, 0.1) << "of what is in use, where less is there";
}

TEST_F(MemoryKept, ASmallStepBelowNeedsRoomAboveOrMustBeLarger) {
  explored_before_now();
  task.state.step = 0.005;
  task.in.high_bytes = 1004 * kMiB;
  EXPECT_NEAR(probed_with_kept(790), 1000 - 11, 0.1);
  task.state.step = 0.03;
  EXPECT_NEAR(probed_with_kept(790), 1000 - 30, 0.1);
}

TEST_F(MemoryKept, NoStepBelowBeforeTheLastMistakeIsPaidOff) {
  not_to_explore_yet();
  task.in.high_bytes = 1030 * kMiB;
  EXPECT_EQ(probed_with_kept(790), 0);
  EXPECT_EQ(probed_with_kept(780), 0) << "nor for a little that came above";
  explored_before_now();
  EXPECT_GT(probed_with_kept(790), 0);
}

TEST_F(MemoryKept, NoStepBelowBeforeTheLastOneIsJudged) {
  task.probe(1000);
  task.state.probe_explored = true;
  task.in.high_bytes = 1030 * kMiB;
  task.look_for(6s);
  EXPECT_EQ(probed_with_kept(790), 0);
  EXPECT_NEAR(probed_with_kept(600), 900, 0.1) << "what came above does not wait for that";
  task.look_for(2100ms);
  EXPECT_NEAR(probed_with_kept(790), 980, 0.1);
  task.probe(1000);
  task.state.probe_explored = false;
  task.state.step = 0.02;
  task.in.high_bytes = 1030 * kMiB;
  task.look_for(3s);
  EXPECT_NEAR(probed_with_kept(790), 980, 0.1) << "there is nothing to judge";
}

TEST_F(MemoryKept, ALimitThatWasLeftFarAboveIsBroughtDown) {
  not_to_explore_yet();
  EXPECT_NEAR(probed_with_kept(780), 1030, 0.1) << "room as for any task";
  task.in.high_bytes = 1100 * kMiB;
  EXPECT_NEAR(probed_with_kept(780), 1030, 0.1);
  task.in.high_bytes = 1070 * kMiB;
  EXPECT_EQ(probed_with_kept(780), 0) << "not worth a write";
  task.in.high_bytes = 2000 * kMiB;
  EXPECT_NEAR(probed_with_kept(890), 1130, 0.1) << "it may yet take in what it needs";
  task.state.peak_growth_bytes = 100 * kMiB;
  EXPECT_NEAR(probed_with_kept(780), 1150, 0.1);
}

}  // namespace
}  // namespace sluice::testing
