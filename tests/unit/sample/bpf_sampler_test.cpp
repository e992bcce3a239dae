#include "daemon/sample/bpf_sampler.hpp"

#include <gtest/gtest.h>

#include "tests/unit/cgroups/plain_tree.hpp"

namespace sluice::sample {
namespace {

using test::PlainTree;
using namespace std::chrono_literals;

constexpr std::uint32_t kAll = (SLUICE_HAS_CPU_BURST << 1) - 1;

// Each field has a different value.
sluice_record full_record() {
  sluice_record r = {};
  r.cgroup_id = 77;
  r.at_ktime_ns = 42'000;
  r.valid = kAll;
  r.usage_ns = 900'000;
  r.user_ns = 600'000;
  r.system_ns = 300'000;
  r.nr_periods = 4;
  r.nr_throttled = 2;
  r.throttled_ns = 50'000;
  r.cfs_quota_us = 200'000;
  r.cfs_period_us = 100'000;
  r.cfs_burst_us = 20'000;
  r.pressure[SLUICE_CPU] = {7'000, 3'000};
  r.pressure[SLUICE_MEMORY] = {8'000, 4'000};
  r.pressure[SLUICE_IO] = {9'000, 5'000};
  r.memory_current_bytes = 8192;
  r.memory_high_bytes = 1 << 20;
  r.memory_max_bytes = SLUICE_NO_LIMIT;
  r.swap_current_bytes = 400;
  r.swap_max_bytes = 1000;
  r.memory_events = {1, 2, 3, 4, 5};
  r.memory_stat = {.anon_bytes = 11,
                   .file_bytes = 12,
                   .shmem_bytes = 13,
                   .unevictable_bytes = 14,
                   .sock_bytes = 15,
                   .kernel_bytes = 160,
                   .slab_reclaimable_bytes = 60,
                   .workingset_refault_anon = 18,
                   .workingset_refault_file = 19,
                   .pgscan = 20,
                   .pgsteal = 21};
  r.runnable_threads = 6;
  return r;
}

TEST(FromRecord, EveryGroupBecomesItsFields) {
  const Sample s = from_record(full_record());
  EXPECT_EQ(s.id, CgroupId{77});
  EXPECT_EQ(s.read_at, MonotonicTime{42us});
  EXPECT_EQ(s.source, SampleSource::bpf);
  EXPECT_EQ(s.cpu, (CpuUsage{.usage = 900us, .user = 600us, .system = 300us}));
  EXPECT_EQ(s.bandwidth, (CpuBandwidth{.nr_periods = 4, .nr_throttled = 2, .throttled = 50us}));
  EXPECT_EQ(s.cpu_max, (CpuMax{.quota = 200ms, .period = 100ms, .burst = 20ms}));
  EXPECT_EQ(s.cpu_pressure, (PressureTotals{.some = 7us, .full = 3us}));
  EXPECT_EQ(s.memory_pressure, (PressureTotals{.some = 8us, .full = 4us}));
  EXPECT_EQ(s.io_pressure, (PressureTotals{.some = 9us, .full = 5us}));
  EXPECT_EQ(s.memory_current, 8192u);
  EXPECT_EQ(s.memory_high, MemoryLimit{1 << 20});
  EXPECT_EQ(s.memory_max, MemoryLimit{});
  EXPECT_EQ(s.memory_events, (MemoryEvents{1, 2, 3, 4, 5}));
  EXPECT_EQ(s.memory_stat, (MemoryStat{.anon = 11,
                                       .file = 12,
                                       .unreclaimable = (160 - 60) + 15 + 14,
                                       .workingset_refault_anon = 18,
                                       .workingset_refault_file = 19,
                                       .pgscan = 20,
                                       .pgsteal = 21,
                                       .shmem = 13}));
  EXPECT_EQ(s.runnable_threads, 6u);
}

// Which fields of a sample are present, one bit each.
std::vector<bool> present(const Sample& s) {
  return {s.cpu.has_value(),
          s.bandwidth.has_value(),
          s.cpu_max.has_value(),
          s.cpu_pressure.has_value(),
          s.memory_pressure.has_value(),
          s.io_pressure.has_value(),
          s.memory_current.has_value(),
          s.memory_high.has_value(),
          s.memory_max.has_value(),
          s.memory_events.has_value(),
          s.memory_stat.has_value(),
          s.runnable_threads.has_value()};
}

TEST(FromRecord, AGroupThatIsNotMarkedIsAbsentAndNothingElse) {
  const std::vector<std::pair<std::uint32_t, std::vector<int>>> groups = {
      {SLUICE_HAS_USAGE, {0}},        {SLUICE_HAS_BANDWIDTH, {1}},       {SLUICE_HAS_CPU_MAX, {2}},
      {SLUICE_HAS_CPU_PRESSURE, {3}}, {SLUICE_HAS_MEMORY_PRESSURE, {4}}, {SLUICE_HAS_IO_PRESSURE, {5}},
      {SLUICE_HAS_MEMORY, {6, 7, 8}}, {SLUICE_HAS_MEMORY_EVENTS, {9}},   {SLUICE_HAS_MEMORY_STAT, {10}},
      {SLUICE_HAS_RUNNABLE, {11}},    {SLUICE_HAS_CPU_BURST, {}}};
  for (const auto& [bit, fields] : groups) {
    sluice_record r = full_record();
    r.valid = kAll & ~bit;
    std::vector<bool> expected(12, true);
    for (const int field : fields) expected[static_cast<std::size_t>(field)] = false;
    EXPECT_EQ(present(from_record(r)), expected) << "without bit " << bit;
    r.valid = bit;
    expected.flip();
    EXPECT_EQ(present(from_record(r)), expected) << "with bit " << bit << " alone";
  }
}

TEST(FromRecord, ABurstOfAnOldKernelIsNotKnown) {
  sluice_record r = full_record();
  r.valid = kAll & ~std::uint32_t{SLUICE_HAS_CPU_BURST};
  EXPECT_EQ(from_record(r).cpu_max, (CpuMax{.quota = 200ms, .period = 100ms}));
}

class Complete : public testing::Test {
 protected:
  Complete() {
    tree.put("t/cpu.stat",
             "usage_usec 1\nuser_usec 2\nsystem_usec 3\nnr_periods 4\nnr_throttled 5\nthrottled_usec 6\n");
    for (const char* resource : {"t/cpu.pressure", "t/memory.pressure", "t/io.pressure"})
      tree.put(resource,
               "some avg10=0.00 avg60=0.00 avg300=0.00 total=77\nfull avg10=0.00 avg60=0.00 avg300=0.00 "
               "total=33\n");
    tree.put("t/memory.stat",
             "anon 4096\nfile 1024\nkernel 30\nshmem 0\nslab_reclaimable 10\nunevictable 5\npgscan "
             "0\npgsteal 0\n");
  }
  Sample completed(const sluice_record& record, std::optional<Bytes> host_swap_free = 1'000'000) const {
    const auto root = tree.root();
    return complete(record, *cgroups::Cgroup::open(root, "/t").value(), host_swap_free);
  }
  PlainTree tree;
};

TEST_F(Complete, AFullRecordNeedsNoFile) {
  for (const char* file :
       {"t/cpu.stat", "t/cpu.pressure", "t/memory.pressure", "t/io.pressure", "t/memory.stat"})
    tree.remove(file);
  const Sample s = completed(full_record());
  EXPECT_EQ(present(s), std::vector<bool>(12, true));
  EXPECT_EQ(s.swap_free, 600u);
}

TEST_F(Complete, WhatTheRecordLacksComesFromItsFile) {
  sluice_record r = full_record();
  r.valid &=
      ~static_cast<std::uint32_t>(SLUICE_HAS_USAGE | SLUICE_HAS_CPU_PRESSURE | SLUICE_HAS_MEMORY_PRESSURE |
                                  SLUICE_HAS_IO_PRESSURE | SLUICE_HAS_MEMORY_STAT);
  const Sample s = completed(r);
  EXPECT_EQ(s.cpu, (CpuUsage{.usage = 1us, .user = 2us, .system = 3us}));
  EXPECT_EQ(s.bandwidth, (CpuBandwidth{.nr_periods = 4, .nr_throttled = 2, .throttled = 50us}))
      << "the record's own stays";
  EXPECT_EQ(s.cpu_pressure, (PressureTotals{.some = 77us, .full = 33us}));
  EXPECT_EQ(s.memory_pressure, (PressureTotals{.some = 77us, .full = 33us}));
  EXPECT_EQ(s.io_pressure, (PressureTotals{.some = 77us, .full = 33us}));
  ASSERT_TRUE(s.memory_stat);
  EXPECT_EQ(s.memory_stat->anon, 4096u);
}

TEST_F(Complete, WhatTheRecordHasIsNotTakenFromTheFile) {
  const Sample s = completed(full_record());
  EXPECT_EQ(s.memory_stat->anon, 11u);
  EXPECT_EQ(s.cpu_pressure->some, 7us);
}

TEST_F(Complete, AFileThatCannotBeReadLeavesItsFieldsAbsent) {
  tree.put("t/memory.stat", "anon 40");  // truncated
  sluice_record r = full_record();
  r.valid &= ~static_cast<std::uint32_t>(SLUICE_HAS_MEMORY_STAT);
  EXPECT_EQ(completed(r).memory_stat, std::nullopt);
}

TEST_F(Complete, SwapIsTheLessOfItsOwnAndTheHosts) {
  EXPECT_EQ(completed(full_record(), 100).swap_free, 100u);
  EXPECT_EQ(completed(full_record(), std::nullopt).swap_free, std::nullopt) << "the host's is not known";
  sluice_record r = full_record();
  r.swap_current_bytes = 2000;  // the limit was lowered below its usage
  EXPECT_EQ(completed(r).swap_free, 0u);
}

}  // namespace
}  // namespace sluice::sample
