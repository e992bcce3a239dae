#include "daemon/signal/flow_model.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace sluice {
namespace {

constexpr double kMiB = 1 << 20;

Signals tick(double usage_cores, double arrival_mib, double service_mib, double backlog_mib) {
  Signals g;
  g.interval_seconds = 0.1;
  g.usage_cores = usage_cores;
  g.arrival_bytes_per_second = arrival_mib * kMiB;
  g.service_bytes_per_second = service_mib * kMiB;
  g.backlog_bytes = backlog_mib * kMiB;
  return g;
}

void run(FlowModel& m, int ticks, double cost, double mib_per_second) {
  for (int i = 0; i < ticks; ++i)
    observe_flow(tick(cost * mib_per_second, mib_per_second, mib_per_second, 0), m);
}

TEST(FlowModel, LearnsTheCostOfAByteAndSaysNothingBefore) {
  FlowModel m;
  run(m, 20, 0.25, 2);
  EXPECT_FALSE(estimate_flow(tick(0.5, 2, 2, 1), m).cpu_seconds_per_mib);
  EXPECT_EQ(estimate_flow(tick(0.5, 2, 2, 1), m).confidence, 0);
  EXPECT_FALSE(estimate_flow(tick(0.5, 2, 2, 1), m).backlog_cpu_seconds);
  EXPECT_FALSE(estimate_flow(tick(0.5, 2, 2, 1), m).arrival_cores);
  run(m, 200, 0.25, 2);
  const auto e = estimate_flow(tick(0.5, 2, 2, 3), m);
  EXPECT_NEAR(*e.cpu_seconds_per_mib, 0.25, 1e-6);
  EXPECT_NEAR(*e.backlog_cpu_seconds, 0.75, 1e-6);
  EXPECT_NEAR(*e.arrival_cores, 0.5, 1e-6);
  EXPECT_GT(e.confidence, 0.7);
}

TEST(FlowModel, NoSocketsIsNoEstimateAndForgetsNoCost) {
  FlowModel m;
  run(m, 200, 0.25, 2);
  Signals none;
  none.interval_seconds = 0.1;
  none.usage_cores = 3;
  for (int i = 0; i < 1000; ++i) observe_flow(none, m);
  const auto e = estimate_flow(none, m);
  EXPECT_FALSE(e.backlog_cpu_seconds);
  EXPECT_FALSE(e.arrival_cores);
  EXPECT_FALSE(e.drain_seconds);
  EXPECT_NEAR(*e.cpu_seconds_per_mib, 0.25, 1e-6);
}

TEST(FlowModel, IdleTimeMovesNeitherTheCostNorTheConfidence) {
  FlowModel m;
  run(m, 200, 0.25, 2);
  for (int i = 0; i < 20; ++i) observe_flow(tick(0.001, 0, 0, 0), m);  // ends the last stretch of load
  const auto before = estimate_flow(tick(0, 0, 0, 0), m);
  for (int i = 0; i < 5000; ++i) observe_flow(tick(0.001, 0, 0, 0), m);
  const auto after = estimate_flow(tick(0, 0, 0, 0), m);
  EXPECT_EQ(before.cpu_seconds_per_mib, after.cpu_seconds_per_mib);
  EXPECT_EQ(before.confidence, after.confidence);
}

TEST(FlowModel, BackgroundWorkIsNotTheInputs) {
  FlowModel m;
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 20; ++i) observe_flow(tick(0.3, 0, 0, 0), m);
    for (int i = 0; i < 20; ++i) observe_flow(tick(0.3 + 0.25 * 2, 2, 2, 0), m);
  }
  EXPECT_NEAR(*estimate_flow(tick(0, 0, 0, 0), m).cpu_seconds_per_mib, 0.25, 0.01);
}

TEST(FlowModel, WorkDoneAfterTheReadBelongsToItsBytes) {
  FlowModel m;
  for (int round = 0; round < 30; ++round) {
    observe_flow(tick(0, 20, 20, 0), m);                              // 2 MiB read at once ...
    for (int i = 0; i < 9; ++i) observe_flow(tick(0.5, 0, 0, 0), m);  // ... and worked on for 0.9 s
    for (int i = 0; i < 20; ++i) observe_flow(tick(0, 0, 0, 0), m);
  }
  EXPECT_NEAR(*estimate_flow(tick(0, 0, 0, 0), m).cpu_seconds_per_mib, 0.225, 0.04);
}

TEST(FlowModel, AHeapOfBytesWithoutWorkDoesNotMoveIt) {
  FlowModel m;
  run(m, 300, 0.25, 2);
  // data is passed through without work
  for (int i = 0; i < 30; ++i) observe_flow(tick(0.02, 500, 500, 0), m);
  EXPECT_NEAR(*estimate_flow(tick(0, 0, 0, 0), m).cpu_seconds_per_mib, 0.25, 0.01);
}

TEST(FlowModel, AChangedCostIsLearnedWithinAMinuteOfLoad) {
  FlowModel m;
  run(m, 1000, 0.25, 2);
  run(m, 600, 1.0, 2);
  EXPECT_NEAR(*estimate_flow(tick(0, 0, 0, 0), m).cpu_seconds_per_mib, 1.0, 0.05);
}

TEST(FlowModel, DisagreementCostsConfidence) {
  FlowModel steady, wild;
  std::minstd_rand random(7);
  std::lognormal_distribution<double> cost(std::log(0.25), 1.0);
  for (int stretch = 0; stretch < 32; ++stretch) {
    run(steady, 10, 0.25, 2);
    run(wild, 10, cost(random), 2);
  }
  const auto s = estimate_flow(tick(0, 0, 0, 0), steady), w = estimate_flow(tick(0, 0, 0, 0), wild);
  EXPECT_LT(w.confidence, 0.6 * s.confidence);
  EXPECT_NEAR(*w.cpu_seconds_per_mib, 0.25, 0.15);
}

TEST(FlowModel, DrainTimeIsBacklogOverTheNetRate) {
  FlowModel m;
  for (int i = 0; i < 100; ++i) observe_flow(tick(1, 2, 4, 10), m);
  EXPECT_NEAR(*estimate_flow(tick(1, 2, 4, 10), m).drain_seconds, 5, 0.01);
  EXPECT_EQ(*estimate_flow(tick(1, 2, 4, 0), m).drain_seconds, 0);
  for (int i = 0; i < 100; ++i) observe_flow(tick(1, 4, 2, 10), m);
  EXPECT_TRUE(std::isinf(*estimate_flow(tick(1, 4, 2, 10), m).drain_seconds));
}

TEST(FlowModel, ClosedWindowsSayThatTheBacklogIsNotAll) {
  FlowModel m;
  Signals g = tick(1, 2, 2, 10);
  g.zero_window_ratio = 0.5;
  observe_flow(g, m);
  EXPECT_TRUE(estimate_flow(g, m).more_upstream);
  g.zero_window_ratio.reset();
  EXPECT_FALSE(estimate_flow(g, m).more_upstream);
}

TEST(FlowModel, BytesWhoseWorkIsNotKnownTeachNothing) {
  FlowModel m;
  Signals g = tick(0, 50, 50, 0);
  g.usage_cores.reset();
  for (int i = 0; i < 200; ++i) observe_flow(g, m);
  EXPECT_EQ(m.count, 0U);
}

}  // namespace
}  // namespace sluice
