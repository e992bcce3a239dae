#include <gtest/gtest.h>

#include "tests/unit/policy/inputs.hpp"

namespace sluice::testing {
namespace {

constexpr Bytes kMiB = Bench::kMiB;

// The kernel evicts cold cache to get under the limit.
void obey_limit(Bench& b) {
  Sample& s = b.sample();
  if (!s.memory_high->bytes || *s.memory_current <= *s.memory_high->bytes) return;
  const Bytes over = *s.memory_current - *s.memory_high->bytes;
  const Bytes freed = std::min(over, s.memory_stat->file);
  s.memory_stat->file -= freed;
  *s.memory_current -= freed;
  s.memory_stat->pgscan += freed / 4096;
  s.memory_stat->pgsteal += freed / 4096;
}

TEST(Memory, ColdCacheIsProbedAwayDownToAnonAndNoFurther) {
  Bench b;
  b.add(1);
  for (int i = 0; i < 3000; ++i) {
    b.full();
    obey_limit(b);
  }
  const double floor = *memory_floor(b.sample(), 0, 0);
  EXPECT_LT(b.high(), 0.35 * 256 * kMiB);
  EXPECT_GE(b.high(), floor - 4096);
}

TEST(Memory, PressureRaisesWithinASecondAndHoldsProbing) {
  Bench b;
  b.add(1);
  for (int i = 0; i < 200; ++i) {
    b.full();
    obey_limit(b);
  }
  const double before = b.high();
  ASSERT_LT(before, 256.0 * kMiB);
  Nsec t{};
  while (b.high() <= before && t < 5s) {
    b.sample().memory_pressure->some += 20ms;
    b.full();
    t += 100ms;
  }
  EXPECT_LE(t, 1s);
  EXPECT_EQ(b.task().memory.asked_reason.rule, Rule::memory_pressure);
  const double raised = b.high();
  for (int i = 0; i < 50; ++i) b.full();
  EXPECT_GE(b.high(), raised) << "no probe right after a raise";
}

TEST(Memory, AStepThatShrankBelowTheToleranceIsStillTaken) {
  Bench b;
  b.add(1);
  for (int i = 0; i < 200; ++i) {
    b.full();
    obey_limit(b);
  }
  const double before = b.high();
  b.state.tasks.at(CgroupId{1}).memory_control.step = 0.002;  // as after dear probes
  for (int i = 0; i < 2000; ++i) {
    b.full();
    obey_limit(b);
  }
  EXPECT_LT(b.high(), 0.9 * before);
}

TEST(Memory, RefaultsRaiseEvenWithoutPressure) {
  Bench b;
  b.add(1);
  for (int i = 0; i < 200; ++i) {
    b.full();
    obey_limit(b);
  }
  const double before = b.high();
  for (int i = 0; i < 5; ++i) {
    b.sample().memory_stat->workingset_refault_file += 1000;
    b.full();
  }
  EXPECT_GT(b.high(), before);
  EXPECT_EQ(b.task().memory.asked_reason.rule, Rule::memory_refault);
}

TEST(Memory, FutileReclaimLiftsTheLimitWithinASecond) {
  Bench b;
  b.add(1, {}, mib(200));
  b.sample().memory_current = 200 * kMiB;
  b.sample().memory_stat = MemoryStat{.anon = 100 * kMiB, .file = 90 * kMiB, .unreclaimable = 2 * kMiB};
  b.full();
  Nsec t{};
  while (b.high() < 1000.0 * kMiB && t < 5s) {
    b.sample().memory_stat->pgscan += 5000;
    b.sample().memory_stat->pgsteal += 10;
    b.sample().memory_events->high += 100;
    b.full();
    t += 100ms;
  }
  EXPECT_LE(t, 1s);
  EXPECT_EQ(b.task().memory.asked_reason.rule, Rule::memory_futile);
}

TEST(Memory, AWriteThatBlocksCountsAsFutile) {
  Bench b;
  b.add(1, {}, mib(300));
  b.full();
  b.auto_receipts = false;
  for (int i = 0; i < 60 && b.last.plan.writes.empty(); ++i) b.full();
  const Write* w = write_to(b.last.plan, Knob::memory_high);
  ASSERT_NE(w, nullptr);
  b.receipts.push_back(
      {w->id, w->knob, w->value, w->value, Receipt::Result::timed_out, EINTR, "/x", b.now, b.now, {}});
  const auto& out = b.full();
  const Write* lift = write_to(out.plan, Knob::memory_high);
  ASSERT_NE(lift, nullptr);
  EXPECT_EQ(lift->reason.rule, Rule::memory_futile);
  EXPECT_GT(number_of(lift->value), 1000.0 * kMiB);
}

TEST(Memory, NeverBelowAnonAndRaisedAtOnceWhenAnonGrowsPastIt) {
  Bench b;
  b.add(1, {}, mib(300));
  b.sample().memory_stat = MemoryStat{.anon = 200 * kMiB, .file = 50 * kMiB, .unreclaimable = 4 * kMiB};
  b.full();
  b.full();
  b.sample().memory_stat->anon = 290 * kMiB;
  b.sample().memory_current = 299 * kMiB;
  b.full();
  b.full();
  EXPECT_EQ(b.task().memory.asked_reason.rule, Rule::memory_floor);
  EXPECT_GE(b.high(), 1.1 * 294 * kMiB - 4096);
}

TEST(Memory, NothingIsLoweredWithoutPressureOrStat) {
  for (const bool no_stat : {false, true}) {
    Bench b;
    b.add(1, {}, mib(1000));
    b.full();
    if (no_stat) {
      b.sample().memory_stat.reset();
    } else {
      b.sample().memory_pressure.reset();
    }
    for (int i = 0; i < 100; ++i) b.full();
    EXPECT_DOUBLE_EQ(b.high(), 1000.0 * kMiB);
  }
}

TEST(Memory, SwapLowersTheFloorUnknownSwapDoesNot) {
  Sample s;
  s.memory_stat = MemoryStat{.anon = 100, .unreclaimable = 10};
  EXPECT_DOUBLE_EQ(*memory_floor(s, 0, 0), 1.1 * 110);
  s.swap_free = 0;
  EXPECT_DOUBLE_EQ(*memory_floor(s, 0, 0), 1.1 * 110);
  s.memory_stat->shmem = 40;  // tmpfs: page cache that only swap can free
  EXPECT_DOUBLE_EQ(*memory_floor(s, 0, 0), 1.1 * 150);
  s.swap_free = 1 << 30;
  EXPECT_DOUBLE_EQ(*memory_floor(s, 0, 0), 11);
  EXPECT_DOUBLE_EQ(*memory_floor(s, 50, 0), 50);
}

}  // namespace
}  // namespace sluice::testing
