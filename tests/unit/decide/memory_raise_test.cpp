// What raises memory.high, how far, and what does not.
#include "tests/unit/decide/memory_task.hpp"

namespace sluice::testing {
namespace {

// At its limit of 1000 MiB, quiet so far.
class MemoryRaise : public ::testing::Test {
 protected:
  MemoryRaise() { task.look_for(1s); }
  MemoryTask task{1000};
};

TEST_F(MemoryRaise, AQuietTaskAtItsLimitIsLeftThere) {
  EXPECT_NE(task.rule(), Rule::memory_pressure);
  EXPECT_NE(task.rule(), Rule::memory_refault);
  EXPECT_NE(task.rule(), Rule::memory_growth);
  EXPECT_NE(task.rule(), Rule::memory_room);
}

TEST_F(MemoryRaise, AStallIsAnsweredAtOnceAndTheMoreTheWorse) {
  task.stall_for(500ms, 0.012);
  EXPECT_EQ(task.rule(), Rule::memory_pressure);
  const double graze = task.wanted();
  EXPECT_GT(graze, 1020);
  EXPECT_LT(graze, 1050);
  task.stall_for(500ms, 0.9);
  EXPECT_GT(task.wanted(), 1250);
  EXPECT_LT(task.wanted(), 1450);
  task.in.pressure_target = 1e-6;
  EXPECT_NEAR(task.wanted(), 1500, 1) << "half as much again at most";
}

TEST_F(MemoryRaise, ItGoesUpFromWhatIsInUseWhereThatIsMore) {
  task.uses(1100);
  task.stall_for(500ms, 0.012);
  EXPECT_GT(task.wanted(), 1120);
  task.uses(960);
  EXPECT_GT(task.wanted(), 1020) << "and never below where it is";
}

TEST_F(MemoryRaise, FarFromItTheLimitIsNotTheCause) {
  task.uses(900);
  task.stall_for(10s, 0.5);
  EXPECT_NE(task.rule(), Rule::memory_pressure);
  task.refault_for(10s, 50);
  EXPECT_NE(task.rule(), Rule::memory_refault);
}

TEST_F(MemoryRaise, ASmallStallThatLastsIsAnsweredWithinTenSeconds) {
  task.stall_for(2s, 0.005);
  EXPECT_NE(task.rule(), Rule::memory_pressure);
  task.stall_for(6s, 0.005);
  EXPECT_EQ(task.rule(), Rule::memory_pressure);
  EXPECT_NEAR(task.wanted(), 1030, 1);
  EXPECT_NEAR(task.wants().reason.pressure_ratio, 0.0044, 0.0005) << "of all that time";
}

TEST_F(MemoryRaise, ASmallStallThatLastsIsSeenAfterAMinuteToo) {
  task.look_for(60s);
  task.stall_for(8s, 0.005);
  EXPECT_EQ(task.rule(), Rule::memory_pressure);
}

TEST_F(MemoryRaise, WhatProbesMayCostIsNotAnswered) {
  task.stall_for(30s, 0.0025);
  EXPECT_NE(task.rule(), Rule::memory_pressure);
}

TEST_F(MemoryRaise, StallsOfTenSecondsAgoAreOver) {
  task.stall_for(1s, 0.05);
  ASSERT_EQ(task.rule(), Rule::memory_pressure);
  task.look_for(9s);
  EXPECT_EQ(task.rule(), Rule::memory_pressure) << "not yet";
  task.look_for(1500ms);
  EXPECT_NE(task.rule(), Rule::memory_pressure);
}

TEST_F(MemoryRaise, StallsRightAfterAProbeAreItsPrice) {
  task.probe(950);
  task.stall_for(300ms, 0.05);
  EXPECT_NE(task.rule(), Rule::memory_pressure);
  task.look_for(200ms);
  EXPECT_NE(task.rule(), Rule::memory_pressure) << "nor is it a verdict later";
}

TEST_F(MemoryRaise, StallsThatGoOnAfterAProbeAreNot) {
  task.probe(950);
  task.stall_for(500ms, 0.02);
  EXPECT_EQ(task.rule(), Rule::memory_pressure);
}

TEST_F(MemoryRaise, AStandstillAfterAProbeIsAnsweredAtOnce) {
  task.in.pressure_target = 0.01;
  task.probe(950);
  task.stall_for(300ms, 0.2);
  EXPECT_EQ(task.rule(), Rule::memory_pressure);
}

TEST_F(MemoryRaise, WhatWasNotMeasuredIsNoSign) {
  for (auto* signal : {&task.seen.memory_pressure_ratio, &task.seen.memory_full_pressure_ratio,
                       &task.seen.refaults_per_second, &task.seen.pgscan_per_second})
    signal->reset();
  task.look_for(5s);
  EXPECT_FALSE(task.wants().changes());
}

TEST_F(MemoryRaise, LongAfterAProbeTheLastMomentCounts) {
  task.probe(950);
  task.look_for(60s);
  task.stall_for(400ms, 0.015);
  EXPECT_EQ(task.rule(), Rule::memory_pressure);
  EXPECT_NEAR(task.wants().reason.pressure_ratio, 0.012, 0.001);
}

TEST_F(MemoryRaise, MemoryThatIsReadAgainIsGivenBack) {
  task.refault_for(1s, 1.5);
  EXPECT_NE(task.rule(), Rule::memory_refault) << "less than a five-hundredth a second";
  task.refault_for(1s, 3);
  EXPECT_EQ(task.rule(), Rule::memory_refault);
  EXPECT_NEAR(task.wanted(), 1050, 1);
  EXPECT_NEAR(task.wants().reason.refaults_per_second, 3 * kPagesOfMiB, 1);
  task.uses(1200);
  EXPECT_NEAR(task.wanted(), 1260, 1);
  task.uses(960);
  EXPECT_NEAR(task.wanted(), 1050, 1);
}

TEST_F(MemoryRaise, AfterAProbeThatFailedWhatIsNeededIsGivenBack) {
  task.state.keep_bytes = 900 * kMiB;
  EXPECT_NE(task.rule(), Rule::memory_refault);
  task.state.probe_failed = true;
  EXPECT_EQ(task.rule(), Rule::memory_refault);
  EXPECT_NEAR(task.wanted(), 1.03 * (210 + 900), 1) << "with what reclaim cannot free";
  task.state.keep_bytes = 760 * kMiB;
  EXPECT_NE(task.rule(), Rule::memory_refault) << "there is room for that";
  task.state.keep_bytes = 900 * kMiB;
  task.uses(900);
  EXPECT_NE(task.rule(), Rule::memory_refault) << "it does not need the room now";
  task.uses(1000);
  task.sample.memory_stat.reset();
  EXPECT_NE(task.rule(), Rule::memory_refault) << "what cannot be freed is not known";
}

TEST_F(MemoryRaise, NothingIsRaisedAtTheBound) {
  task.in.max_bytes = 1005 * kMiB;  // within the tolerance
  task.stall_for(1s, 0.5);
  task.refault_for(1s, 50);
  EXPECT_FALSE(task.wants().changes());
  task.in.max_bytes = 1500 * kMiB;
  EXPECT_TRUE(task.wants().changes());
}

TEST_F(MemoryRaise, ALimitBelowWhatCannotBeFreedIsLiftedAbove) {
  task.uses(1000, 950);
  EXPECT_EQ(task.rule(), Rule::memory_floor);
  EXPECT_NEAR(task.wanted(), 1.03 * 1.1 * 960, 1);
  task.in.min_bytes = 2000 * kMiB;
  EXPECT_NEAR(task.wanted(), 1.03 * 2000, 1);
}

TEST_F(MemoryRaise, WithoutALimitThereIsNothingToRaise) {
  task.in.high_bytes = kUnlimited;
  task.uses(1000, 950);
  task.stall_for(1s, 0.5);
  EXPECT_FALSE(task.wants().changes());
}

// Reclaim that frees nothing.
class MemoryFutile : public MemoryRaise {
 protected:
  void reclaim_for(Nsec time, double scanned_per_second, double stolen_share) {
    task.seen.pgscan_per_second = scanned_per_second;
    task.seen.pgsteal_per_second = stolen_share * scanned_per_second;
    task.look_for(time);
  }
};

TEST_F(MemoryFutile, LiftsTheLimitToTheBound) {
  reclaim_for(500ms, 5000, 0.02);
  EXPECT_EQ(task.rule(), Rule::memory_futile);
  EXPECT_EQ(task.wanted(), 4000);
  EXPECT_NEAR(task.wants().reason.steal_scan_ratio, 0.02, 1e-6);
  EXPECT_EQ(task.wants().reason.wanted, 4000 * kMiB);
}

TEST_F(MemoryFutile, IsNotWhatFreesMemory) {
  reclaim_for(500ms, 5000, 0.5);
  EXPECT_NE(task.rule(), Rule::memory_futile);
}

TEST_F(MemoryFutile, IsNotToldFromAFewPages) {
  reclaim_for(500ms, 500, 0);
  EXPECT_NE(task.rule(), Rule::memory_futile);
  EXPECT_EQ(decide_memory(task.in, MemoryState{}).reason.rule, Rule::none) << "nor from none";
}

TEST_F(MemoryFutile, IsATaskOfWhichEveryThreadStandsStill) {
  task.seen.memory_full_pressure_ratio = 0.15;
  task.look_for(1s);
  EXPECT_NE(task.rule(), Rule::memory_futile);
  task.seen.memory_full_pressure_ratio = 0.3;
  task.look_for(1s);
  EXPECT_EQ(task.rule(), Rule::memory_futile);
}

TEST_F(MemoryFutile, IsNotTheLimitsDoingFarFromIt) {
  task.uses(900);
  task.seen.memory_full_pressure_ratio = 0.5;
  reclaim_for(1s, 5000, 0.02);
  EXPECT_NE(task.rule(), Rule::memory_futile);
}

TEST_F(MemoryFutile, IsOfTheLastMoment) {
  reclaim_for(1s, 5000, 0.02);
  reclaim_for(600ms, 0, 0);
  EXPECT_NE(task.rule(), Rule::memory_futile);
}

TEST_F(MemoryFutile, AtTheBoundNothingCanBeDone) {
  task.in.max_bytes = 1000 * kMiB;
  reclaim_for(1s, 5000, 0.02);
  EXPECT_FALSE(task.wants().changes());
}

TEST_F(MemoryFutile, AWriteThatHungIsAnsweredWithTheBound) {
  task.in.write_blocked = true;
  task.in.signals = nullptr;  // an event tick
  task.look(1ms);
  EXPECT_EQ(task.rule(), Rule::memory_futile);
  EXPECT_EQ(task.wanted(), 4000);
}

TEST_F(MemoryFutile, TellsNumbersThoughNothingWasSeenUnderTheNewLimit) {
  task.write(1050, Rule::memory_pressure);
  task.in.write_blocked = true;
  task.in.signals = nullptr;
  task.look(1ms);
  ASSERT_EQ(task.rule(), Rule::memory_futile);
  EXPECT_EQ(task.wants().reason.pressure_ratio, 0);
  EXPECT_EQ(task.wants().reason.refaults_per_second, 0);
  EXPECT_EQ(task.wants().reason.steal_scan_ratio, 1);
}

TEST(MemoryDecide, NothingWithoutASample) {
  MemoryTask task(1000);
  task.in.write_blocked = true;
  task.look_for(5s);
  ASSERT_TRUE(task.wants().changes());
  task.sample.memory_current.reset();
  EXPECT_FALSE(task.wants().changes());
  task.in.sample = nullptr;
  EXPECT_FALSE(task.wants().changes());
}

// A task near its limit that grows or reads page cache.
class MemoryRoom : public ::testing::Test {
 protected:
  void inflow(double mib_per_second) { task.state.inflow_bytes_per_second = mib_per_second * kMiB; }
  void burst(double mib) { task.state.peak_growth_bytes = mib * kMiB; }
  void growth(double mib_per_second) { task.state.growth_bytes_per_second = mib_per_second * kMiB; }
  // The value wanted with this limit; zero: none.
  double raised_from(double high_mib) {
    task.in.high_bytes = high_mib * kMiB;
    const Rule rule = task.rule();
    return rule == Rule::memory_growth || rule == Rule::memory_room ? task.wanted() : 0;
  }
  MemoryTask task{1000};
};

TEST_F(MemoryRoom, ATaskThatGrowsIsGivenTheGrowthOfAnInterval) {
  growth(20);
  EXPECT_NEAR(raised_from(1005), 1040, 1);
  EXPECT_EQ(task.rule(), Rule::memory_growth);
  task.in.interval_seconds = 4;
  EXPECT_NEAR(raised_from(1005), 1080, 1);
  growth(200);
  EXPECT_NEAR(raised_from(1055), 1100, 1) << "a tenth at one time";
  EXPECT_EQ(raised_from(1065), 0) << "it will not meet its limit soon";
  growth(3);
  EXPECT_EQ(raised_from(1001), 0) << "less than is worth a write";
}

TEST_F(MemoryRoom, WhatFlowsInSteadilyFindsRoomForAQuarterOfAMinute) {
  inflow(5);
  EXPECT_NEAR(raised_from(1010), 1075, 1);
  EXPECT_EQ(task.rule(), Rule::memory_room) << "it does not grow";
  EXPECT_EQ(raised_from(1035), 0) << "two fifths of it are left";
  inflow(100);
  EXPECT_NEAR(raised_from(1010), 1200, 1) << "a fifth of what is in use at most";
  inflow(0.5);
  EXPECT_NEAR(raised_from(1005), 1030, 1) << "a little at least";
  inflow(0.2);
  EXPECT_EQ(raised_from(1005), 0) << "nothing moves";
}

TEST_F(MemoryRoom, WhatComesAtOneGoFindsRoomForThatAndHalfAgain) {
  burst(60);
  EXPECT_NEAR(raised_from(1010), 1090, 1);
  burst(2000);
  EXPECT_NEAR(raised_from(1010), 1200, 1) << "a fifth of what is in use at most";
  burst(4);
  EXPECT_EQ(raised_from(1005), 0);
}

TEST_F(MemoryRoom, TheLargerOfTheTwoCounts) {
  inflow(5);
  burst(60);
  EXPECT_NEAR(raised_from(1010), 1090, 1);
  growth(60);
  EXPECT_NEAR(raised_from(1010), 1100, 1);
  growth(4);
  EXPECT_NEAR(raised_from(1010), 1090, 1);
}

TEST_F(MemoryRoom, WhatTheToleranceWouldSwallowIsNotAskedFor) {
  inflow(0.5);
  task.in.tolerance = 0.05;
  EXPECT_EQ(raised_from(1005), 0);
}

}  // namespace
}  // namespace sluice::testing
