// How a forecast changes the quota that current load requires.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

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

double quota_after(const Intent& intent, double quota) {
  return intent.changes() ? intent.value : quota;
}

// Whatever is known of the task: a forecast keeps or raises the quota, within the bounds.
RC_GTEST_PROP(CpuFloors, NeverLowerAQuota, ()) {
  const auto cores = [](double most) { return *rc::gen::inRange(0, 1000) * most / 1000; };
  const auto now = MonotonicTime{1000s};
  Signals signals;
  signals.interval_seconds = 0.1;
  signals.usage_cores = cores(3);
  signals.throttled_cores = cores(1);
  signals.periods = 1;
  signals.throttled_periods = *rc::gen::inRange(0, 2);
  CpuState s;
  s.observed_since = MonotonicTime{1s};
  for (int i = 0; i < 5; ++i) s.arrivals.push_back({now, 0.1, cores(3)});
  s.surplus_core_seconds = s.saving_core_seconds = cores(10);
  s.last_usage_cores = *signals.usage_cores;
  if (*rc::gen::arbitrary<bool>()) s.oldest_wait_since = s.throttled_since = now - 700ms;
  if (*rc::gen::arbitrary<bool>()) s.threads_most = s.threads_now = 1 + cores(7);
  if (*rc::gen::arbitrary<bool>()) {
    s.backlog_known = true;
    s.backlog_cpu_seconds = cores(2);
    s.waiting.push_back({now - 300ms, s.backlog_cpu_seconds});
  }
  CpuInput in;
  in.now = now;
  in.quota_cores = *rc::gen::arbitrary<bool>() ? 0.05 + cores(4) : kUnlimited;
  in.max_cores = 4;
  in.min_cores = 0.05;
  in.node_cores = 8;
  in.step_cores = *rc::gen::arbitrary<bool>() ? 1 : 0;
  in.writes_left = static_cast<std::uint32_t>(*rc::gen::inRange(1, 60));
  in.budget_spent_ratio = 1 - in.writes_left / 60.0;
  in.memory_stalled = *rc::gen::arbitrary<bool>();
  if (*rc::gen::arbitrary<bool>()) in.signals = &signals;
  const double without = quota_after(decide_cpu(in, s), in.quota_cores);
  in.forecast_cores = in.forecast_floor_cores = cores(6);
  const Intent intent = decide_cpu(in, s);
  const double with = quota_after(intent, in.quota_cores);
  RC_ASSERT(with >= without);
  RC_ASSERT(!intent.changes() || with <= std::max(without, in.max_cores));
  if (intent.reason.rule == Rule::forecast)
    RC_ASSERT(with == std::min(in.forecast_floor_cores, in.max_cores));
}

TEST(CpuFloors, LeaveTheLastWritesToTheLoadThatIsThere) {
  CpuInput in;
  in.now = MonotonicTime{1000s};
  in.quota_cores = 0.5;
  in.max_cores = 4;
  in.forecast_cores = 2.2;
  in.forecast_floor_cores = 2;
  in.writes_left = 4;
  const CpuState s;
  const Intent up = decide_cpu(in, s);
  EXPECT_EQ(up.reason.rule, Rule::forecast);
  EXPECT_EQ(up.value, 2);
  EXPECT_EQ(up.reason.demand_cores, 2.2);
  in.writes_left = 3;
  EXPECT_FALSE(decide_cpu(in, s).changes());
  in.writes_left = 60;
  in.memory_stalled = true;
  EXPECT_FALSE(decide_cpu(in, s).changes()) << "its work may wait for memory, and CPU would not help";
  in.memory_stalled = false;
  in.forecast_floor_cores = 0.54;
  EXPECT_FALSE(decide_cpu(in, s).changes()) << "not worth a write";
}

}  // namespace
}  // namespace sluice::testing
