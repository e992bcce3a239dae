#include "tests/simhost/memory.hpp"

#include <gtest/gtest.h>

#include "tests/simhost/model.hpp"

namespace sluice::simhost {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
constexpr Bytes kMib = 1 << 20;

struct Bench {
  explicit Bench(const MemorySpec& memory, double rate = 50, Bytes swap = 0)
      : host({.cpus = 4, .memory = 4096 * kMib, .swap = swap}) {
    TaskSpec spec;
    spec.cgroup = "/m.service";
    spec.work.load = Load::constant(rate);
    spec.memory = memory;
    id = host.add_task(spec).value();
    host.advance(seconds(1));
  }
  void set_high(std::optional<Bytes> bytes) {
    Write write;
    write.id = id;
    write.knob = Knob::memory_high;
    write.value = MemoryLimit{bytes};
    ASSERT_EQ(host.apply(write).result, Receipt::Result::written);
  }
  Sample sample() { return host.sample(id); }
  Host host;
  CgroupId id;
};

TEST(Memory, ColdCacheGoesFirstAndCostsLittle) {
  Bench bench({.anon = 64 * kMib, .anon_mib = {}, .file_hot = 100 * kMib, .file_cold = 400 * kMib});
  bench.set_high(300 * kMib);
  bench.host.advance(seconds(10));
  const Sample s = bench.sample();
  EXPECT_LE(*s.memory_current, 300 * kMib);
  EXPECT_EQ(s.memory_stat->workingset_refault_file, 0U) << "nobody wants cold pages back";
  EXPECT_NEAR(static_cast<double>(s.memory_stat->pgsteal), 268 * 256, 300);
  EXPECT_GE(s.memory_stat->pgscan, s.memory_stat->pgsteal);
  EXPECT_LT(s.memory_pressure->some, Usec(600'000));
}

TEST(Memory, HotCacheComesBackAndStalls) {
  Bench bench({.anon = 64 * kMib, .anon_mib = {}, .file_hot = 200 * kMib, .hot_cycle_s = 5});
  const auto before = bench.sample();
  bench.set_high(150 * kMib);
  bench.host.advance(seconds(10));
  const Sample s = bench.sample();
  EXPECT_LE(*s.memory_current, 151 * kMib);
  EXPECT_GT(s.memory_stat->workingset_refault_file, 10'000U);
  EXPECT_GT(s.memory_pressure->some - before.memory_pressure->some, Usec(300'000));
  bench.set_high(std::nullopt);
  bench.host.advance(seconds(60));
  EXPECT_GT(bench.sample().memory_stat->file, 199 * kMib) << "with room, the working set is whole again";
}

TEST(Memory, HighUnderAnonIsFutileAndNearlyStopsTheTask) {
  Bench bench({.anon = 200 * kMib, .anon_mib = {}, .kernel = 0}, 200);
  const std::uint64_t finished = bench.host.stats(bench.id).finished;
  bench.set_high(150 * kMib);
  const auto before = bench.sample();
  bench.host.advance(seconds(30));
  const Sample s = bench.sample();
  EXPECT_EQ(*s.memory_current, 200 * kMib) << "nothing can be freed";
  EXPECT_EQ(s.memory_stat->pgsteal, 0U);
  EXPECT_GT(s.memory_stat->pgscan, 0U);
  EXPECT_GT(s.memory_events->high, before.memory_events->high);
  EXPECT_EQ(s.memory_events->oom_kill, 0U);
  EXPECT_GT((s.memory_pressure->some - before.memory_pressure->some).count(), 15'000'000)
      << "more than half of 30 s";
  EXPECT_LT(bench.host.stats(bench.id).finished - finished, 3'000U) << "of 6000";
  bench.set_high(std::nullopt);
  bench.host.advance(seconds(60));
  EXPECT_EQ(bench.host.stats(bench.id).backlog, 0U) << "lifting it frees the task";
}

TEST(Memory, OneMebibyteAboveHighTakesAboutAMinute) {
  const double pages = 256;
  const double stall = over_high_penalty_usec(200e6, 150e6, pages) / 1e6;
  EXPECT_NEAR(stall, 69, 10);
  EXPECT_EQ(over_high_penalty_usec(100e6, 150e6, pages), 0);
  EXPECT_EQ(over_high_penalty_usec(150.1e6, 150e6, pages), 0) << "less than 10 ms is forgiven";
}

TEST(Memory, SpinningThreadsDoNotFeelIt) {
  TaskSpec spec;
  spec.cgroup = "/m.service";
  spec.work.spin_threads = 1;
  spec.work.load = Load::constant(0);
  spec.memory = {.anon = 0, .anon_mib = Load::parse("leak:base=200,slope=1").value()};
  Host host({.cpus = 4});
  const CgroupId id = host.add_task(spec).value();
  host.set_memory_high(*host.find(id), MemoryLimit{150 * kMib});
  host.advance(seconds(20));
  EXPECT_NEAR(host.stats(id).usage_usec, 20e6, 0.1e6);
  EXPECT_GT(host.sample(id).memory_pressure->some.count(), 15'000'000);
  EXPECT_LT(host.sample(id).memory_pressure->full.count(), 100'000) << "somebody runs";
}

TEST(Memory, SwapMakesAnonReclaimable) {
  Bench bench({.anon = 200 * kMib, .anon_mib = {}, .swappable = true}, 50, 1024 * kMib);
  EXPECT_GT(*bench.sample().swap_free, 0U);
  bench.set_high(150 * kMib);
  bench.host.advance(seconds(5));
  EXPECT_LE(*bench.sample().memory_current, 150 * kMib);
  EXPECT_GT(bench.host.find(bench.id)->swapped, 40.0 * kMib);
}

TEST(Memory, MaxKillsAndTheTaskReturns) {
  TaskSpec spec;
  spec.cgroup = "/m.service";
  spec.work.load = Load::constant(10);
  spec.memory = {.anon = 0, .anon_mib = Load::parse("burst:base=50,peak=300,start=2,length=3").value()};
  spec.restart_after = seconds(1);
  Host host({.cpus = 4});
  const CgroupId id = host.add_task(spec).value();
  host.set_memory_max(*host.find(id), MemoryLimit{100 * kMib});
  host.advance(milliseconds(2'900));
  EXPECT_EQ(host.sample(id).memory_events->oom_kill, 1U);
  EXPECT_FALSE(host.stats(id).alive);
  EXPECT_FALSE(host.find(id)->populated());
  host.advance(seconds(10));
  EXPECT_TRUE(host.stats(id).alive);
  EXPECT_GE(host.sample(id).memory_events->oom_kill, 2U) << "it came back while the load was still high";
  EXPECT_NEAR(static_cast<double>(*host.sample(id).memory_current), 54.0 * kMib, 2.0 * kMib);
  EXPECT_EQ(host.stats(id).backlog, 0U) << "what it had begun was delivered again";
}

TEST(Memory, ReclaimTakesModelTimeAndReportsItsEnd) {
  Bench bench({.anon = 16 * kMib, .anon_mib = {}, .file_cold = 800 * kMib});
  const std::uint64_t job = bench.host.reclaim(*bench.host.find(bench.id), 400 * kMib);
  bench.host.advance(milliseconds(10));
  EXPECT_FALSE(bench.host.reclaim_result(job));
  bench.host.advance(seconds(2));
  EXPECT_EQ(bench.host.reclaim_result(job), 0);
  EXPECT_NEAR(static_cast<double>(bench.sample().memory_stat->file), 400.0 * kMib, 1.0 * kMib);
  const std::uint64_t more = bench.host.reclaim(*bench.host.find(bench.id), 800 * kMib);
  bench.host.advance(seconds(5));
  EXPECT_EQ(bench.host.reclaim_result(more), EAGAIN);
}

TEST(Memory, AFullNodeTakesColdCacheThenTheLargestTask) {
  Host host({.cpus = 4, .memory = 1024 * kMib});
  const auto add = [&](const char* name, Bytes anon, Bytes cold) {
    TaskSpec spec;
    spec.cgroup = name;
    spec.work.load = Load::constant(1);
    spec.memory.anon = anon;
    spec.memory.file_cold = cold;
    return host.add_task(spec).value();
  };
  const CgroupId a = add("/a.service", 300 * kMib, 500 * kMib);
  const CgroupId b = add("/b.service", 600 * kMib, 0);
  host.advance(milliseconds(100));
  EXPECT_TRUE(host.stats(a).alive && host.stats(b).alive);
  EXPECT_LE(host.root().memory_current, 1024.0 * kMib);
  const CgroupId c = add("/c.service", 400 * kMib, 0);
  host.advance(milliseconds(100));
  EXPECT_FALSE(host.stats(b).alive) << "the largest";
  EXPECT_TRUE(host.stats(a).alive && host.stats(c).alive);
}

}  // namespace
}  // namespace sluice::simhost
