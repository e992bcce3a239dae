// Every plausibility rule as a table: a valid number, an implausible one, and what must be unknown then.
#include "daemon/signal/plausible.hpp"

#include <gtest/gtest.h>

#include <functional>

namespace sluice {
namespace {

using namespace std::chrono_literals;

constexpr NodeFacts kNode{4, Bytes{8} << 30};

Sample good() {
  Sample s;
  s.id = CgroupId{1};
  s.read_at = MonotonicTime{100s};
  s.cpu = CpuUsage{.usage = 50s, .user = 40s, .system = 10s};
  s.bandwidth = CpuBandwidth{.nr_periods = 500, .nr_throttled = 100, .throttled = 9s};
  s.cpu_pressure = s.memory_pressure = s.io_pressure = PressureTotals{.some = 7s, .full = 3s};
  s.memory_current = Bytes{1} << 30;
  s.memory_stat = MemoryStat{.anon = Bytes{1} << 29,
                             .file = Bytes{1} << 28,
                             .unreclaimable = Bytes{1} << 20,
                             .workingset_refault_anon = 5,
                             .workingset_refault_file = 6,
                             .pgscan = 70,
                             .pgsteal = 60};
  s.memory_events = MemoryEvents{.high = 5, .oom_kill = 2};
  return s;
}

// A tenth of a second later, with all counters moved.
Sample next() {
  Sample s = good();
  s.read_at += 100ms;
  s.cpu->usage += 400ms;
  s.bandwidth->nr_periods += 1;
  s.cpu_pressure->some += 100ms;
  s.memory_pressure->some += 2s;  // the kernel updates it every two seconds
  s.memory_stat->pgscan += 100'000;
  return s;
}

constexpr Bytes kBelowZero = ~Bytes{0} - 4095;  // 2^64 - 4096, as a negative counter is shown

struct Row {
  const char* what;
  StatFile file;
  std::function<void(Sample&)> breaks;
  std::function<bool(const Sample&)> known;
};

const Row kRows[] = {
    {"usage runs backwards", StatFile::cpu_stat, [](Sample& s) { s.cpu->usage = 49s; },
     [](const Sample& s) { return s.cpu.has_value(); }},
    {"usage below zero", StatFile::cpu_stat, [](Sample& s) { s.cpu->usage = Usec{-5}; },
     [](const Sample& s) { return s.cpu.has_value(); }},
    {"time in the kernel below zero", StatFile::cpu_stat, [](Sample& s) { s.cpu->system = Usec{-5}; },
     [](const Sample& s) { return s.cpu.has_value(); }},
    {"usage beyond the CPUs", StatFile::cpu_stat, [](Sample& s) { s.cpu->usage += 1h; },
     [](const Sample& s) { return s.cpu.has_value(); }},
    {"periods run backwards", StatFile::cpu_stat, [](Sample& s) { s.bandwidth->nr_periods = 499; },
     [](const Sample& s) { return s.bandwidth.has_value(); }},
    {"throttled time runs backwards", StatFile::cpu_stat, [](Sample& s) { s.bandwidth->throttled = 8s; },
     [](const Sample& s) { return s.bandwidth.has_value(); }},
    {"throttled periods run backwards", StatFile::cpu_stat, [](Sample& s) { s.bandwidth->nr_throttled = 99; },
     [](const Sample& s) { return s.bandwidth.has_value(); }},
    {"more throttled than periods", StatFile::cpu_stat, [](Sample& s) { s.bandwidth->nr_throttled = 9000; },
     [](const Sample& s) { return s.bandwidth.has_value(); }},
    {"periods beyond time", StatFile::cpu_stat, [](Sample& s) { s.bandwidth->nr_periods += 1'000'000; },
     [](const Sample& s) { return s.bandwidth.has_value(); }},
    {"CPU pressure runs backwards", StatFile::cpu_pressure, [](Sample& s) { s.cpu_pressure->some = 6s; },
     [](const Sample& s) { return s.cpu_pressure.has_value(); }},
    {"memory pressure beyond time", StatFile::memory_pressure,
     [](Sample& s) { s.memory_pressure->some += 1min; },
     [](const Sample& s) { return s.memory_pressure.has_value(); }},
    {"I/O pressure runs backwards", StatFile::io_pressure, [](Sample& s) { s.io_pressure->full = 2s; },
     [](const Sample& s) { return s.io_pressure.has_value(); }},
    {"more in use than the node has", StatFile::memory_current,
     [](Sample& s) { s.memory_current = Bytes{9} << 30; },
     [](const Sample& s) { return s.memory_current.has_value(); }},
    {"anon below zero", StatFile::memory_stat, [](Sample& s) { s.memory_stat->anon = kBelowZero; },
     [](const Sample& s) { return s.memory_stat.has_value(); }},
    {"anon above the node", StatFile::memory_stat, [](Sample& s) { s.memory_stat->anon = Bytes{9} << 30; },
     [](const Sample& s) { return s.memory_stat.has_value(); }},
    {"file above the node", StatFile::memory_stat, [](Sample& s) { s.memory_stat->file = kBelowZero; },
     [](const Sample& s) { return s.memory_stat.has_value(); }},
    {"kernel memory above the node", StatFile::memory_stat,
     [](Sample& s) { s.memory_stat->unreclaimable = kBelowZero; },
     [](const Sample& s) { return s.memory_stat.has_value(); }},
    {"refaults run backwards", StatFile::memory_stat,
     [](Sample& s) { s.memory_stat->workingset_refault_file = 0; },
     [](const Sample& s) { return s.memory_stat.has_value(); }},
    {"refaults of anon run backwards", StatFile::memory_stat,
     [](Sample& s) { s.memory_stat->workingset_refault_anon = 4; },
     [](const Sample& s) { return s.memory_stat.has_value(); }},
    {"reclaim runs backwards", StatFile::memory_stat, [](Sample& s) { s.memory_stat->pgsteal = 59; },
     [](const Sample& s) { return s.memory_stat.has_value(); }},
    {"kills run backwards", StatFile::memory_events, [](Sample& s) { s.memory_events->oom_kill = 1; },
     [](const Sample& s) { return s.memory_events.has_value(); }},
    {"events run backwards", StatFile::memory_events, [](Sample& s) { s.memory_events->high = 0; },
     [](const Sample& s) { return s.memory_events.has_value(); }},
};

TEST(Plausible, WhatCanBeIsBelieved) {
  const Sample before = good();
  Sample now = next();
  EXPECT_TRUE(drop_implausible(&before, kNode, now).empty());
  EXPECT_TRUE(drop_implausible(nullptr, kNode, now).empty());
  EXPECT_TRUE(now.cpu && now.bandwidth && now.memory_stat && now.memory_events && now.memory_pressure);
}

TEST(Plausible, AfterALongPauseMoreMayHaveHappened) {
  const Sample before = good();
  Sample now = good();
  now.read_at += 60s;
  now.cpu->usage += 200s;
  now.bandwidth->nr_periods += 50'000;
  now.memory_pressure->some += 60s;
  EXPECT_TRUE(drop_implausible(&before, kNode, now).empty());
}

TEST(Plausible, WhatCannotBeIsUnknownWithItsFileAndNothingElseIs) {
  for (const auto& row : kRows) {
    const Sample before = good();
    Sample now = next();
    row.breaks(now);
    const auto found = drop_implausible(&before, kNode, now);
    ASSERT_EQ(found.size(), 1U) << row.what;
    EXPECT_EQ(found[0].file, row.file) << row.what;
    EXPECT_FALSE(found[0].fault.empty());
    EXPECT_FALSE(row.known(now)) << row.what;
    int known = 0;
    for (const auto& other : kRows) known += other.file != row.file && other.known(now) ? 1 : 0;
    EXPECT_GE(known, 8) << row.what;
    Sample later = next();
    later.read_at += 100ms;
    EXPECT_TRUE(drop_implausible(&now, kNode, later).empty()) << row.what << ": the next one is right again";
  }
}

TEST(Plausible, AnotherCgroupBeginsAnew) {
  const Sample before = good();
  Sample now = good();
  now.id = CgroupId{2};
  now.cpu->usage = 1s;
  EXPECT_TRUE(drop_implausible(&before, kNode, now).empty());
}

TEST(Plausible, AFileThatRefusesIsNamed) {
  Sample now = good();
  now.memory_pressure.reset();
  now.unreadable = bit(StatFile::memory_pressure);
  const auto found = drop_implausible(nullptr, kNode, now);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(file_name(found[0].file), "memory.pressure");
}

TEST(Plausible, EachFileIsReportedOnceUntilItHasBeenRightForAWhile) {
  Unknowns seen;
  const std::vector<Unknown> stat{{StatFile::memory_stat, "x"}},
      both{{StatFile::memory_stat, "y"}, {StatFile::cpu_stat, "z"}};
  EXPECT_EQ(seen.add(stat, MonotonicTime{1s}), stat);
  EXPECT_TRUE(seen.add(stat, MonotonicTime{2s}).empty());
  EXPECT_TRUE(seen.add({}, MonotonicTime{3s}).empty());
  EXPECT_TRUE(seen.add(stat, MonotonicTime{4s}).empty());
  EXPECT_EQ(seen.add(both, MonotonicTime{5s}), (std::vector<Unknown>{both[1]}));
  EXPECT_EQ(seen.add(stat, MonotonicTime{1h}), stat);
}

TEST(Plausible, AFaultThatLastsIsReportedOnce) {
  Unknowns seen;
  const std::vector<Unknown> stat{{StatFile::memory_stat, "x"}};
  EXPECT_EQ(seen.add(stat, MonotonicTime{1s}), stat);
  for (auto at = MonotonicTime{1min}; at < MonotonicTime{1h}; at += 1min)
    EXPECT_TRUE(seen.add(stat, at).empty());
}

TEST(Plausible, ANodeHasCpusAndMemory) {
  EXPECT_TRUE(plausible(kNode));
  EXPECT_TRUE(plausible(NodeFacts{0.5, Bytes{64} << 20}));
  for (const NodeFacts& node :
       {NodeFacts{0, Bytes{1} << 33}, NodeFacts{-1, Bytes{1} << 33}, NodeFacts{1e9, Bytes{1} << 33},
        NodeFacts{std::numeric_limits<double>::quiet_NaN(), Bytes{1} << 33}, NodeFacts{4, 0},
        NodeFacts{4, 4096}, NodeFacts{4, kBelowZero}, NodeFacts{4, Bytes{2} << 20, Bytes{4} << 20},
        NodeFacts{4, Bytes{1} << 33, 0}})
    EXPECT_FALSE(plausible(node)) << node.cpu_capacity_cores << ' ' << node.memory_capacity;
}

}  // namespace
}  // namespace sluice
