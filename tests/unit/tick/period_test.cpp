// Short CFS periods: the kernel takes no quota below 1 ms, so a small quota needs a longer period.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "tests/unit/policy_inputs.hpp"

namespace sluice::testing {
namespace {

TEST(Period, StaysTheTasksOwnWhereTheQuotaFits) {
  EXPECT_EQ(cpu_max_of(0.5, 100ms), (CpuMax{50ms, 100ms}));
  EXPECT_EQ(cpu_max_of(2, 1ms), (CpuMax{2ms, 1ms}));
  EXPECT_EQ(cpu_max_of(0.2, 5ms), (CpuMax{1ms, 5ms}));
  EXPECT_EQ(cpu_max_of(0.05, 1s), (CpuMax{50ms, 1s}));
}

TEST(Period, IsTheShortestMultipleThatHoldsASmallQuota) {
  EXPECT_EQ(cpu_max_of(0.5, 1ms), (CpuMax{1ms, 2ms}));
  EXPECT_EQ(cpu_max_of(0.3, 1ms), (CpuMax{1200us, 4ms}));
  EXPECT_EQ(cpu_max_of(0.05, 5ms), (CpuMax{1ms, 20ms}));
  EXPECT_EQ(cpu_max_of(0.01, 1ms), (CpuMax{1ms, 100ms}));
  EXPECT_EQ(cpu_max_of(0.001, 1ms), (CpuMax{1ms, 100ms})) << "no longer than that";
}

TEST(Period, Properties) {
  EXPECT_TRUE(
      rc::check("every quota from a hundredth of a core on is held, in a period that the kernel takes", [] {
        const double cores = *rc::gen::inRange(10, 8000) / 1000.0;
        const Usec own{*rc::gen::inRange(1'000, 1'000'001)};
        const CpuMax v = cpu_max_of(cores, own);
        RC_ASSERT(*v.quota >= kCpuQuotaMin);
        RC_ASSERT(v.period >= own && v.period <= std::max<Usec>(own, 100ms));
        RC_ASSERT(v.period % own == 0us);
        // A period without a multiple of exactly 100 ms permits slightly more than a hundredth.
        const double least =
            cores_of({kCpuQuotaMin, std::max<Usec>(own, Usec{100'000 / own.count() * own.count()})});
        RC_ASSERT(std::abs(cores_of(v) - std::max(cores, least)) < 0.001);
      }));
}

// Baseline: two cores with a period of 5 ms.
Bench idle_for(Nsec length, double min) {
  Bench b;
  b.config.tasks[0].policy.cpu.min_cores = min;
  b.add(1, CpuMax{10ms, 5ms});
  for (Nsec t{}; t < length; t += 100ms) {
    b.run_cpu(1, 100ms, 0, false);
    b.full();
  }
  return b;
}

TEST(Period, AnIdleTaskGetsToItsMinimumAndItsOwnPeriodComesBack) {
  Bench b = idle_for(15s, 0.05);
  EXPECT_NEAR(b.quota(), 0.05, 0.001);
  EXPECT_EQ(std::get<CpuMax>(b.task().cpu.limit.value()).period, 20ms);
  EXPECT_EQ(write_to(b.stop_plan(), Knob::cpu_max)->value, KnobValue(CpuMax{10ms, 5ms}));
  for (int i = 0; i < 100 && b.quota() < 0.3; ++i) {
    b.run_cpu(1, 100ms, b.quota(), true, 1);
    b.full();
  }
  EXPECT_EQ(std::get<CpuMax>(b.task().cpu.limit.value()).period, 5ms) << "and as soon as the quota fits";
}

TEST(Period, AMaximumHolds) {
  Bench b;
  b.config.tasks[0].policy.cpu.max_cores = 0.5;
  b.add(1, CpuMax{1ms, 1ms});
  for (int i = 0; i < 5; ++i) b.full();
  EXPECT_EQ(b.task().cpu.limit.value(), KnobValue(CpuMax{1ms, 2ms}));
}

}  // namespace
}  // namespace sluice::testing
