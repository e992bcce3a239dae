#include "tests/simhost/run_queues.hpp"

#include <gtest/gtest.h>

#include "tests/simhost/model.hpp"

namespace sluice::simhost {
namespace {

TEST(RunQueues, ThreadsSpreadWhileTheyRun) {
  RunQueues queues;
  queues.resize(3);
  for (int i = 0; i < 4; ++i) queues.add(queues.choose(1, false), true);
  EXPECT_EQ(queues.busy(), 3U);
}

TEST(RunQueues, OneThatWakesDuringAThrottleStaysWhereItWas) {
  RunQueues queues;
  queues.resize(2);
  queues.add(1, true);
  EXPECT_EQ(queues.choose(1, true), 1U) << "a stopped CPU looks idle";
  EXPECT_EQ(queues.choose(1, false), 0U) << "a busy one does not";
  EXPECT_EQ(queues.choose(0, false), 0U);
}

TEST(RunQueues, AnIdleCpuTakesAThreadOver) {
  RunQueues queues;
  queues.resize(2);
  queues.add(0, true);
  queues.add(0, true);
  ASSERT_EQ(queues.better_than(0), 1U);
  queues.move(0, 1, true);
  EXPECT_EQ(queues.busy(), 2U);
  EXPECT_EQ(queues.better_than(0), 0U);
}

TEST(RunQueues, WaitsAreCountedWhereTheyAre) {
  RunQueues queues;
  queues.resize(3);
  queues.add(0, true);
  queues.add(0, true);
  queues.add(1, true);
  queues.add(2, false);  // stalled on memory
  queues.account(10, 0);
  queues.account(5, 1);
  const auto& cpus = queues.by_cpu();
  EXPECT_EQ(cpus[0].some, 15) << "two on one CPU: one waits, throttled or not";
  EXPECT_EQ(cpus[0].full, 5);
  EXPECT_EQ(cpus[1].some, 5);
  EXPECT_EQ(cpus[2].some, 0);
  for (const CpuTime& cpu : cpus) EXPECT_EQ(cpu.nonidle, 15);
}

TEST(RunQueues, PressureWeighsCpusByTheTimeTheyWereNotIdle) {
  Psi psi;
  psi.start(0);
  psi.add(std::vector<CpuTime>{{.nonidle = 600, .some = 300, .full = 300},
                               {.nonidle = 200, .some = 20, .full = 20}});
  psi.add(300, 300);
  EXPECT_EQ(psi.totals().some, Usec(230)) << "(300 * 600 + 20 * 200) / 800";
  EXPECT_EQ(psi.totals().full, Usec(230)) << "collected once";
  EXPECT_EQ(psi.some_usec(), 300) << "triggers collect on their own";
}

TEST(RunQueues, OneThreadStaysWhereItIs) {
  TaskSpec spec{.cgroup = "/a.service", .work = {}, .memory = {}, .restart_after = {}};
  spec.work.load = Load::constant(60);
  spec.work.cost_usec = 10'000;
  spec.work.threads = 1;
  Host host({.cpus = 4});
  const CgroupId id = host.add_task(spec).value();
  ASSERT_EQ(host.set_cpu_max(*host.find(id), 30'000'000, 100'000'000), 0);
  host.advance(std::chrono::seconds(8));
  const Sample sample = host.sample(id);
  EXPECT_NEAR(static_cast<double>(sample.cpu_pressure->some.count()),
              static_cast<double>(sample.throttle->stopped.count()), 1e3)
      << "it presses exactly while it is stopped";
}

// A long record uses up the quota. Short records on another CPU are throttled too, but exist only briefly.
TEST(RunQueues, LongAndShortRecordsPressLessThanTheTimeTheyAreStopped) {
  std::vector<ListedRecord> records;
  for (int i = 0; i < 200; ++i) {
    records.push_back({.at_usec = i * 40e3 + 1, .cpu_usec = 5'000});
    if (i % 25 == 0) records.push_back({.at_usec = i * 40e3 + 2, .cpu_usec = 200'000});
  }
  TaskSpec spec{.cgroup = "/a.service", .work = {}, .memory = {}, .restart_after = {}};
  spec.work.records = std::make_shared<const std::vector<ListedRecord>>(records);
  spec.work.threads = 4;
  Host host({.cpus = 2});
  const CgroupId id = host.add_task(spec).value();
  ASSERT_EQ(host.set_cpu_max(*host.find(id), 50'000'000, 100'000'000), 0);
  host.advance(std::chrono::seconds(8));
  const Sample sample = host.sample(id);
  const auto stopped = static_cast<double>(sample.throttle->stopped.count());
  EXPECT_LT(static_cast<double>(sample.cpu_pressure->full.count()), 0.95 * stopped);
  EXPECT_GT(static_cast<double>(sample.cpu_pressure->full.count()), 0.5 * stopped);
  EXPECT_GT(static_cast<double>(sample.bandwidth->throttled.count()), 1.1 * stopped)
      << "on two run queues at times";
}

}  // namespace
}  // namespace sluice::simhost
