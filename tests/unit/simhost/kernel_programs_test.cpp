// Data that only kernel programs provide, as filled in by the model, and what a quota offers.
#include <gtest/gtest.h>

#include <numeric>

#include "tests/simhost/model.hpp"

namespace sluice::simhost {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// `rate` records per second of 10 ms each, evenly spaced, on up to four threads.
TaskSpec task(double rate, Bytes bytes_per_record) {
  TaskSpec spec;
  spec.cgroup = "/a.service";
  spec.work.load = Load::constant(rate);
  spec.work.cost_usec = 10'000;
  spec.work.poisson = false;
  spec.work.bytes_per_record = bytes_per_record;
  return spec;
}

CgroupId start(Host& host, const TaskSpec& spec, std::uint64_t quota_usec) {
  const CgroupId id = host.add_task(spec).value();
  EXPECT_EQ(host.set_cpu_max(*host.find(id), quota_usec * 1'000, 100'000'000), 0);
  return id;
}

TEST(KernelPrograms, UnreadBytesAreTheRecordsThatNoThreadHasTaken) {
  Host host({.cpus = 4, .step = milliseconds(100)});
  const CgroupId id = start(host, task(100, 1'000), 50'000);  // half of what arrives
  host.advance(seconds(10));
  const SocketFlow flow = host.sample(id).flow.value();
  const TaskStats stats = host.stats(id);
  EXPECT_EQ(flow.sockets, 1U);
  EXPECT_EQ(flow.received, stats.arrivals * 1'000);
  EXPECT_EQ(flow.sent, stats.finished * 1'000);
  EXPECT_EQ(flow.unread, (stats.backlog - 4) * 1'000) << "four are in service";
  EXPECT_EQ(flow.zero_window, Usec(0));
}

TEST(KernelPrograms, AFullBufferClosesTheWindow) {
  TaskSpec spec = task(100, 1'000);
  spec.work.socket_buffer = 100'000;  // the surplus of two seconds
  Host host({.cpus = 4, .step = milliseconds(100)});
  const CgroupId id = start(host, spec, 50'000);
  host.advance(seconds(10));
  const SocketFlow flow = host.sample(id).flow.value();
  EXPECT_EQ(flow.unread, 100'000U);
  EXPECT_LT(flow.received, host.stats(id).arrivals * 1'000) << "the peer keeps the rest";
  EXPECT_NEAR(static_cast<double>(flow.zero_window.count()), 8e6, 0.3e6);
}

TEST(KernelPrograms, RecordsWithoutASocketHaveNoFlow) {
  Host host({.cpus = 4});
  const CgroupId id = start(host, task(100, 0), 50'000);
  host.advance(seconds(2));
  EXPECT_EQ(host.sample(id).flow.value(), SocketFlow{});
}

TEST(KernelPrograms, ThrottleTotalsAreOnsetsAndWallTime) {
  // 200 ms of work per period at four cores, 40 ms allowed: 10 ms running, 90 ms throttled.
  Host host({.cpus = 4, .step = milliseconds(100)});
  const CgroupId id = start(host, task(2'000, 0), 40'000);
  host.advance(seconds(1));
  const Sample before = host.sample(id);
  host.advance(seconds(10));
  const Sample after = host.sample(id);
  EXPECT_EQ(after.runnable_threads, 4U);
  EXPECT_EQ(after.throttle->count - before.throttle->count, 100U);
  EXPECT_EQ(after.throttle->stopped_tasks - before.throttle->stopped_tasks, 400U);
  EXPECT_NEAR(static_cast<double>((after.throttle->stopped - before.throttle->stopped).count()), 9e6, 0.02e6);
  // Four threads waited; each wait of 90 ms is in the bucket of 2^16 usec.
  EXPECT_NEAR(static_cast<double>((after.run_queue->total - before.run_queue->total).count()), 36e6, 0.1e6);
  EXPECT_NEAR(static_cast<double>(after.run_queue->log2_usec[16] - before.run_queue->log2_usec[16]), 400, 4);
}

TEST(KernelPrograms, NeighboursMakeATaskWaitWithoutThrottling) {
  Host host({.cpus = 2});
  for (const char* name : {"/a.service", "/b.service"}) {
    TaskSpec spec = task(0, 0);
    spec.cgroup = name;
    spec.work.spin_threads = 2;
    ASSERT_TRUE(host.add_task(spec));
  }
  host.advance(seconds(10));
  const Sample sample = host.sample(host.find("/a.service")->id);
  EXPECT_EQ(sample.throttle->count, 0U);
  EXPECT_NEAR(static_cast<double>(sample.run_queue->total.count()), 10e6, 0.1e6) << "one of its two threads";
  const auto& waits = sample.run_queue->log2_usec;
  EXPECT_NEAR(static_cast<double>(std::accumulate(waits.begin(), waits.end(), 0UL)), 2'500, 30);
}

TEST(KernelPrograms, AreAbsentWhereTheHostHasNone) {
  Host host({.cpus = 2, .kernel_programs = false});
  const CgroupId id = start(host, task(1, 1'000), 50'000);
  host.advance(seconds(1));
  const Sample sample = host.sample(id);
  EXPECT_FALSE(sample.flow || sample.throttle || sample.run_queue || sample.runnable_threads);
}

TEST(Offered, AQuotaOffersEachPeriodAndAWriteOffersAgain) {
  Host host({.cpus = 4, .step = milliseconds(100)});
  const CgroupId idle = start(host, task(0, 0), 50'000);
  host.reset_stats();
  host.advance(seconds(10));
  EXPECT_NEAR(host.stats(idle).offered_usec, 5e6, 1);
  EXPECT_NEAR(host.stats(idle).allocated_cores, 0.5, 1e-9);

  // Each throttle is followed by a write at once: the limit has no effect, and the figure must show that.
  Host busy({.cpus = 4, .step = milliseconds(100)});
  const CgroupId id = start(busy, task(2'000, 0), 40'000);
  busy.on_throttle(
      [&](const ThrottleEvent& e) { busy.set_cpu_max(*busy.find(e.id), 40'000'000, 100'000'000); });
  busy.reset_stats();
  busy.advance(seconds(10));
  const TaskStats stats = busy.stats(id);
  EXPECT_NEAR(stats.allocated_cores, 0.4, 1e-6) << "what was written";
  EXPECT_NEAR(stats.offered_usec, 40e6, 0.5e6) << "what could run";
}

TEST(Offered, AWriteInTheMiddleOfAStepCountsFromThere) {
  // Four cores use up one core's pool after 25 ms of the period; the observer then writes two.
  Host host({.cpus = 4, .step = milliseconds(100)});
  const CgroupId id = start(host, task(2'000, 0), 100'000);
  host.advance(seconds(1));
  host.reset_stats();
  bool raised = false;
  host.on_throttle([&](const ThrottleEvent& e) {
    if (!raised) host.set_cpu_max(*host.find(e.id), 200'000'000, 100'000'000);
    raised = true;
  });
  host.advance(milliseconds(100));
  EXPECT_TRUE(raised);
  EXPECT_NEAR(host.stats(id).allocated_cores, 0.25 * 1 + 0.75 * 2, 0.01);
}

}  // namespace
}  // namespace sluice::simhost
