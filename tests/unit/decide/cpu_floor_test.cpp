// What a forecast makes of the quota that the present asks for.
#include "tests/unit/decide/cpu_task.hpp"

namespace sluice::testing {
namespace {

class CpuFloor : public ::testing::Test {
 protected:
  CpuTask task{2};
};

TEST_F(CpuFloor, ACutGoesNoLowerAndSaysWhy) {
  task.look_for(10s, 0.5);
  ASSERT_LT(task.wants().value, 0.6);
  EXPECT_FALSE(task.wants().reason.clamped_forecast);
  task.in.forecast_floor_cores = 1.5;
  EXPECT_EQ(task.wants().value, 1.5);
  EXPECT_EQ(task.wants().reason.rule, Rule::cpu_surplus);
  EXPECT_TRUE(task.wants().reason.clamped_forecast);
}

TEST_F(CpuFloor, ACutThatItMakesWorthlessIsNotWritten) {
  task.look_for(10s, 0.5);
  ASSERT_TRUE(task.wants().changes());
  task.in.forecast_floor_cores = 1.8;
  EXPECT_FALSE(task.wants().changes());
}

TEST_F(CpuFloor, AFirstQuotaThatItMakesWorthlessIsNotWritten) {
  task.in.quota_cores = kUnlimited;
  task.look_for(10s, 0.5);
  ASSERT_EQ(task.wants().reason.rule, Rule::cpu_unlimited);
  task.in.forecast_floor_cores = 3.7;
  EXPECT_FALSE(task.wants().changes());
  task.in.forecast_floor_cores = 3;
  EXPECT_EQ(task.wants().value, 3);
}

TEST_F(CpuFloor, ARaiseGoesAsFarAtLeast) {
  task.waits(1.7);
  const double present = task.wants().value;
  task.in.forecast_floor_cores = present + 0.1;
  EXPECT_EQ(task.wants().reason.rule, Rule::cpu_deadline);
  EXPECT_DOUBLE_EQ(task.wants().value, present + 0.1);
  task.in.forecast_floor_cores = present - 0.1;
  EXPECT_DOUBLE_EQ(task.wants().value, present);
  EXPECT_FALSE(task.wants().reason.clamped_forecast);
}

TEST_F(CpuFloor, NoForecastGoesBeyondTheMaximum) {
  task.in.forecast_floor_cores = 100;
  EXPECT_EQ(task.wants().reason.rule, Rule::forecast);
  EXPECT_EQ(task.wants().value, 4);
}

TEST_F(CpuFloor, ATaskWithoutALimitIsGivenNoneByAForecast) {
  task.in.quota_cores = kUnlimited;
  task.in.forecast_floor_cores = 100;
  EXPECT_FALSE(task.wants().changes());
}

TEST_F(CpuFloor, ARaiseThatIsSmallIsNotWorthItsWrite) {
  task.in.forecast_floor_cores = 2.15;
  EXPECT_FALSE(task.wants().changes());
  task.in.forecast_floor_cores = 2.25;
  EXPECT_TRUE(task.wants().changes());
}

}  // namespace
}  // namespace sluice::testing
