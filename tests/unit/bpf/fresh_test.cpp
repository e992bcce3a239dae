#include "bpf/loader/fresh.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

namespace sluice::bpf {
namespace {

constexpr std::uint64_t kTick = 100'000'000;
constexpr std::uint64_t kId = 7;

// One cgroup with CPU pressure. Times are per CPU, as {stalled, busy}.
struct Cgroup {
  struct Times {
    std::uint32_t stalled_ns;
    std::uint32_t busy_ns;
    bool consistent = true;
  };

  sluice_record walk(const std::vector<Times>& cpus, std::uint64_t after_ns = kTick) {
    now_ns += after_ns;
    sluice_record record = {};
    record.cgroup_id = kId;
    record.at_ktime_ns = now_ns;
    record.valid = SLUICE_HAS_CPU_PRESSURE | SLUICE_HAS_MEMORY_PRESSURE | SLUICE_HAS_IO_PRESSURE;
    record.pressure[SLUICE_CPU].some_ns = kernel_total_ns;
    std::vector<sluice_psi_cpu> tail(cpus.size());
    for (std::size_t i = 0; i < cpus.size(); ++i) {
      tail[i].ns[SLUICE_PSI_CPU_SOME] = cpus[i].stalled_ns;
      tail[i].ns[SLUICE_PSI_NONIDLE] = cpus[i].busy_ns;
      tail[i].consistent = cpus[i].consistent;
    }
    freshener.finish(record, {}, tail);
    freshener.end_walk();
    return record;
  }
  std::uint64_t some_ns(const std::vector<Times>& cpus, std::uint64_t after_ns = kTick) {
    return walk(cpus, after_ns).pressure[SLUICE_CPU].some_ns;
  }

  Freshener freshener;
  std::uint64_t now_ns = 1'000'000'000;
  std::uint64_t kernel_total_ns = 0;
};

TEST(FreshPressure, StartsFromTheKernelsTotalAndGrowsByWhatIsBooked) {
  Cgroup cgroup;
  cgroup.kernel_total_ns = 5'000'000;
  EXPECT_EQ(cgroup.some_ns({{900, 900'000'000}}), 5'000'000u);
  EXPECT_EQ(cgroup.some_ns({{40'000'900, 1'000'000'000}}), 45'000'000u);
  EXPECT_EQ(cgroup.some_ns({{40'000'900, 1'000'000'000}}), 45'000'000u) << "nothing happened";
}

TEST(FreshPressure, WeighsEachCpuByHowBusyItWas) {
  Cgroup cgroup;
  cgroup.walk({{0, 0}, {0, 0}});
  // 60 ms stalled on a CPU busy for 75 ms, none on one busy for 25 ms: 45 ms.
  EXPECT_NEAR(static_cast<double>(cgroup.some_ns({{60'000'000, 75'000'000}, {0, 25'000'000}})), 45'000'000.,
              10'000.);
}

TEST(FreshPressure, CountersThatWrapGoOn) {
  Cgroup cgroup;
  cgroup.walk({{4'294'000'000u, 4'290'000'000u}});
  EXPECT_EQ(cgroup.some_ns({{10'000'000u, 50'000'000u}}), 10'000'000u + 4'294'967'296u - 4'294'000'000u);
}

TEST(FreshPressure, AReadingThatRanAheadWaitsAndNothingIsCountedTwice) {
  Cgroup cgroup;
  cgroup.walk({{0, 0}});
  EXPECT_EQ(cgroup.some_ns({{50'000'000, 100'000'000}}), 50'000'000u);
  EXPECT_EQ(cgroup.some_ns({{45'000'000, 150'000'000}}), 50'000'000u) << "it never falls";
  EXPECT_EQ(cgroup.some_ns({{60'000'000, 200'000'000}}), 60'000'000u);
}

TEST(FreshPressure, AnInconsistentCpuIsMadeGoodByTheNextWalk) {
  Cgroup cgroup;
  cgroup.walk({{0, 0}});
  EXPECT_EQ(cgroup.some_ns({{999'999'999, 123, false}}), 0u);
  EXPECT_EQ(cgroup.some_ns({{30'000'000, 90'000'000}}), 30'000'000u);
}

TEST(FreshPressure, OneInconsistentCpuHoldsBackAllSoThatTheWeightsStayRight) {
  Cgroup cgroup;
  cgroup.walk({{0, 0}, {0, 0}});
  EXPECT_EQ(cgroup.some_ns({{80'000'000, 100'000'000}, {80'000'000, 100'000'000, false}}), 0u);
  EXPECT_EQ(cgroup.some_ns({{160'000'000, 200'000'000}, {160'000'000, 200'000'000}}), 160'000'000u);
}

TEST(FreshPressure, AFirstSightThatIsInconsistentIsNoBase) {
  Cgroup cgroup;
  cgroup.walk({{4'000'000'000u, 4'000'000'000u, false}});
  EXPECT_EQ(cgroup.some_ns({{10'000'000, 20'000'000}}), 0u) << "this one is the base";
  EXPECT_EQ(cgroup.some_ns({{15'000'000, 40'000'000}}), 5'000'000u);
}

TEST(FreshPressure, AfterALongGapTheKernelsTotalCarriesOn) {
  Cgroup cgroup;
  cgroup.walk({{0, 0}});
  EXPECT_EQ(cgroup.some_ns({{50'000'000, 100'000'000}}), 50'000'000u);
  cgroup.kernel_total_ns = 7'000'000'000;
  EXPECT_EQ(cgroup.some_ns({{1'000'000, 2'000'000}}, 9'000'000'000), 7'000'000'000u);
  EXPECT_EQ(cgroup.some_ns({{3'000'000, 4'000'000}}), 7'002'000'000u);
  cgroup.kernel_total_ns = 1;  // older than our total, which stays
  EXPECT_EQ(cgroup.some_ns({{3'000'000, 4'000'000}}, 9'000'000'000), 7'002'000'000u);
}

TEST(FreshPressure, ACgroupThatVanishedIsForgotten) {
  Cgroup cgroup;
  cgroup.walk({{0, 0}});
  EXPECT_EQ(cgroup.freshener.known(), 1u);
  cgroup.freshener.end_walk();  // a walk without it
  EXPECT_EQ(cgroup.freshener.known(), 0u);
}

// Whatever the order of a walk, and whichever cgroups appear or vanish: each cgroup keeps its own totals.
RC_GTEST_PROP(FreshPressure, CgroupsAreNotMixedUp, ()) {
  Freshener freshener;
  std::map<std::uint64_t, std::uint64_t> expected_ns;  // of the cgroups in the last walk
  std::uint32_t walked = 0;
  for (int walk = 0; walk < 8; ++walk) {
    std::vector<std::uint64_t> ids;
    for (const std::uint64_t id :
         *rc::gen::container<std::vector<std::uint64_t>>(6, rc::gen::inRange<std::uint64_t>(1, 6)))
      if (std::ranges::find(ids, id) == ids.end()) ids.push_back(id);
    ++walked;
    std::map<std::uint64_t, std::uint64_t> met_ns;
    for (const std::uint64_t id : ids) {
      sluice_record record = {};
      record.cgroup_id = id;
      record.at_ktime_ns = walked * kTick;
      record.valid = SLUICE_HAS_CPU_PRESSURE;
      sluice_psi_cpu cpu = {};
      cpu.ns[SLUICE_PSI_CPU_SOME] = walked * 1'000'000 * static_cast<std::uint32_t>(id);
      cpu.ns[SLUICE_PSI_NONIDLE] = walked * kTick;
      cpu.consistent = 1;
      // A new cgroup starts at the kernel's total, here zero; others grow by their own milliseconds.
      met_ns[id] = expected_ns.contains(id) ? expected_ns[id] + id * 1'000'000 : 0;
      freshener.finish(record, {}, {&cpu, 1});
      RC_ASSERT(record.pressure[SLUICE_CPU].some_ns == met_ns[id]);
    }
    freshener.end_walk();
    RC_ASSERT(freshener.known() == ids.size());
    expected_ns = met_ns;
  }
}

TEST(FreshPressure, ARecordWithoutPressurePassesUntouched) {
  Freshener freshener;
  sluice_record record = {};
  record.cgroup_id = kId;
  record.valid = SLUICE_HAS_MEMORY;
  record.memory_current_bytes = 42;
  freshener.finish(record, {}, {});
  EXPECT_EQ(record.memory_current_bytes, 42u);
  EXPECT_EQ(freshener.known(), 0u);
}

RC_GTEST_PROP(FreshPressure, NeverFallsAndNeverOutgrowsTheBusiestCpu, ()) {
  Cgroup cgroup;
  const auto cpus = *rc::gen::inRange<std::size_t>(1, 5);
  std::vector<Cgroup::Times> times(cpus, {0, 0});
  std::uint64_t last = cgroup.some_ns(times);
  for (int walk = 0; walk < 20; ++walk) {
    std::uint32_t most = 0;
    for (auto& cpu : times) {
      const auto busy = *rc::gen::inRange<std::uint32_t>(0, kTick + 1);
      const auto stalled = *rc::gen::inRange<std::uint32_t>(0, busy + 1);
      cpu.busy_ns += busy;
      cpu.stalled_ns += stalled;
      most = std::max(most, stalled);
    }
    const std::uint64_t now = cgroup.some_ns(times);
    RC_ASSERT(now >= last);
    RC_ASSERT(now - last <= most);
    last = now;
  }
}

TEST(SplitRuntime, FollowsTheTicksAndKeepsTheSum) {
  const CpuSplit split = split_runtime(1'000, {.user_ns = 300, .system_ns = 100}, {});
  EXPECT_EQ(split.user_ns, 750u);
  EXPECT_EQ(split.system_ns, 250u);
}

TEST(SplitRuntime, WithoutSystemTicksAllIsUserAndTheOtherWayRound) {
  EXPECT_EQ(split_runtime(1'000, {.user_ns = 0, .system_ns = 0}, {}).user_ns, 1'000u);
  EXPECT_EQ(split_runtime(1'000, {.user_ns = 5, .system_ns = 0}, {}).user_ns, 1'000u);
  EXPECT_EQ(split_runtime(1'000, {.user_ns = 0, .system_ns = 5}, {}).system_ns, 1'000u);
}

TEST(SplitRuntime, NeverGoesBelowWhatWasShown) {
  const CpuSplit split =
      split_runtime(1'000, {.user_ns = 900, .system_ns = 100}, {.user_ns = 100, .system_ns = 400});
  EXPECT_EQ(split.system_ns, 400u);
  EXPECT_EQ(split.user_ns, 600u);
}

TEST(SplitRuntime, SurvivesYearsOfNanoseconds) {
  constexpr std::uint64_t kYears = 1'000'000'000ull * 3600 * 24 * 365 * 500;
  const CpuSplit split = split_runtime(kYears, {.user_ns = kYears / 2, .system_ns = kYears / 2}, {});
  EXPECT_EQ(split.user_ns + split.system_ns, kYears);
  EXPECT_NEAR(static_cast<double>(split.user_ns), static_cast<double>(kYears) / 2, 2.);
}

RC_GTEST_PROP(SplitRuntime, HalvesRiseAndSumToTheRuntime, ()) {
  CpuSplit shown;
  std::uint64_t runtime = 0;
  CpuSplit ticks;
  for (int step = 0; step < 20; ++step) {
    runtime += *rc::gen::inRange<std::uint64_t>(0, 1'000'000'000);
    ticks.user_ns += *rc::gen::inRange<std::uint64_t>(0, 1'000'000'000);
    ticks.system_ns += *rc::gen::inRange<std::uint64_t>(0, 1'000'000'000);
    const CpuSplit split = split_runtime(runtime, ticks, shown);
    RC_ASSERT(split.user_ns >= shown.user_ns);
    RC_ASSERT(split.system_ns >= shown.system_ns);
    RC_ASSERT(split.user_ns + split.system_ns == runtime);
    shown = split;
  }
}

}  // namespace
}  // namespace sluice::bpf
