#include "daemon/signal/signal.hpp"

#include <gtest/gtest.h>

#include <utility>

namespace sluice {
namespace {

using namespace std::chrono_literals;

Sample sample_at(Nsec at) {
  Sample s;
  s.id = CgroupId{7};
  s.read_at = since_boot(at);
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

TEST(Signals, PagesOfAnyKindThatAreReadAgainCount) {
  Sample a = sample_at(10s);
  Sample b = sample_at(12s);
  a.memory_stat->workingset_refault_anon = 7;
  b.memory_stat->workingset_refault_anon = 7 + 6;
  EXPECT_DOUBLE_EQ(*derive_signals(a, b).refaults_per_second, 3);
  b.memory_stat->workingset_refault_file += 4;
  EXPECT_DOUBLE_EQ(*derive_signals(a, b).refaults_per_second, 5);
}

TEST(Signals, WhatReclaimScannedAndFreed) {
  const Sample a = sample_at(10s);
  Sample b = sample_at(12s);
  b.memory_stat->pgscan += 40;
  b.memory_stat->pgsteal += 10;
  const Signals s = derive_signals(a, b);
  EXPECT_DOUBLE_EQ(*s.pgscan_per_second, 20);
  EXPECT_DOUBLE_EQ(*s.pgsteal_per_second, 5);
}

TEST(Signals, MemoryGrowsAndShrinks) {
  Sample a = sample_at(10s), b = sample_at(12s);
  EXPECT_FALSE(derive_signals(a, b).memory_growth_bytes_per_second) << "it was not read";
  a.memory_current = 5000;
  EXPECT_FALSE(derive_signals(a, b).memory_growth_bytes_per_second);
  b.memory_current = 1000;
  b.memory_stat->anon = 200;
  const Signals s = derive_signals(a, b);
  EXPECT_DOUBLE_EQ(*s.memory_growth_bytes_per_second, -2000);
  EXPECT_DOUBLE_EQ(*s.anon_growth_bytes_per_second, -400);
}

TEST(Signals, EventsOfTheInterval) {
  Sample a = sample_at(10s), b = sample_at(12s);
  a.memory_events = MemoryEvents{};
  a.memory_events->high = 5;
  a.memory_events->oom_kill = 1;
  EXPECT_FALSE(derive_signals(a, b).high_events);
  b.memory_events = MemoryEvents{};
  b.memory_events->high = 12;
  b.memory_events->oom_kill = 3;
  const Signals s = derive_signals(a, b);
  EXPECT_EQ(*s.high_events, 7U) << "a count, not a rate";
  EXPECT_EQ(*s.oom_kills, 2U);
}

TEST(Signals, PressureOfEachKind) {
  Sample a = sample_at(10s), b = sample_at(12s);
  a.cpu_pressure = a.io_pressure = PressureTotals{1s, 1s};
  EXPECT_FALSE(derive_signals(a, b).cpu_pressure_ratio);
  EXPECT_FALSE(derive_signals(a, b).io_pressure_ratio);
  b.cpu_pressure = PressureTotals{1s + 500ms, 1s};
  b.io_pressure = PressureTotals{2s, 1s};
  b.memory_pressure = PressureTotals{1s + 100ms, 500ms + 50ms};
  const Signals s = derive_signals(a, b);
  EXPECT_DOUBLE_EQ(*s.cpu_pressure_ratio, 0.25);
  EXPECT_DOUBLE_EQ(*s.io_pressure_ratio, 0.5);
  EXPECT_DOUBLE_EQ(*s.memory_pressure_ratio, 0.05);
  EXPECT_DOUBLE_EQ(*s.memory_full_pressure_ratio, 0.025);
}

TEST(Signals, NoneWhenTimeRanBackwards) {
  const Signals s = derive_signals(sample_at(10s), sample_at(9s));
  EXPECT_EQ(s.interval_seconds, 0);
  EXPECT_FALSE(s.usage_cores);
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

TEST(Signals, TheKernelsPartOfTheUsage) {
  const Sample a = sample_at(10s);
  Sample b = sample_at(12s);
  b.cpu->usage += 1s;
  b.cpu->system += 500ms;
  EXPECT_DOUBLE_EQ(*derive_signals(a, b).system_cores, 0.25);
}

// Values that only kernel programs provide.
Sample watched_at(Nsec at) {
  Sample s = sample_at(at);
  s.io_pressure = PressureTotals{1s, 0s};
  s.runnable_threads = 3;
  s.throttle = ThrottleTotals{10, 2s, 40};
  s.run_queue = RunQueueWait{5s, {}};
  s.memory_stall = MemoryStallTotals{1s, 500ms};
  s.flow =
      SocketFlow{.sockets = 2, .received = 1000, .sent = 500, .unread = 100, .unsent = 50, .zero_window = 1s};
  return s;
}

TEST(Signals, ThrottledWallTimeAndWhatItStopped) {
  const Sample a = watched_at(10s);
  Sample b = watched_at(12s);
  b.throttle = ThrottleTotals{14, 2s + 500ms, 52};
  const Signals s = derive_signals(a, b);
  EXPECT_DOUBLE_EQ(*s.throttled_wall_ratio, 0.25);
  EXPECT_DOUBLE_EQ(*s.stopped_tasks_per_throttle, 3);
  EXPECT_EQ(*s.runnable_threads, 3);
}

TEST(Signals, NoThrottleStopsNobodyWhichIsKnownAndZero) {
  const Signals s = derive_signals(watched_at(10s), watched_at(11s));
  EXPECT_EQ(*s.throttled_wall_ratio, 0);
  EXPECT_EQ(*s.stopped_tasks_per_throttle, 0);
  EXPECT_EQ(*s.run_queue_wait_p99_usec, 0);
}

TEST(Signals, RunQueueWaitAndItsHighQuantile) {
  const Sample a = watched_at(10s);
  Sample b = watched_at(12s);
  b.run_queue->total += 1s;
  b.run_queue->log2_usec[3] = 990;  // 8 .. 16 us
  b.run_queue->log2_usec[10] = 10;  // 1 .. 2 ms: one in a hundred, so not yet above the 99th percentile
  Signals s = derive_signals(a, b);
  EXPECT_DOUBLE_EQ(*s.run_queue_wait_per_second, 0.5);
  EXPECT_EQ(*s.run_queue_wait_p99_usec, 16);
  b.run_queue->log2_usec[10] = 11;
  EXPECT_EQ(*derive_signals(a, b).run_queue_wait_p99_usec, 2048);
  b.run_queue->log2_usec[12] = 5;  // they belong to the longest waits too
  b.run_queue->log2_usec[10] = 6;
  EXPECT_EQ(*derive_signals(a, b).run_queue_wait_p99_usec, 2048);
}

TEST(Signals, MemoryStallAndThePartForBeingAboveHigh) {
  const Sample a = watched_at(10s);
  Sample b = watched_at(12s);
  b.memory_stall = MemoryStallTotals{1s + 400ms, 500ms + 100ms};
  b.io_pressure->some += 1s;
  const Signals s = derive_signals(a, b);
  EXPECT_DOUBLE_EQ(*s.memory_stall_per_second, 0.2);
  EXPECT_DOUBLE_EQ(*s.memory_high_throttled_ratio, 0.25);
  EXPECT_DOUBLE_EQ(*s.io_pressure_ratio, 0.5);
}

TEST(Signals, BytesThatComeAreReadAndWait) {
  const Sample a = watched_at(10s);
  Sample b = watched_at(12s);
  b.flow = SocketFlow{
      .sockets = 2, .received = 3000, .sent = 900, .unread = 700, .unsent = 250, .zero_window = 1s + 2s};
  const Signals s = derive_signals(a, b);
  EXPECT_DOUBLE_EQ(*s.arrival_bytes_per_second, 1000);
  EXPECT_DOUBLE_EQ(*s.service_bytes_per_second, 700) << "2000 came, 600 of them wait";
  EXPECT_DOUBLE_EQ(*s.backlog_bytes, 700);
  EXPECT_DOUBLE_EQ(*s.backlog_growth_bytes_per_second, 300);
  EXPECT_DOUBLE_EQ(*s.output_bytes_per_second, 200);
  EXPECT_DOUBLE_EQ(*s.unsent_growth_bytes_per_second, 100);
  EXPECT_DOUBLE_EQ(*s.zero_window_ratio, 0.5) << "of two sockets, one was closed all the time";
}

TEST(Signals, SocketsThatWereNotVisitedAgainTellNoRates) {
  Sample a = watched_at(10s), b = watched_at(11s);
  a.flow->at = b.flow->at = since_boot(9s);
  Signals s = derive_signals(a, b);
  EXPECT_EQ(*s.backlog_bytes, 100) << "the last that is known";
  EXPECT_FALSE(s.arrival_bytes_per_second);
  EXPECT_FALSE(s.backlog_growth_bytes_per_second);
  b.flow->at = since_boot(11s);
  b.flow->received += 1000;
  s = derive_signals(a, b);
  EXPECT_DOUBLE_EQ(*s.arrival_bytes_per_second, 500) << "over the time between the visits";
}

TEST(Signals, ATaskWithoutSocketsHasNoStreamAndNotAnIdleOne) {
  Sample a = watched_at(10s), b = watched_at(11s);
  a.flow = b.flow = SocketFlow{};
  Signals s = derive_signals(a, b);
  EXPECT_FALSE(s.backlog_bytes);
  EXPECT_FALSE(s.arrival_bytes_per_second);
  EXPECT_FALSE(s.zero_window_ratio);
  // Short-lived sockets between two samples: bytes were transferred, so there was a stream.
  b.flow->received = 10;
  s = derive_signals(a, b);
  EXPECT_EQ(*s.arrival_bytes_per_second, 10);
  EXPECT_EQ(*s.backlog_bytes, 0);
}

// All values, and larger ones two seconds later.
std::pair<Sample, Sample> full_samples() {
  Sample a = watched_at(10s), b = watched_at(12s);
  a.memory_current = 1000;
  a.memory_events = MemoryEvents{};
  a.cpu_pressure = a.io_pressure = PressureTotals{1s, 1s};
  b.memory_current = 2000;
  b.memory_events = MemoryEvents{};
  b.cpu = CpuUsage{2s, 1s, 1s};
  b.bandwidth = CpuBandwidth{20, 8, 3s};
  b.cpu_pressure = b.io_pressure = b.memory_pressure = PressureTotals{2s, 2s};
  return {a, b};
}

TEST(Signals, AGroupMissingOnEitherSideIsMissingAndNoOther) {
  struct Group {
    void (*drop)(Sample&);
    bool (*known)(const Signals&);
  };
  const Group groups[] = {
      {[](Sample& s) { s.cpu.reset(); }, [](const Signals& g) { return g.usage_cores || g.system_cores; }},
      {[](Sample& s) { s.bandwidth.reset(); },
       [](const Signals& g) { return g.periods || g.throttled_periods || g.throttled_cores; }},
      {[](Sample& s) { s.cpu_pressure.reset(); },
       [](const Signals& g) { return g.cpu_pressure_ratio.has_value(); }},
      {[](Sample& s) { s.io_pressure.reset(); },
       [](const Signals& g) { return g.io_pressure_ratio.has_value(); }},
      {[](Sample& s) { s.memory_pressure.reset(); },
       [](const Signals& g) { return g.memory_pressure_ratio || g.memory_full_pressure_ratio; }},
      {[](Sample& s) { s.memory_stat.reset(); },
       [](const Signals& g) {
         return g.refaults_per_second || g.pgscan_per_second || g.pgsteal_per_second ||
                g.anon_growth_bytes_per_second;
       }},
      {[](Sample& s) { s.memory_current.reset(); },
       [](const Signals& g) { return g.memory_growth_bytes_per_second.has_value(); }},
      {[](Sample& s) { s.memory_events.reset(); },
       [](const Signals& g) { return g.high_events || g.oom_kills; }},
      {[](Sample& s) { s.throttle.reset(); },
       [](const Signals& g) { return g.throttled_wall_ratio || g.stopped_tasks_per_throttle; }},
      {[](Sample& s) { s.run_queue.reset(); },
       [](const Signals& g) { return g.run_queue_wait_per_second || g.run_queue_wait_p99_usec; }},
      {[](Sample& s) { s.memory_stall.reset(); },
       [](const Signals& g) { return g.memory_stall_per_second || g.memory_high_throttled_ratio; }},
      {[](Sample& s) { s.flow.reset(); },
       [](const Signals& g) { return g.backlog_bytes || g.arrival_bytes_per_second || g.unsent_bytes; }},
  };
  for (const bool of_first : {true, false}) {
    for (const auto& group : groups) {
      auto [a, b] = full_samples();
      EXPECT_TRUE(group.known(derive_signals(a, b)));
      group.drop(of_first ? a : b);
      const Signals s = derive_signals(a, b);
      EXPECT_FALSE(group.known(s));
      for (const auto& other : groups) EXPECT_TRUE(&other == &group || other.known(s));
    }
  }
}

TEST(Signals, WhatIsOfTheMomentIsTheSecondSamples) {
  auto [a, b] = full_samples();
  a.runnable_threads = 7;
  a.idle_until = since_boot(9s);
  b.idle_until = since_boot(11s);
  EXPECT_EQ(*derive_signals(a, b).runnable_threads, 3);
  EXPECT_EQ(*derive_signals(a, b).idle_until, since_boot(11s));
  b.runnable_threads.reset();
  b.idle_until.reset();
  EXPECT_FALSE(derive_signals(a, b).runnable_threads);
  EXPECT_FALSE(derive_signals(a, b).idle_until);
}

TEST(Signals, KernelCountersThatRanBackwardsHaveNoRate) {
  const Sample a = watched_at(10s);
  Sample b = watched_at(11s);
  b.throttle = ThrottleTotals{};
  b.run_queue = RunQueueWait{};
  b.memory_stall = MemoryStallTotals{};
  b.flow = SocketFlow{.sockets = 1, .unread = 5};
  b.io_pressure = PressureTotals{};
  const Signals s = derive_signals(a, b);
  EXPECT_FALSE(s.throttled_wall_ratio);
  EXPECT_FALSE(s.stopped_tasks_per_throttle);
  EXPECT_FALSE(s.run_queue_wait_per_second);
  EXPECT_FALSE(s.memory_stall_per_second);
  EXPECT_FALSE(s.memory_high_throttled_ratio);
  EXPECT_FALSE(s.io_pressure_ratio);
  EXPECT_FALSE(s.arrival_bytes_per_second);
  EXPECT_FALSE(s.service_bytes_per_second);
  EXPECT_FALSE(s.output_bytes_per_second);
  EXPECT_FALSE(s.zero_window_ratio);
  EXPECT_EQ(*s.backlog_bytes, 5) << "what waits now is known all the same";
}

TEST(Signals, SeverityNeedsBothOfItsCounters) {
  const Sample a = watched_at(10s);
  for (const auto& totals : {ThrottleTotals{14, 3s, 30}, ThrottleTotals{7, 3s, 52}}) {
    Sample b = watched_at(12s);
    b.throttle = totals;
    EXPECT_FALSE(derive_signals(a, b).stopped_tasks_per_throttle);
    EXPECT_TRUE(derive_signals(a, b).throttled_wall_ratio);
  }
}

TEST(Signals, AHistogramBucketThatRanBackwardsSpoilsTheQuantileOnly) {
  Sample a = watched_at(10s);
  const Sample b = watched_at(11s);
  a.run_queue->log2_usec[4] = 7;
  const Signals s = derive_signals(a, b);
  EXPECT_FALSE(s.run_queue_wait_p99_usec);
  EXPECT_TRUE(s.run_queue_wait_per_second);
}

TEST(Signals, PressureIsNeverMoreThanOne) {
  const Sample a = sample_at(10s);
  Sample b = sample_at(10s + 100ms);
  b.memory_pressure->some += 101ms;
  EXPECT_DOUBLE_EQ(*derive_signals(a, b).memory_pressure_ratio, 1.0);
}

}  // namespace
}  // namespace sluice
