// Which work is assigned to which bytes: stretches of load, quiet times, background work, and gaps.
#include <gtest/gtest.h>

#include <cmath>

#include "daemon/signal/flow_model.hpp"

namespace sluice {
namespace {

constexpr double kMiB = 1 << 20;

// An eighth of a second is exact in binary, so eight of them are exactly one second.
Signals look(double usage_cores, double read_mib_per_second, double unread_mib = 0) {
  Signals g;
  g.interval_seconds = 0.125;
  g.usage_cores = usage_cores;
  g.arrival_bytes_per_second = g.service_bytes_per_second = read_mib_per_second * kMiB;
  g.backlog_bytes = unread_mib * kMiB;
  return g;
}

class FlowLearning : public ::testing::Test {
 protected:
  void looks(int n, const Signals& g) {
    for (int i = 0; i < n; ++i) observe_flow(g, m);
  }
  // A second of load, which gives one cost.
  void stretch(double cpu_seconds_per_mib, double mib) { looks(8, look(cpu_seconds_per_mib * mib, mib)); }
  void stretches(int n, double cpu_seconds_per_mib, double mib) {
    for (int i = 0; i < n; ++i) stretch(cpu_seconds_per_mib, mib);
  }
  double cost() const { return m.cpu_seconds_per_mib.value_or(-1); }
  double background() const { return m.background_cores.value_or(-1); }

  FlowModel m;
};

TEST_F(FlowLearning, AGapInTheMiddleOfAStretchDropsIt) {
  for (int round = 0; round < 10; ++round) {
    looks(4, look(0, 4));  // read, but the work is done in a gap
    Signals gap;
    gap.interval_seconds = 0.125;
    gap.usage_cores = 1;
    looks(1, gap);
    EXPECT_EQ(m.open_mib, 0);
    stretch(0.25, 2);
  }
  EXPECT_NEAR(cost(), 0.25, 1e-9);
}

TEST_F(FlowLearning, SoDoesALookThatMissesAnyOfIt) {
  using Field = std::optional<double> Signals::*;
  for (const Field field : {&Signals::usage_cores, &Signals::arrival_bytes_per_second,
                            &Signals::service_bytes_per_second, &Signals::backlog_bytes}) {
    looks(4, look(0.5, 2));
    ASSERT_GT(m.open_mib, 0);
    Signals gap = look(0.5, 2);
    gap.*field = std::nullopt;
    looks(1, gap);
    EXPECT_EQ(m.open_mib, 0);
    EXPECT_EQ(m.open_seconds, 0);
    EXPECT_EQ(m.open_cpu_seconds, 0);
    EXPECT_EQ(m.arrival_bytes_per_second.has_value(), field == &Signals::usage_cores);
    EXPECT_EQ(m.service_bytes_per_second.has_value(), field == &Signals::usage_cores);
  }
}

TEST_F(FlowLearning, ALookWithoutAnIntervalChangesNothing) {
  looks(4, look(0.5, 2));
  const FlowModel before = m;
  observe_flow(Signals{}, m);
  EXPECT_EQ(m, before);
}

TEST_F(FlowLearning, RatesAreMeansOfAboutASecondAndBeginAnewAfterAGap) {
  stretches(8, 1, 2);
  looks(1, look(4, 4));
  EXPECT_LT(*m.arrival_bytes_per_second / kMiB, 2.5);
  EXPECT_LT(*m.service_bytes_per_second / kMiB, 2.5);
  looks(32, look(4, 4));
  EXPECT_GT(*m.arrival_bytes_per_second / kMiB, 3.9);
  Signals gap;
  gap.interval_seconds = 0.125;
  looks(1, gap);
  looks(1, look(10, 10));
  EXPECT_NEAR(*estimate_flow(look(10, 10), m).arrival_cores, 10, 1e-9);
}

TEST_F(FlowLearning, TheMiddleHalfIsOfBytesNotOfStretches) {
  stretches(12, 0.25, 2);
  stretches(12, 1, 1);
  // Of 36 MiB, the 9th to the 27th: 15 of the cheap ones and 3 of the others.
  EXPECT_NEAR(cost(), (15 * 0.25 + 3 * 1) / 18, 1e-6);
}

TEST_F(FlowLearning, NoSingleStretchIsTheMiddleHalf) {
  stretches(6, 0.1, 0.5);
  stretch(0.5, 50);
  stretches(5, 1, 0.5);
  // The large stretch counts like two of the others.
  EXPECT_NEAR(cost(), (2.75 * 0.1 + 2 * 0.5 + 1.75 * 1) / 6.5, 1e-6);
}

TEST_F(FlowLearning, WhatAgreesIsTrustedByItsNumber) {
  stretches(4, 0.25, 2);
  EXPECT_NEAR(m.confidence, 0.5, 1e-9);
  stretches(28, 0.25, 2);
  EXPECT_NEAR(m.confidence, 32.0 / 36, 1e-9);
}

TEST_F(FlowLearning, BytesThatNobodyWorksOnHaveNoCost) {
  stretches(10, 0.25, 2);
  stretches(40, 0, 2);  // as in a proxy
  EXPECT_EQ(cost(), -1);
  EXPECT_EQ(m.confidence, 0);
  const auto e = estimate_flow(look(0, 2, 1), m);
  EXPECT_FALSE(e.cpu_seconds_per_mib);
  EXPECT_FALSE(e.backlog_cpu_seconds);
  EXPECT_FALSE(e.arrival_cores);
}

TEST_F(FlowLearning, WorkBelowTheBackgroundIsNone) {
  looks(8, look(0.3, 0));
  looks(4, look(0.1, 2));
  EXPECT_EQ(m.open_cpu_seconds, 0);
}

// CPU use of a task while nothing is read and nothing waits.
TEST_F(FlowLearning, BackgroundIsLearnedOnlyWhereAllIsQuiet) {
  Signals g = look(0.1, 0);
  g.service_bytes_per_second = 2000;
  looks(40, g);
  EXPECT_EQ(background(), -1) << "it reads";
  g = look(0.1, 0);
  g.arrival_bytes_per_second = 2000;
  looks(40, g);
  EXPECT_EQ(background(), -1) << "something comes";
  g = look(0.1, 0);
  g.backlog_bytes = 1;
  looks(40, g);
  EXPECT_EQ(background(), -1) << "something waits";
  g = look(0.1, 0);
  g.throttled_periods = 1;
  looks(40, g);
  EXPECT_EQ(background(), -1) << "its limit holds it up";
  g = look(0.1, 0);
  g.runnable_threads = 1;
  looks(40, g);
  EXPECT_EQ(background(), -1) << "it has something to do";
  g = look(0.1, 0);
  g.throttled_periods = 0;
  g.runnable_threads = 0;
  g.arrival_bytes_per_second = g.service_bytes_per_second = 500;
  looks(1, g);
  EXPECT_EQ(background(), 0.1) << "heartbeats are no input";
}

TEST_F(FlowLearning, BackgroundFallsAtOnceAndRisesLaterAndSlowly) {
  looks(8, look(0.1, 0));
  looks(12, look(0.5, 0));
  EXPECT_EQ(background(), 0.1) << "it may still be a burst's work";
  looks(8 * 20, look(0.5, 0));
  EXPECT_GT(background(), 0.15);
  EXPECT_LT(background(), 0.3);
  looks(8 * 300, look(0.5, 0));
  EXPECT_GT(background(), 0.49);
  looks(1, look(0.05, 0));
  EXPECT_EQ(background(), 0.05);
}

TEST_F(FlowLearning, QuietBeginsAnewAfterEachBurst) {
  looks(8, look(0.1, 0));
  for (int i = 0; i < 10; ++i) {
    stretch(0.25, 2);
    looks(16, look(0.3, 0));  // two seconds of remaining work
  }
  EXPECT_EQ(background(), 0.1);
}

TEST_F(FlowLearning, AShortPauseDoesNotEndAStretchAndALongOneDoes) {
  looks(4, look(0.5, 2));
  looks(5, look(0, 0));
  EXPECT_EQ(m.count, 0U) << "it waits for a reply";
  EXPECT_EQ(m.open_seconds, 0.5) << "and the pause is not of it";
  looks(4, look(0, 0));
  EXPECT_EQ(m.count, 1U);
}

TEST_F(FlowLearning, WorkBeforeAnyByteIsNotThatBytes) {
  looks(8, look(0, 0));
  for (int i = 0; i < 10; ++i) {
    looks(4, look(0.5, 0));  // housekeeping
    stretch(0.25, 2);
    looks(16, look(0, 0));
  }
  EXPECT_NEAR(cost(), 0.25, 1e-9);
}

TEST_F(FlowLearning, ATrickleSaysNothingOfLoadAndALittleMoreIsGathered) {
  Signals g = look(0.5, 0, 1);
  g.service_bytes_per_second = 100;
  looks(8 * 200, g);
  EXPECT_EQ(m.count, 0U);
  m = {};
  g.service_bytes_per_second = 2000;  // enough for a stretch in two seconds
  looks(8 * 60, g);
  EXPECT_GT(m.count, 20U);
}

TEST(FlowEstimates, ABacklogOfNothingIsDrainedHoweverMuchComes) {
  FlowModel m;
  Signals g = look(1, 2);
  g.arrival_bytes_per_second = 4 * kMiB;
  for (int i = 0; i < 80; ++i) observe_flow(g, m);
  EXPECT_EQ(estimate_flow(g, m).drain_seconds, 0);
  g.backlog_bytes = 1;
  EXPECT_TRUE(std::isinf(*estimate_flow(g, m).drain_seconds));
}

TEST(FlowEstimates, WithoutABacklogThereIsNoneOfItButTheCost) {
  FlowModel m;
  for (int i = 0; i < 800; ++i) observe_flow(look(0.5, 2), m);
  Signals g = look(0.5, 2);
  g.zero_window_ratio = 1;
  g.backlog_bytes.reset();
  const auto e = estimate_flow(g, m);
  EXPECT_TRUE(e.cpu_seconds_per_mib);
  EXPECT_FALSE(e.backlog_cpu_seconds || e.arrival_cores || e.drain_seconds || e.more_upstream);
}

}  // namespace
}  // namespace sluice
