// The inputs of the classifier from a task's signals, and how long they stay valid.
#include <gtest/gtest.h>

#include "daemon/decide/cause.hpp"

namespace sluice {
namespace {

using namespace std::chrono_literals;

constexpr double kMiB = 1 << 20;

// The means of the first sample are the sample itself.
CauseInput inputs(const Signals& signals, const FlowEstimate& flow = {}) {
  Signals g = signals;
  g.interval_seconds = 0.1;
  CauseState s;
  observe_cause(MonotonicTime{100s}, &g, flow, s);
  return s.now.inputs;
}

TEST(CauseInputs, WhatIsNotSignalledIsNotKnown) {
  EXPECT_EQ(inputs({}), CauseInput{});
}

TEST(CauseInputs, TheKernelsShareIsOfTheUsage) {
  Signals g;
  g.usage_cores = 2;
  g.system_cores = 0.5;
  EXPECT_EQ(inputs(g).usage_cores, 2);
  EXPECT_EQ(inputs(g).system_share, 0.25);
  g.usage_cores = 0.4;
  EXPECT_EQ(inputs(g).system_share, 1) << "read a moment apart";
  g.usage_cores = 0;
  EXPECT_EQ(inputs(g).system_share, 0);
  g.usage_cores = 1;
  g.system_cores.reset();
  EXPECT_FALSE(inputs(g).system_share);
  g.system_cores = 0.5;
  g.usage_cores.reset();
  EXPECT_FALSE(inputs(g).system_share);
}

TEST(CauseInputs, ThrottledIsTheWallsTimeWhereItIsKnownAndElseThePeriods) {
  Signals g;
  g.periods = 10;
  g.throttled_periods = 4;
  EXPECT_EQ(inputs(g).throttled_share, 0.4);
  g.throttled_wall_ratio = 0.1;
  EXPECT_EQ(inputs(g).throttled_share, 0.1);
  g.throttled_wall_ratio.reset();
  g.periods = 0;
  EXPECT_EQ(inputs(g).throttled_share, 0);
  g.throttled_periods.reset();
  EXPECT_FALSE(inputs(g).throttled_share);
  g.throttled_periods = 4;
  g.periods.reset();
  EXPECT_FALSE(inputs(g).throttled_share);
}

TEST(CauseInputs, WaitingIsPressureWhereItIsKnownAndElseTheRunQueues) {
  Signals g;
  g.run_queue_wait_per_second = 0.3;
  EXPECT_EQ(inputs(g).wait_share, 0.3);
  g.run_queue_wait_per_second = 7;
  EXPECT_EQ(inputs(g).wait_share, 1) << "of many threads it is still no more than all the time";
  g.cpu_pressure_ratio = 0.2;
  EXPECT_EQ(inputs(g).wait_share, 0.2);
}

TEST(CauseInputs, OfTheTwoMeasuresOfAStallTheLargerCounts) {
  Signals g;
  g.memory_pressure_ratio = 0.2;
  EXPECT_EQ(inputs(g).memory_stall_share, 0.2);
  g.memory_stall_per_second = 0.3;
  EXPECT_EQ(inputs(g).memory_stall_share, 0.3);
  g.memory_pressure_ratio = 0.4;
  EXPECT_EQ(inputs(g).memory_stall_share, 0.4);
  g.memory_pressure_ratio.reset();
  EXPECT_EQ(inputs(g).memory_stall_share, 0.3);
  g.memory_stall_per_second = 3;
  EXPECT_EQ(inputs(g).memory_stall_share, 1);
}

TEST(CauseInputs, OthersAreTakenAsTheyAre) {
  Signals g;
  g.io_pressure_ratio = 0.1;
  g.pgscan_per_second = 20;
  g.refaults_per_second = 30;
  g.runnable_threads = 4;
  const auto in = inputs(g);
  EXPECT_EQ(in.io_stall_share, 0.1);
  EXPECT_EQ(in.pgscan_per_second, 20);
  EXPECT_EQ(in.refaults_per_second, 30);
  EXPECT_EQ(in.runnable_threads, 4);
}

TEST(CauseInputs, BytesThatWaitAreTimeAtTheRateTheyAreTaken) {
  Signals g;
  g.backlog_bytes = g.unsent_bytes = 3000;
  EXPECT_FALSE(inputs(g).backlog_seconds || inputs(g).unsent_seconds || inputs(g).unsent_bytes);
  g.service_bytes_per_second = 1000;
  g.output_bytes_per_second = 6000;
  EXPECT_EQ(inputs(g).backlog_seconds, 3);
  EXPECT_EQ(inputs(g).unsent_seconds, 0.5);
  EXPECT_EQ(inputs(g).unsent_bytes, 3000);
  g.service_bytes_per_second = g.output_bytes_per_second = 0;
  EXPECT_EQ(inputs(g).backlog_seconds, 60) << "nothing is taken";
  EXPECT_EQ(inputs(g).unsent_seconds, 60);
  g.service_bytes_per_second = 1;
  EXPECT_EQ(inputs(g).backlog_seconds, 60) << "nearly nothing";
  g.backlog_bytes = g.unsent_bytes = 0;
  EXPECT_EQ(inputs(g).backlog_seconds, 0) << "none wait, and none need be taken";
  EXPECT_EQ(inputs(g).unsent_seconds, 0);
  g.backlog_bytes.reset();
  g.unsent_bytes.reset();
  EXPECT_FALSE(inputs(g).backlog_seconds || inputs(g).unsent_seconds);
}

TEST(CauseInputs, TheWorkThatBytesExplainIsKnownOnceTheirCostIs) {
  Signals g;
  g.usage_cores = 1;
  g.backlog_bytes = 0;
  g.service_bytes_per_second = 2 * kMiB;
  FlowEstimate flow;
  EXPECT_FALSE(inputs(g, flow).served_share);
  flow.cpu_seconds_per_mib = 0.25;
  flow.confidence = 0.4;
  EXPECT_FALSE(inputs(g, flow).served_share) << "not sure yet";
  flow.confidence = 0.6;
  EXPECT_EQ(inputs(g, flow).served_share, 0.5);
  g.usage_cores = 0.2;
  EXPECT_EQ(inputs(g, flow).served_share, 1) << "cheaper than the mean";
  g.usage_cores = 0.005;
  EXPECT_FALSE(inputs(g, flow).served_share) << "of nothing";
  g.usage_cores.reset();
  EXPECT_FALSE(inputs(g, flow).served_share);
  g.usage_cores = 1;
  flow.cpu_seconds_per_mib.reset();
  EXPECT_FALSE(inputs(g, flow).served_share);
}

TEST(CauseInputs, AreMeansOfAboutASecondAndEndWithTheirSignal) {
  CauseState s;
  Signals g;
  g.interval_seconds = 0.1;
  g.usage_cores = 1;
  g.throttled_wall_ratio = 0;
  MonotonicTime now{100s};
  observe_cause(now, &g, {}, s);
  g.throttled_wall_ratio = 1;
  observe_cause(now += 100ms, &g, {}, s);
  EXPECT_GT(*s.now.inputs.throttled_share, 0.05);
  EXPECT_LT(*s.now.inputs.throttled_share, 0.15);
  for (int i = 0; i < 30; ++i) observe_cause(now += 100ms, &g, {}, s);
  EXPECT_GT(*s.now.inputs.throttled_share, 0.9);
  g.throttled_wall_ratio.reset();
  observe_cause(now += 100ms, &g, {}, s);
  EXPECT_FALSE(s.now.inputs.throttled_share);
  g.throttled_wall_ratio = 0.3;
  observe_cause(now += 100ms, &g, {}, s);
  EXPECT_EQ(s.now.inputs.throttled_share, 0.3) << "nothing of before";
}

// One sample only, so that the means play no role.
class CauseGuards : public ::testing::Test {
 protected:
  enum class Seen { idle, memory, disk };
  void look(Seen seen) {
    Signals g;
    g.interval_seconds = 0.1;
    g.usage_cores = seen == Seen::idle ? 0 : 0.5;
    g.memory_pressure_ratio = seen == Seen::memory ? 1 : 0;
    g.io_pressure_ratio = seen == Seen::disk ? 1 : 0;
    s.now.inputs = {};
    observe_cause(now += 100ms, &g, {}, s);
  }
  CauseState s;
  MonotonicTime now{100s};
};

TEST_F(CauseGuards, ANewCauseMustLastForHalfASecond) {
  look(Seen::idle);
  EXPECT_EQ(s.now.cause, Cause::idle);
  for (int i = 0; i < 4; ++i) look(Seen::memory);
  EXPECT_EQ(s.now.cause, Cause::idle);
  for (int i = 0; i < 3; ++i) look(Seen::memory);
  EXPECT_EQ(s.now.cause, Cause::stalled_on_memory);
}

TEST_F(CauseGuards, TwoNewOnesByTurnsDoNotLast) {
  look(Seen::idle);
  for (int i = 0; i < 20; ++i) {
    look(Seen::memory);
    look(Seen::disk);
  }
  EXPECT_EQ(s.now.cause, Cause::idle);
}

TEST_F(CauseGuards, ANewOneThatIsInterruptedBeginsAnew) {
  look(Seen::idle);
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 4; ++i) look(Seen::memory);
    look(Seen::idle);
  }
  EXPECT_EQ(s.now.cause, Cause::idle);
}

TEST_F(CauseGuards, SinceIsWhenItWasTold) {
  look(Seen::idle);
  const auto first = now;
  for (int i = 0; i < 20; ++i) look(Seen::idle);
  EXPECT_EQ(s.now.since, first);
  for (int i = 0; i < 20; ++i) look(Seen::memory);
  EXPECT_GT(s.now.since, first);
  EXPECT_LT(s.now.since, now - 1s);
}

TEST_F(CauseGuards, ALookWithoutAnIntervalIsNone) {
  look(Seen::memory);
  const Signals none;
  observe_cause(now + 1s, &none, {}, s);
  EXPECT_EQ(s.now.cause, Cause::stalled_on_memory);
  observe_cause(now + 4s, &none, {}, s);
  EXPECT_EQ(s.now.cause, Cause::unknown);
  CauseState fresh;
  observe_cause(now, nullptr, {}, fresh);
  EXPECT_EQ(fresh.now, Diagnosis{});
}

// A task that uses 0.5 cores and reads everything that comes; tests add to it.
CauseInput healthy() {
  CauseInput in;
  in.usage_cores = 0.5;
  in.system_share = 0.1;
  in.served_share = 1;
  in.backlog_seconds = 0.001;
  return in;
}

TEST(CauseThresholds, ACollectorIsBusyAndBehind) {
  auto in = healthy();
  in.served_share = 0.3;
  EXPECT_EQ(classify(in), Cause::input_bound) << "and keeps up";
  in.backlog_seconds = 1;
  EXPECT_EQ(classify(in), Cause::reclaiming);
  EXPECT_EQ(classify(in, Cause::reclaiming), Cause::reclaiming);
  in.served_share = 0.6;
  EXPECT_NE(classify(in), Cause::reclaiming);
  EXPECT_EQ(classify(in, Cause::reclaiming), Cause::reclaiming);
  in.served_share = 0.8;
  EXPECT_NE(classify(in, Cause::reclaiming), Cause::reclaiming);
  in.served_share = 0.3;
  in.usage_cores = 0.05;
  EXPECT_NE(classify(in), Cause::reclaiming) << "it hardly runs";
}

TEST(CauseThresholds, BackpressureIsManyBytesForLong) {
  auto in = healthy();
  in.unsent_bytes = 1 << 20;
  in.unsent_seconds = 0.1;
  EXPECT_EQ(classify(in), Cause::input_bound) << "on their way";
  in.unsent_seconds = 2;
  EXPECT_EQ(classify(in), Cause::downstream_bound);
  in.unsent_bytes = 1000;
  EXPECT_EQ(classify(in), Cause::input_bound) << "a few, on a slow line";
}

TEST(CauseThresholds, IdleIsWithNothingToDo) {
  auto in = healthy();
  in.usage_cores = 0.005;
  EXPECT_EQ(classify(in), Cause::idle);
  in.backlog_seconds = 5;
  EXPECT_NE(classify(in), Cause::idle);
  in.backlog_seconds = 0;
  in.usage_cores = 0.015;
  EXPECT_NE(classify(in), Cause::idle);
  EXPECT_EQ(classify(in, Cause::idle), Cause::idle);
  in.usage_cores = 0.03;
  EXPECT_NE(classify(in, Cause::idle), Cause::idle);
}

TEST(CauseThresholds, ThreadsBindWhereAllOfThemRunAndWorkWaits) {
  auto in = healthy();
  in.backlog_seconds = 1;
  in.runnable_threads = 2;
  in.usage_cores = 1.9;
  EXPECT_EQ(classify(in), Cause::thread_bound);
  in.usage_cores = 1.2;
  EXPECT_NE(classify(in), Cause::thread_bound) << "one of them does not run";
  in.usage_cores = 0.9;
  in.runnable_threads = 0.4;  // in two samples of five
  EXPECT_NE(classify(in), Cause::thread_bound);
  in.runnable_threads = 0.6;
  in.usage_cores = 0.6;
  EXPECT_NE(classify(in), Cause::thread_bound) << "a thread is a whole one";
  in.usage_cores = 0.95;
  EXPECT_EQ(classify(in), Cause::thread_bound);
  in.backlog_seconds = 0.01;
  EXPECT_EQ(classify(in), Cause::input_bound);
}

TEST(CauseThresholds, OfReclaimTheKernelHasTheLargerPart) {
  auto in = healthy();
  in.pgscan_per_second = 50'000;
  EXPECT_EQ(classify(in), Cause::input_bound);
  in.system_share = 0.5;
  EXPECT_EQ(classify(in), Cause::reclaiming);
  in.usage_cores = 0.005;
  EXPECT_NE(classify(in), Cause::reclaiming) << "of nothing";
  in.usage_cores = 0.5;
  in.pgscan_per_second = 3000;
  EXPECT_EQ(classify(in), Cause::input_bound);
  EXPECT_EQ(classify(in, Cause::reclaiming), Cause::reclaiming);
  in.pgscan_per_second = 0;
  in.refaults_per_second = 300;
  EXPECT_EQ(classify(in), Cause::input_bound);
  EXPECT_EQ(classify(in, Cause::reclaiming), Cause::reclaiming);
}

TEST(CauseThresholds, KeepingUpIsWithLittleWaiting) {
  auto in = healthy();
  in.backlog_seconds = 0.15;
  EXPECT_EQ(classify(in), Cause::unknown);
  EXPECT_EQ(classify(in, Cause::input_bound), Cause::input_bound);
  in.backlog_seconds = 0.25;
  EXPECT_EQ(classify(in, Cause::input_bound), Cause::unknown);
  in.backlog_seconds.reset();
  EXPECT_EQ(classify(in), Cause::unknown) << "what waits is not known";
}

}  // namespace
}  // namespace sluice
