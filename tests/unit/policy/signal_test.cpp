#include "daemon/signal/signal.hpp"

#include <gtest/gtest.h>

namespace sluice {
namespace {

using namespace std::chrono_literals;

Sample sample_at(MonotonicTime at) {
  Sample s;
  s.id = CgroupId{7};
  s.read_at = at;
  s.cpu = CpuUsage{1s, 1s, 0s};
  s.bandwidth = CpuBandwidth{10, 5, 2s};
  s.memory_pressure = PressureTotals{1s, 500ms};
  s.memory_stat = MemoryStat{.anon = 1000, .workingset_refault_file = 10, .pgscan = 100, .pgsteal = 50};
  return s;
}

TEST(Signals, RatesFromTwoSamples) {
  const Sample a = sample_at(10s);
  Sample b = sample_at(12s);
  b.cpu->usage += 1s;
  b.bandwidth = CpuBandwidth{30, 15, 3s};
  b.memory_pressure = PressureTotals{1s + 200ms, 500ms};
  b.memory_stat->workingset_refault_file += 8;
  b.memory_stat->anon = 3000;
  const Signals s = derive_signals(a, b);
  EXPECT_DOUBLE_EQ(s.interval_seconds, 2);
  EXPECT_DOUBLE_EQ(*s.usage_cores, 0.5);
  EXPECT_EQ(*s.periods, 20U);
  EXPECT_EQ(*s.throttled_periods, 10U);
  EXPECT_DOUBLE_EQ(*s.throttled_cores, 0.5);
  EXPECT_DOUBLE_EQ(*s.memory_pressure_ratio, 0.1);
  EXPECT_DOUBLE_EQ(*s.memory_full_pressure_ratio, 0);
  EXPECT_DOUBLE_EQ(*s.refaults_per_second, 4);
  EXPECT_DOUBLE_EQ(*s.anon_growth_bytes_per_second, 1000);
}

TEST(Signals, ACounterThatRanBackwardsHasNoRate) {
  const Sample a = sample_at(10s);
  Sample b = sample_at(11s);
  b.cpu->usage = 10ms;
  b.bandwidth->nr_throttled = 0;
  b.memory_stat->pgscan = 1;
  const Signals s = derive_signals(a, b);
  EXPECT_FALSE(s.usage_cores);
  EXPECT_FALSE(s.throttled_periods);
  EXPECT_TRUE(s.periods);
  EXPECT_FALSE(s.pgscan_per_second);
}

TEST(Signals, NoneAcrossARecreatedCgroup) {
  const Sample a = sample_at(10s);
  Sample b = sample_at(11s);
  b.id = CgroupId{8};
  const Signals s = derive_signals(a, b);
  EXPECT_EQ(s.interval_seconds, 0);
  EXPECT_FALSE(s.usage_cores);
}

TEST(Signals, NoneWhenTimeStoodStill) {
  const Sample a = sample_at(10s);
  EXPECT_FALSE(derive_signals(a, a).usage_cores);
}

TEST(Signals, AGroupMissingOnEitherSideIsMissing) {
  Sample a = sample_at(10s);
  const Sample b = sample_at(11s);
  a.memory_pressure.reset();
  a.bandwidth.reset();
  const Signals s = derive_signals(a, b);
  EXPECT_FALSE(s.memory_pressure_ratio);
  EXPECT_FALSE(s.periods);
  EXPECT_TRUE(s.usage_cores);
}

TEST(Signals, PressureIsNeverMoreThanOne) {
  const Sample a = sample_at(10s);
  Sample b = sample_at(10s + 100ms);
  b.memory_pressure->some += 101ms;
  EXPECT_DOUBLE_EQ(*derive_signals(a, b).memory_pressure_ratio, 1.0);
}

}  // namespace
}  // namespace sluice
