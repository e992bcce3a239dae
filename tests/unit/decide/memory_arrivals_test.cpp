// Memory that arrives in a task, and its stalls under the limit.
#include "tests/unit/decide/memory_task.hpp"

namespace sluice::testing {
namespace {

class MemoryArrivals : public ::testing::Test {
 protected:
  double inflow() const { return task.state.inflow_bytes_per_second / kMiB; }
  double burst() const { return task.state.peak_growth_bytes / kMiB; }
  MemoryTask task;
};

TEST_F(MemoryArrivals, InflowIsTheMeanOfSomeSeconds) {
  task.grow_for(1s, 10);
  EXPECT_GT(inflow(), 1);
  EXPECT_LT(inflow(), 3);
  task.grow_for(30s, 10);
  EXPECT_NEAR(inflow(), 10, 0.1);
  task.look_for(30s);
  EXPECT_LT(inflow(), 0.1);
  task.seen.memory_growth_bytes_per_second = 10 * kMiB;
  task.look(60s);
  EXPECT_NEAR(inflow(), 10, 0.1) << "after a gap the new look is all there is";
}

TEST_F(MemoryArrivals, WhatReclaimTookMeanwhileHadCome) {
  task.seen.pgsteal_per_second = 10 * kPagesOfMiB;
  task.look_for(30s);
  EXPECT_NEAR(inflow(), 10, 0.1) << "in use stays the same";
  task.grow_for(30s, -10);
  EXPECT_NEAR(inflow(), 0, 0.1) << "evicted, and nothing comes";
}

TEST_F(MemoryArrivals, ATaskThatGivesMemoryBackHasNoInflow) {
  task.grow_for(30s, -50);
  EXPECT_EQ(inflow(), 0);
  EXPECT_EQ(burst(), 0);
  task.grow_for(1s, 10);
  EXPECT_GT(inflow(), 1) << "and no debt of one";
}

TEST_F(MemoryArrivals, AreNotKnownWhereTheUseIsNot) {
  task.grow_for(30s, 10);
  task.look();
  const double growth = task.state.growth_bytes_per_second;
  task.seen.memory_growth_bytes_per_second.reset();
  task.look_for(30s);
  EXPECT_NEAR(inflow(), 10, 0.5);
  EXPECT_EQ(task.state.growth_bytes_per_second, growth);
}

TEST_F(MemoryArrivals, ABurstIsWhatComesAtOneGo) {
  task.grow_for(200ms, 200);
  EXPECT_GT(burst(), 25);
  EXPECT_LT(burst(), 45);
  const double once = burst();
  for (int i = 0; i < 10; ++i) {
    task.look_for(2s);
    task.grow_for(200ms, 200);
  }
  EXPECT_LT(burst(), 1.1 * once) << "ten apart are not one";
  MemoryTask evicted;
  evicted.grow_for(200ms, -200);
  evicted.grow_for(200ms, 200);
  EXPECT_NEAR(evicted.state.peak_growth_bytes / kMiB, once, 0.1) << "nor one that comes back none";
}

TEST_F(MemoryArrivals, ABurstIsForgottenInMinutes) {
  task.grow_for(200ms, 200);
  const double once = burst();
  task.look_for(1min);
  EXPECT_GT(burst(), 0.7 * once);
  task.look_for(10min);
  EXPECT_LT(burst(), 0.3 * once);
  task.grow_for(200ms, 20);
  EXPECT_LT(burst(), 0.3 * once);
}

TEST_F(MemoryArrivals, AFallIsNoGrowth) {
  // It grows by 20 MiB in one second and is evicted in the next.
  for (int i = 0; i < 20; ++i) {
    task.grow_for(1s, 20);
    task.grow_for(1s, -20);
  }
  EXPECT_NEAR(task.state.growth_bytes_per_second / kMiB, 20, 0.5) << "its pace while it grows";
  task.look_for(3s);
  EXPECT_LT(task.state.growth_bytes_per_second / kMiB, 0.1);
}

TEST_F(MemoryArrivals, GrowthFollowsWithinASecond) {
  task.grow_for(300ms, 20);
  EXPECT_GT(task.state.growth_bytes_per_second / kMiB, 8);
  EXPECT_LT(task.state.growth_bytes_per_second / kMiB, 18);
}

TEST_F(MemoryArrivals, AnonMayShrink) {
  task.seen.anon_growth_bytes_per_second = 20 * kMiB;
  task.look_for(3s);
  EXPECT_NEAR(task.state.anon_growth_bytes_per_second / kMiB, 20, 0.1);
  task.seen.anon_growth_bytes_per_second = -10 * kMiB;
  task.look_for(3s);
  EXPECT_NEAR(task.state.anon_growth_bytes_per_second / kMiB, -10, 0.1);
  task.seen.anon_growth_bytes_per_second = 0;
  task.look();
  task.seen.anon_growth_bytes_per_second.reset();
  task.look_for(3s);
  EXPECT_NEAR(task.state.anon_growth_bytes_per_second / kMiB, -7, 0.1);
}

// Stalls beyond the permitted share under a limit.
class MemoryDebt : public ::testing::Test {
 protected:
  double debt() const { return task.state.debt_seconds; }
  MemoryTask task{1000};
};

TEST_F(MemoryDebt, GrowsByWhatIsMoreThanAShareOfTheTargetAndIsPaidOffByQuiet) {
  task.stall_for(10s, 0.0016);
  EXPECT_NEAR(debt(), 0.01, 1e-6);
  task.look_for(10s);
  EXPECT_NEAR(debt(), 0.004, 1e-6);
  task.look_for(1min);
  EXPECT_EQ(debt(), 0) << "there is no credit";
  task.stall_for(10s, 0.0005);
  EXPECT_EQ(debt(), 0);
}

TEST_F(MemoryDebt, IsNeverMoreThanTenMinutesCanPay) {
  task.stall_for(5min, 1);
  EXPECT_NEAR(debt(), 0.36, 1e-6);
  task.in.pressure_target = 0.01;
  task.stall_for(1min, 1);
  EXPECT_NEAR(debt(), 3.6, 1e-6);
}

TEST_F(MemoryDebt, IsNotTheLimitsWhereThereIsNone) {
  task.in.high_bytes = kUnlimited;
  task.stall_for(1min, 0.5);
  EXPECT_EQ(debt(), 0);
}

TEST_F(MemoryDebt, IsNotMadeByWhatWasNotMeasured) {
  task.seen.memory_pressure_ratio.reset();
  task.look_for(1min);
  EXPECT_EQ(debt(), 0);
}

}  // namespace
}  // namespace sluice::testing
