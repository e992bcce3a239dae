// The state of a task's limit before planning: what counts against the node, its bounds, and whether it may
// be moved.
#include "daemon/arbitrate/standing.hpp"

#include <gtest/gtest.h>

#include "tests/unit/policy_inputs.hpp"

namespace sluice::testing {
namespace {

constexpr CgroupId kTask{1};
constexpr double kMiB = 1 << 20;

// One task that used half a core and 256 MiB, of which reclaim cannot free about 66 MiB.
struct Seen : Bench {
  explicit Seen(CpuMax cpu = {}, MemoryLimit memory = {}) {
    add(1, cpu, memory);
    auto_receipts = false;
    config.tasks[0].policy.cpu.writes_per_minute = config.tasks[0].policy.memory.writes_per_minute = 1000;
    look();
    for (int i = 0; i < 5; ++i) {
      run_cpu(1, 100ms, 0.5, false);
      look();
    }
  }
  void look() {
    full();
    last.plan.writes.clear();
    auto& t = mine();
    for (const Knob which : {Knob::cpu_max, Knob::memory_high}) {
      auto& knob = which == Knob::cpu_max ? t.cpu : t.memory;
      if (knob.limit.in_flight())
        knob.limit.answer(
            failed({kTask, which, knob.limit.order()->value, {}, {}}, Receipt::Result::not_tried, 0, now));
    }
  }
  TaskState& mine() { return state.tasks.at(kTask); }
  void ours(Knob which, const KnobValue& value) {
    hold(which == Knob::cpu_max ? mine().cpu : mine().memory, which, value);
  }
  PlanContext context() const { return {&state, &config, node, now}; }
  Bounds bounds() { return bounds_of(mine(), context()); }
  KnobClaim claim(Knob which) { return standing(mine(), which, bounds(), context()); }
};

TEST(Standing, OfAGovernedTaskCountsWhatItUsesAndWhatItsControllerKnowsItToNeed) {
  Seen b;
  EXPECT_NEAR(b.claim(Knob::cpu_max).use.value(), 0.5, 0.05) << "no limit: the kernel sees to its head-room";
  b.ours(Knob::cpu_max, cores(6));
  b.mine().cpu_need_cores = 2;
  EXPECT_DOUBLE_EQ(b.claim(Knob::cpu_max).use.value(), 2);
  b.mine().cpu_need_cores = 5;
  EXPECT_DOUBLE_EQ(b.claim(Knob::cpu_max).use.value(), 4) << "not beyond its maximum";
  b.mine().hold = nullptr;
  b.state.holds.node.emplace();
  EXPECT_GT(b.claim(Knob::cpu_max).use.value(), 0.6) << "of one that is not governed it is a guess";
  EXPECT_LT(b.claim(Knob::cpu_max).use.value(), 1);
}

TEST(Standing, CacheCountsUnderALimitOfOurs) {
  Seen b;
  EXPECT_LT(b.claim(Knob::memory_high).use.value(), 100 * kMiB) << "cache fills any node";
  b.ours(Knob::memory_high, mib(600));
  EXPECT_GE(b.claim(Knob::memory_high).use.value(), 256 * kMiB);
  EXPECT_LT(b.claim(Knob::memory_high).use.value(), 300 * kMiB);
  b.ours(Knob::memory_high, mib(200));
  EXPECT_LE(b.claim(Knob::memory_high).use.value(), 200 * kMiB) << "no more than its limit";
}

TEST(Standing, AFrozenTaskUsesNothingAndItsLimitStays) {
  Seen b;
  b.ours(Knob::cpu_max, cores(2));
  EXPECT_TRUE(b.claim(Knob::cpu_max).movable);
  b.mine().sample->frozen = true;
  EXPECT_EQ(b.claim(Knob::cpu_max).use, 0);
  EXPECT_FALSE(b.claim(Knob::cpu_max).movable);
}

TEST(Standing, WithAnOrderUnderWayTheLargerCountsAndAReleaseOnlyOnceItIsMade) {
  Seen b;
  b.ours(Knob::cpu_max, cores(3));
  auto& limit = b.mine().cpu.limit;
  limit.send(cores(1), {.rule = Rule::cpu_idle}, b.now);
  EXPECT_DOUBLE_EQ(in_force(b.mine().cpu), 3);
  auto c = b.claim(Knob::cpu_max);
  EXPECT_DOUBLE_EQ(c.ordered.value(), 1);
  EXPECT_FALSE(c.movable);
  b.ours(Knob::cpu_max, cores(3));
  limit.send(CpuMax{}, {.rule = Rule::released}, b.now);
  EXPECT_DOUBLE_EQ(in_force(b.mine().cpu), 3) << "it may be refused";
  EXPECT_FALSE(b.claim(Knob::cpu_max).ordered) << "and is no promise of the whole node";
}

TEST(Standing, WhatIsPretendedIsAValueOfOurs) {
  Seen b;
  EXPECT_FALSE(b.claim(Knob::cpu_max).ours);
  b.mine().cpu.limit.pretend(cores(1), {.rule = Rule::cpu_idle}, b.now);
  EXPECT_TRUE(b.claim(Knob::cpu_max).ours);
  EXPECT_DOUBLE_EQ(b.claim(Knob::cpu_max).current, 1);
}

TEST(Standing, ALimitMovesOnlyWhileItMay) {
  Seen b;
  b.ours(Knob::cpu_max, cores(3));
  EXPECT_TRUE(b.claim(Knob::cpu_max).movable);
  b.config.node.mode = config::Mode::dry_run;
  EXPECT_FALSE(b.claim(Knob::cpu_max).movable) << "in dry-run what is ours is given back first";
  b.config.node.mode = config::Mode::enforce;
  b.config.tasks[0].policy.cpu.writes_per_minute = 2;
  b.mine().cpu.writes.clear();
  b.mine().cpu.writes.push_back(b.now - kBudgetWindow);
  b.mine().cpu.writes.push_back(b.now - 1s);
  EXPECT_TRUE(b.claim(Knob::cpu_max).movable) << "one is a whole minute old";
  b.mine().cpu.writes.push_back(b.now);
  EXPECT_FALSE(b.claim(Knob::cpu_max).movable);
  b.mine().cpu.writes.clear();
  Hold suspended;
  suspended.suspension.emplace();
  b.mine().hold = &suspended;
  EXPECT_FALSE(b.claim(Knob::cpu_max).governed);
}

TEST(Standing, TheReserveIsNobodys) {
  Seen b;
  b.config.node.cpu_reserve_cores = 1.5;
  b.config.node.memory_reserve_bytes = Bytes{1} << 30;
  EXPECT_DOUBLE_EQ(capacity_of(Knob::cpu_max, b.context()), 6.5);
  EXPECT_DOUBLE_EQ(capacity_of(Knob::memory_high, b.context()), 15.0 * (1 << 30));
}

TEST(Standing, BoundsKnowOfSlicesOfMemoryMaxAndOfWhatReclaimCannotFree) {
  Seen b;
  b.mine().sample->ancestor_memory = 900 * Bench::kMiB;
  EXPECT_DOUBLE_EQ(b.bounds().memory_max, 900 * kMiB);
  b.mine().sample->memory_max = mib(500);
  EXPECT_DOUBLE_EQ(b.bounds().memory_max, 500 * kMiB);
  EXPECT_GE(b.bounds().memory_min, 66 * kMiB) << "16 MiB by its policy";
  EXPECT_GE(b.claim(Knob::memory_high).floor, 66 * kMiB);
  b.mine().sample->memory_stat->anon = 600 * Bench::kMiB;
  EXPECT_GE(b.bounds().memory_max, 600 * kMiB) << "it cannot be squeezed under its maximum";
  b.mine().sample->ancestor_cpu = AncestorCpu{1.5, "/a.slice", 0, 0};
  EXPECT_DOUBLE_EQ(b.bounds().cpu_max, 1.5);
}

TEST(Standing, AMaximumIsSetByConfigurationByScheduleOrByOrder) {
  Seen b;
  b.config.tasks[0].policy.cpu.max_cores.reset();
  EXPECT_FALSE(b.bounds().cpu_max_is_set);
  EXPECT_FALSE(b.bounds().memory_max_is_set);
  b.mine().scheduled.max = Scheduled::Bound{.cores = 2, .until = {}};
  EXPECT_TRUE(b.bounds().cpu_max_is_set);
  EXPECT_DOUBLE_EQ(b.bounds().cpu_max, 2);
  b.config.tasks[0].policy.memory.max_bytes = 300 * Bench::kMiB;
  Hold ordered;
  ordered.bounds.cpu_max_cores = 3;
  ordered.bounds.memory_max = 700 * Bench::kMiB;
  b.mine().hold = &ordered;
  EXPECT_DOUBLE_EQ(b.bounds().cpu_max, 3);
  EXPECT_DOUBLE_EQ(b.bounds().memory_max, 700 * kMiB) << "an order goes before the configuration";
  b.config.tasks[0].policy.memory.max_bytes.reset();
  EXPECT_TRUE(b.bounds().memory_max_is_set);
}

}  // namespace
}  // namespace sluice::testing
