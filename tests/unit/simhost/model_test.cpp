#include "tests/simhost/model.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>

namespace sluice::simhost {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TaskSpec task(const char* cgroup, double rate, double cost_usec, unsigned threads) {
  TaskSpec spec;
  spec.cgroup = cgroup;
  spec.work.load = Load::constant(rate);
  spec.work.cost_usec = cost_usec;
  spec.work.threads = threads;
  return spec;
}

// A task with one thread that always wants a CPU.
TaskSpec spinner(const char* cgroup) {
  TaskSpec spec = task(cgroup, 0, 1'000, 1);
  spec.work.spin_threads = 1;
  return spec;
}
std::vector<CgroupId> spinning(Host& host, std::initializer_list<const char*> cgroups) {
  std::vector<CgroupId> ids;
  for (const char* cgroup : cgroups) ids.push_back(host.add_task(spinner(cgroup)).value());
  return ids;
}

Write cpu_write(CgroupId id, std::int64_t quota_usec, std::int64_t period_usec = 100'000) {
  Write write;
  write.id = id;
  write.knob = Knob::cpu_max;
  write.value = CpuMax{.quota = Usec(quota_usec), .period = Usec(period_usec)};
  return write;
}

Write high_write(CgroupId id, std::optional<Bytes> bytes) {
  Write write;
  write.id = id;
  write.knob = Knob::memory_high;
  write.value = MemoryLimit{bytes};
  return write;
}

TEST(Model, DelayMatchesQueueingTheory) {
  // M/D/1 at 70 % load: mean wait rho s / (2 (1 - rho)) = 1.1667 s.
  Host host({.cpus = 4, .seed = 7});
  const CgroupId id = host.add_task(task("/a.service", 700, 1'000, 1)).value();
  host.advance(seconds(600));
  const TaskStats stats = host.stats(id);
  EXPECT_NEAR(static_cast<double>(stats.arrivals), 420'000, 2'500);
  EXPECT_NEAR(stats.delay_mean_usec, 1'000 + 0.7 * 1'000 / (2 * 0.3), 60);
  EXPECT_NEAR(stats.usage_usec, 0.7 * 600e6, 3e6);
}

TEST(Model, ManyThreadsDoNotHelpOneRecord) {
  TaskSpec spec = task("/a.service", 1, 50'000, 8);
  spec.work.poisson = false;
  Host host({.cpus = 8});
  const CgroupId id = host.add_task(spec).value();
  host.advance(seconds(20));
  EXPECT_NEAR(host.stats(id).delay_p50_usec, 50'000, 1'000) << "a record uses one core";
}

TEST(Model, GarbageIsCollectedByManyThreadsBesideTheRecords) {
  TaskSpec spec = task("/a.service", 0, 1'000, 1);
  spec.work.gc_period = seconds(1);
  spec.work.gc_threads = 4;
  spec.work.gc_usec = 50'000;
  Host host({.cpus = 8});
  const CgroupId id = host.add_task(spec).value();
  host.advance(milliseconds(1'049));
  EXPECT_EQ(host.sample(id).runnable_threads, 4U);
  host.advance(milliseconds(8'951));
  EXPECT_NEAR(host.stats(id).usage_usec, 9 * 4 * 50'000, 1) << "the tenth begins";
  EXPECT_EQ(host.sample(id).runnable_threads, 4U);
  host.advance(milliseconds(51));
  EXPECT_EQ(host.sample(id).runnable_threads, 0U);
}

TEST(Model, AQuotaAddsTheWaitForItsPeriods) {
  // One record a second of 50 ms at 20 ms per 100 ms: two full waits of 80 ms, then 10 ms.
  TaskSpec spec = task("/a.service", 1, 50'000, 1);
  spec.work.poisson = false;
  Host host({.cpus = 4});
  const CgroupId id = host.add_task(spec).value();
  ASSERT_EQ(host.apply(cpu_write(id, 20'000)).result, Receipt::Result::written);
  host.advance(seconds(10));
  EXPECT_NEAR(host.stats(id).delay_p50_usec, 210'000, 3'000);
  EXPECT_EQ(host.stats(id).throttles, 18U);  // nine records arrived and ended, two throttles each
}

TEST(Model, AListOfRecordsIsServedAsItIs) {
  TaskSpec spec = task("/a.service", 1'000, 1'000, 1);
  spec.work.records = std::make_shared<const std::vector<ListedRecord>>(
      std::vector<ListedRecord>{{0, 10'000}, {50'000, 30'000}, {50'000, 10'000}, {2e6, 5'000}});
  Host host({.cpus = 4});
  const CgroupId id = host.add_task(spec).value();
  host.advance(milliseconds(95));
  EXPECT_EQ(host.stats(id).finished, 3U);
  EXPECT_NEAR(host.stats(id).delay_worst_usec, 40'000, 1) << "the third waited for the second";
  host.advance(seconds(2));
  EXPECT_EQ(host.stats(id).arrivals, 4U);
  EXPECT_NEAR(host.stats(id).usage_usec, 55'000, 1);
}

TEST(Model, BacklogDrainsAtTheQuotasPace) {
  TaskSpec spec = task("/a.service", 0, 10'000, 4);
  spec.work.load =
      Load::parse("burst:base=0,peak=1000,start=1,length=1").value();  // 10 CPU-seconds in one second
  Host host({.cpus = 4});
  const CgroupId id = host.add_task(spec).value();
  host.apply(cpu_write(id, 100'000));  // one core
  host.advance(seconds(6));
  const TaskStats stats = host.stats(id);
  EXPECT_NEAR(stats.backlog_cpu_usec, static_cast<double>(stats.arrivals) * 10'000 - 5e6, 0.15e6);
  EXPECT_NEAR(stats.oldest_age_usec, 4.5e6, 0.3e6);
  EXPECT_GT(stats.late_share, 0.7);
}

TEST(Model, ThrottleAccountingAddsUp) {
  TaskSpec spec = task("/a.service", 0, 1'000, 1);
  spec.work.spin_threads = 2;
  Host host({.cpus = 4});
  const CgroupId id = host.add_task(spec).value();
  host.apply(cpu_write(id, 50'000));
  host.advance(seconds(10));
  const Sample sample = host.sample(id);
  EXPECT_EQ(sample.cpu->usage, Usec(5'000'000)) << "50 ms in each of a hundred periods";
  EXPECT_EQ(sample.cpu->user + sample.cpu->system, sample.cpu->usage);
  EXPECT_EQ(sample.bandwidth->nr_periods, 100U);
  EXPECT_EQ(sample.bandwidth->nr_throttled, 100U);
  EXPECT_NEAR(static_cast<double>(sample.bandwidth->throttled.count()), 2 * 7.5e6, 1)
      << "75 ms on two run queues";
  EXPECT_NEAR(static_cast<double>(sample.cpu_pressure->some.count()), 7.5e6, 2e3);
  EXPECT_NEAR(static_cast<double>(sample.cpu_pressure->full.count()), 7.5e6, 2e3);
}

TEST(Model, AWriteAtEveryThrottleAbolishesTheLimit) {
  const TaskSpec spec = spinner("/a.service");
  Host host({.cpus = 2});
  const CgroupId id = host.add_task(spec).value();
  host.apply(cpu_write(id, 20'000));
  int events = 0;
  MonotonicTime last{};
  host.on_throttle([&](const ThrottleEvent& event) {
    ++events;
    EXPECT_EQ(event.id, id);
    EXPECT_GE(event.at, last);
    last = event.at;
    host.apply(cpu_write(id, 20'000));
  });
  host.advance(seconds(5));
  EXPECT_NEAR(host.stats(id).usage_usec, 5e6, 10) << "a whole core, of a fifth";
  EXPECT_NEAR(events, 200, 2) << "a refill at every fifth of a period, and at its start";
  EXPECT_GE(host.stats(id).granted_usec, host.stats(id).usage_usec - 1);
}

TEST(Model, ThrottleEventsCarryTheExactTime) {
  TaskSpec spec = task("/a.service", 0, 1'000, 1);
  spec.work.spin_threads = 3;
  Host host({.cpus = 4});
  const CgroupId id = host.add_task(spec).value();
  host.apply(cpu_write(id, 10'000));
  std::vector<MonotonicTime> at;
  host.on_throttle([&](const ThrottleEvent& event) { at.push_back(event.at); });
  host.advance(milliseconds(150));
  ASSERT_EQ(at.size(), 2U);
  EXPECT_NEAR(static_cast<double>(at[0].time_since_epoch().count()), 10e6 / 3, 2);
  EXPECT_NEAR(static_cast<double>(at[1].time_since_epoch().count()), 100e6 + 10e6 / 3, 2);
}

RC_GTEST_PROP(Model, UsageNeverExceedsWhatWasGranted, ()) {
  const auto rate = *rc::gen::inRange(1, 2'000);
  const auto cost = *rc::gen::inRange(100, 20'000);
  const auto threads = *rc::gen::inRange(1, 8);
  Host host({.cpus = 4, .seed = *rc::gen::arbitrary<std::uint64_t>()});
  const CgroupId id = host.add_task(task("/a.service", rate, cost, static_cast<unsigned>(threads))).value();
  host.apply(cpu_write(id, 50'000));
  std::uint64_t last_usage = 0;
  for (int i = 0; i < 20; ++i) {
    const auto period = *rc::gen::inRange(1'000, 1'000'001);
    host.apply(cpu_write(id, *rc::gen::inRange(1'000, 400'000), period));
    host.set_cpu_burst(*host.find(id), static_cast<std::uint64_t>(*rc::gen::inRange(0, 100'000)));
    host.advance(milliseconds(*rc::gen::inRange(1, 500)));
    const TaskStats stats = host.stats(id);
    const Sample sample = host.sample(id);
    RC_ASSERT(stats.usage_usec <= stats.granted_usec + 1);
    RC_ASSERT(stats.usage_usec <= 4 * static_cast<double>(host.now().count()) + 1);
    RC_ASSERT(stats.finished + stats.backlog == stats.arrivals);
    RC_ASSERT(sample.bandwidth->nr_throttled <= sample.bandwidth->nr_periods);
    RC_ASSERT(static_cast<std::uint64_t>(sample.cpu->usage.count()) >= last_usage);
    last_usage = static_cast<std::uint64_t>(sample.cpu->usage.count());
  }
}

std::vector<double> fingerprint(std::uint64_t seed, Usec chunk, double cpus = 4) {
  Host host({.cpus = cpus, .seed = seed});
  TaskSpec busy = task("/a.service", 300, 3'000, 4);
  busy.work.cost_sigma = 1;
  busy.memory.file_cold = 200 << 20;
  const CgroupId a = host.add_task(busy).value();
  const CgroupId b = host.add_task(task("/b.service", 900, 2'000, 4)).value();
  host.apply(cpu_write(a, 80'000));
  host.apply(high_write(a, 150 << 20));
  for (Usec done{}; done < seconds(20); done += chunk) host.advance(chunk);
  std::vector<double> out;
  for (const CgroupId id : {a, b}) {
    const TaskStats s = host.stats(id);
    const Sample sample = host.sample(id);
    out.insert(out.end(), {static_cast<double>(s.arrivals), s.delay_mean_usec, s.delay_worst_usec,
                           s.usage_usec, static_cast<double>(sample.cpu_pressure->some.count()),
                           static_cast<double>(sample.memory_stat->pgscan)});
  }
  return out;
}

TEST(Model, EqualSeedsGiveEqualRuns) {
  EXPECT_EQ(fingerprint(5, milliseconds(100)), fingerprint(5, milliseconds(100)));
  EXPECT_NE(fingerprint(5, milliseconds(100)), fingerprint(6, milliseconds(100)));
}

TEST(Model, HowTimeIsCutDoesNotMatter) {
  EXPECT_EQ(fingerprint(5, milliseconds(10)), fingerprint(5, seconds(20)));
  EXPECT_EQ(fingerprint(5, milliseconds(10), 2), fingerprint(5, seconds(20), 2)) << "a full node, too";
}

TEST(Model, AFullNodeIsSharedByWeight) {
  Host host({.cpus = 2});
  std::vector<CgroupId> ids;
  for (const char* name : {"/a.service", "/b.service", "/c.service"}) {
    TaskSpec spec = task(name, 0, 1'000, 1);
    spec.work.spin_threads = name[1] == 'c' ? 0 : 2;
    if (name[1] == 'c') spec.work.load = Load::constant(100);  // a tenth of a core: less than its share
    ids.push_back(host.add_task(spec).value());
  }
  host.find(ids[0])->cpu_weight = 300;
  host.advance(seconds(100));
  const double a = host.stats(ids[0]).usage_usec / 100e6;
  const double b = host.stats(ids[1]).usage_usec / 100e6;
  const double c = host.stats(ids[2]).usage_usec / 100e6;
  EXPECT_NEAR(a + b + c, 2, 0.02);
  EXPECT_NEAR(c, 0.1, 0.01);
  EXPECT_NEAR(a / b, 3, 0.15);
  EXPECT_GT(host.sample(ids[1]).cpu_pressure->full.count(), 60'000'000) << "b gets half a core of two";
}

TEST(Model, AFrozenTaskLeavesTheCpusToOthers) {
  Host host({.cpus = 1});
  const auto ids = spinning(host, {"/a.slice/frozen.service", "/busy.service"});
  host.advance(seconds(1));
  host.find("/a.slice")->frozen = true;
  host.reset_stats();
  host.advance(seconds(10));
  EXPECT_EQ(host.stats(ids[0]).usage_usec, 0);
  EXPECT_NEAR(host.stats(ids[1]).usage_usec, 10e6, 1e4);
}

TEST(Model, AnAncestorsQuotaBindsAllBelow) {
  Host host({.cpus = 4});
  const auto ids = spinning(host, {"/x.slice/a.service", "/x.slice/b.service"});
  const CgroupId slice = host.find("/x.slice")->id;
  host.apply(cpu_write(slice, 50'000));
  host.advance(seconds(10));
  EXPECT_NEAR(static_cast<double>(host.sample(slice).cpu->usage.count()), 5e6, 0.05e6);
  EXPECT_NEAR(host.stats(ids[0]).usage_usec, host.stats(ids[1]).usage_usec, 0.1e6);
  EXPECT_NEAR(static_cast<double>(host.sample(slice).bandwidth->nr_throttled), 100, 2);
}

TEST(Model, PressureAveragesFollowTheKernelsDecay) {
  const TaskSpec spec = spinner("/a.service");
  Host host({.cpus = 1});
  const CgroupId id = host.add_task(spec).value();
  host.apply(cpu_write(id, 1'000, 1'000'000));
  host.advance(seconds(20));
  double avg10 = 0;
  std::sscanf(host.find(id)->psi(Resource::cpu).text(true).c_str(), "some avg10=%lf", &avg10);
  EXPECT_NEAR(avg10, 100 * (1 - std::exp(-2.0)), 1);
}

TEST(Model, OneThatRunsKeepsItsAncestorsFromFullPressure) {
  Host host({.cpus = 4});
  const auto ids = spinning(host, {"/x.slice/a.service", "/x.slice/b.service"});
  host.apply(cpu_write(ids[0], 20'000));
  host.advance(seconds(10));
  EXPECT_NEAR(static_cast<double>(host.sample(ids[0]).cpu_pressure->full.count()), 8e6, 0.1e6);
  const PressureTotals above = *host.sample(host.find("/x.slice")->id).cpu_pressure;
  EXPECT_NEAR(static_cast<double>(above.some.count()), 8e6, 0.1e6);
  EXPECT_LT(above.full.count(), 100'000);
}

TEST(Model, StatsCanStartAfterAWarmUp) {
  Host host({.cpus = 4});
  const CgroupId id = host.add_task(task("/a.service", 100, 1'000, 1)).value();
  host.advance(seconds(10));
  host.apply(cpu_write(id, 50'000));
  host.reset_stats();
  host.advance(seconds(30));
  const TaskStats stats = host.stats(id);
  EXPECT_EQ(stats.observed_usec, 30e6);
  EXPECT_NEAR(stats.allocated_cores, 0.5, 1e-9);
  EXPECT_NEAR(stats.q10_cores, 0.5, 1e-9);
  EXPECT_NEAR(static_cast<double>(stats.arrivals), 3'000, 200);
}

TEST(Model, WritesAnswerAsTheKernelWould) {
  Host host({.cpus = 4});
  const CgroupId id = host.add_task(task("/a.service", 1, 1'000, 1)).value();
  EXPECT_EQ(host.apply(cpu_write(id, 999)).error_number, EINVAL);
  EXPECT_EQ(host.apply(cpu_write(id, 999)).result, Receipt::Result::refused);
  EXPECT_EQ(host.apply(cpu_write(CgroupId{99}, 50'000)).result, Receipt::Result::vanished);
  const Receipt receipt = host.apply(high_write(id, Bytes{8191}));
  EXPECT_EQ(std::get<MemoryLimit>(*receipt.holds).bytes, Bytes{4096});
  EXPECT_EQ(receipt.path, "/a.service/memory.high");
}

}  // namespace
}  // namespace sluice::simhost
