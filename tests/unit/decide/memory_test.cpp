#include <gtest/gtest.h>

#include "tests/unit/policy_inputs.hpp"

namespace sluice::testing {
namespace {

constexpr Bytes kMiB = Bench::kMiB;

// The kernel evicts cold cache to reach the limit.
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
  EXPECT_EQ(rule_of(b.task().memory), Rule::memory_pressure);
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
  b.state.tasks.at(CgroupId{1}).memory_control.step = 0.002;  // as after costly probes
  for (int i = 0; i < 2000; ++i) {
    b.full();
    obey_limit(b);
  }
  EXPECT_LT(b.high(), 0.9 * before);
}

// A task that writes a log: page cache arrives all the time, and `hot` bytes are read back when evicted.
struct LogWriter {
  Bench& b;
  Bytes hot = 0;
  double missing = 0;  // evicted bytes of `hot`

  void run(Nsec length, Bytes bytes_per_second) {
    for (Nsec t{}; t < length; t += 100ms) {
      Sample& s = b.sample();
      const auto back = static_cast<Bytes>(missing / 20);
      missing -= static_cast<double>(back);
      s.memory_stat->workingset_refault_file += back / 4096;
      s.memory_pressure->some += Usec{static_cast<std::int64_t>(back / 4096 * 20)};
      grow(bytes_per_second / 10 + back);
      b.full();
      obey_limit(b);
      if (s.memory_stat->file < hot) missing = static_cast<double>(hot - s.memory_stat->file);
    }
  }
  void grow(Bytes bytes) {
    b.sample().memory_stat->file += bytes;
    *b.sample().memory_current += bytes;
  }
};

TEST(Memory, BetweenProbesALogWriterMeetsNoLimit) {
  Bench b;
  b.add(1);
  LogWriter task{b};
  task.run(120s, kMiB);
  int met = 0;
  for (int i = 0; i < 600; ++i) {
    task.run(100ms, kMiB);
    met += static_cast<double>(*b.sample().memory_current) >= b.high() ? 1 : 0;
  }
  EXPECT_LE(met, 60) << "of 600 ticks: a probe each few seconds, and up again with the next tick";
  EXPECT_LT(b.high(), 130.0 * kMiB) << "of 256 MiB, 66 are not page cache";
}

TEST(Memory, WhatIsReadAgainIsLearnedAndKept) {
  Bench b;
  b.add(1);
  LogWriter task{.b = b, .hot = 60 * kMiB};
  task.run(300s, kMiB / 4);
  const auto before = b.sample().memory_stat->workingset_refault_file;
  task.run(600s, kMiB / 4);
  const auto again = b.sample().memory_stat->workingset_refault_file - before;
  EXPECT_NEAR(b.task().memory_control.keep_bytes / kMiB, 60, 5);
  EXPECT_LT(static_cast<double>(again * 4096) / kMiB, 60) << "in ten minutes it was not evicted even once";
  EXPECT_LT(*b.sample().memory_current, 150 * kMiB);
}

TEST(Memory, ATaskThatReclaimsForItselfAtItsBoundIsRelieved) {
  config::Config config = one_task_config();
  config.tasks[0].policy.memory.max_bytes = 256 * kMiB;
  Bench b(config);
  b.add(1, {}, mib(256));
  for (int i = 0; i < 300; ++i) {
    Sample& s = b.sample();
    // At its limit it reclaims as much as it reads.
    s.memory_stat->pgscan += 100;
    s.memory_stat->pgsteal += 100;
    if (*s.memory_current >= 255 * kMiB) s.memory_pressure->some += 400us;
    b.full();
    obey_limit(b);
  }
  EXPECT_LT(*b.sample().memory_current, 240 * kMiB);
}

TEST(Memory, ADearMistakeIsNotRepeatedBeforeItIsPaidOff) {
  MemoryState s;
  s.probed_at = s.observed_since = MonotonicTime{1000s};
  s.probe_took_bytes = s.probe_unsure_bytes = 1 << 20;
  s.probe_explored = true;
  Sample sample;
  Signals signals;
  signals.interval_seconds = 0.1;
  signals.refaults_per_second = 2'000;
  signals.memory_pressure_ratio = 0.3;
  const MemoryInput in{
      .now = MonotonicTime{1001s}, .high_bytes = 1e9, .signals = &signals, .sample = &sample};
  observe_memory(in, s);
  EXPECT_TRUE(s.probe_failed);
  EXPECT_EQ(s.keep_bytes, 1 << 20);
  // 30 ms, at most 15 % of the target of 0.1 %.
  EXPECT_NEAR(std::chrono::duration<double>(s.explore_at - s.probed_at).count(), 0.03 / 0.00015, 1);
}

TEST(Memory, AThirdOfTheWritesIsForTheWaysUp) {
  config::Config config = one_task_config();
  config.tasks[0].policy.memory.writes_per_minute = 6;
  Bench b(config);
  b.add(1);
  LogWriter task{b};
  for (int i = 0; i < 3000; ++i) {
    task.run(100ms, kMiB);
    EXPECT_LE(b.task().memory.writes.size(), 6U);
    const Write* w = write_to(b.last.plan, Knob::memory_high);
    if (w == nullptr || w->reason.rule != Rule::memory_probe) continue;
    EXPECT_LE(b.task().memory.writes.size(), 4U);
  }
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
  EXPECT_EQ(rule_of(b.task().memory), Rule::memory_refault);
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
  EXPECT_EQ(rule_of(b.task().memory), Rule::memory_futile);
}

TEST(Memory, AWriteThatBlocksCountsAsFutile) {
  Bench b;
  b.add(1, {}, mib(300));
  b.full();
  b.auto_receipts = false;
  for (int i = 0; i < 60 && !write_to(b.last.plan, Knob::memory_high); ++i) b.full();
  const Write* w = write_to(b.last.plan, Knob::memory_high);
  ASSERT_NE(w, nullptr);
  b.receipts.push_back(Bench::failed(*w, Receipt::Result::timed_out, EINTR, b.now));
  b.receipts.back().holds = w->value;
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
  EXPECT_EQ(rule_of(b.task().memory), Rule::memory_floor);
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
