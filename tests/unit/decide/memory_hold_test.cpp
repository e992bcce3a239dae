// How long there are no probes after a raise.
#include "tests/unit/decide/memory_task.hpp"

namespace sluice::testing {
namespace {

// Quiet, at a limit that it has just reached.
class MemoryHold : public ::testing::Test {
 protected:
  MemoryHold() { task.look_for(5s); }
  double seconds_after(double to_mib, Rule rule, double from_mib = 1000) {
    task.in.high_bytes = from_mib * kMiB;
    task.write(to_mib, rule);
    return std::chrono::duration<double>(task.until_probed()).count();
  }
  MemoryTask task{1000};
};

TEST_F(MemoryHold, AfterAStallFiveIntervals) {
  EXPECT_NEAR(seconds_after(1300, Rule::memory_pressure), 10, 0.3);
  task.in.interval_seconds = 4;
  EXPECT_NEAR(seconds_after(1300, Rule::memory_pressure), 20, 0.3);
}

TEST_F(MemoryHold, AfterAGrazeTwo) {
  EXPECT_NEAR(seconds_after(1050, Rule::memory_pressure), 4, 0.3);
  EXPECT_NEAR(seconds_after(1050, Rule::memory_refault), 4, 0.3);
}

TEST_F(MemoryHold, AfterALiftToTheFloorOne) {
  EXPECT_NEAR(seconds_after(1300, Rule::memory_floor), 2, 0.3);
}

TEST_F(MemoryHold, AfterRoomForGrowthNone) {
  EXPECT_LT(seconds_after(1300, Rule::memory_growth), 0.2);
}

TEST_F(MemoryHold, AfterReclaimThatFreedNothingLongerEachTimeAndTenMinutesAtMost) {
  for (const double expected : {30, 60, 120, 240, 480, 600, 600})
    EXPECT_NEAR(seconds_after(4000, Rule::memory_futile), expected, 0.3);
}

TEST_F(MemoryHold, WhatWasFutileIsPastAfterARunOfCleanProbes) {
  seconds_after(4000, Rule::memory_futile);
  seconds_after(4000, Rule::memory_futile);
  // One lift is not a series.
  task.write(980, Rule::memory_probe);
  EXPECT_NEAR(seconds_after(4000, Rule::memory_futile), 120, 0.3);
  for (int i = 0; i < 30; ++i) {
    const double to = task.wanted();
    ASSERT_EQ(task.rule(), Rule::memory_probe);
    task.write(to, Rule::memory_probe);
    task.write(4000, Rule::memory_growth);
    task.until_probed();
  }
  EXPECT_NEAR(seconds_after(4000, Rule::memory_futile), 30, 0.3);
}

TEST_F(MemoryHold, AWriteThatHungIsForgottenOnceTheLimitIsLifted) {
  task.in.write_blocked = true;
  task.look();
  ASSERT_EQ(task.rule(), Rule::memory_futile);
  EXPECT_NEAR(seconds_after(4000, Rule::memory_futile), 30, 0.3) << "and the limit goes down again";
  task.write(980, Rule::memory_probe);
  task.look();
  EXPECT_NE(task.rule(), Rule::memory_futile);
}

TEST_F(MemoryHold, AWriteThatHungIsNotForgottenByAnotherRaise) {
  task.in.write_blocked = true;
  task.look();
  task.write(1300, Rule::memory_pressure);
  EXPECT_EQ(task.rule(), Rule::memory_futile);
}

TEST_F(MemoryHold, WhatWasSeenUnderTheOldLimitSaysNothingOfTheNewOne) {
  task.stall_for(5s, 0.2);
  ASSERT_EQ(task.rule(), Rule::memory_pressure);
  task.write(1040, Rule::memory_pressure);
  task.uses(1030);
  task.look();
  EXPECT_NE(task.rule(), Rule::memory_pressure);
  task.stall_for(7s, 0.005);
  EXPECT_EQ(task.rule(), Rule::memory_pressure);
}

TEST_F(MemoryHold, ARaiseMakesTheNextStepSmaller) {
  task.state.step = 0.08;
  task.write(1050, Rule::memory_pressure);
  EXPECT_DOUBLE_EQ(task.state.step, 0.04);
  for (int i = 0; i < 20; ++i) task.write(1050, Rule::memory_refault);
  EXPECT_DOUBLE_EQ(task.state.step, 0.002) << "but never nothing";
  task.state.step = 0.08;
  task.write(1100, Rule::memory_growth);
  EXPECT_DOUBLE_EQ(task.state.step, 0.08) << "growth is no mistake to learn from";
}

}  // namespace
}  // namespace sluice::testing
