// memory.stat without the file: gauges at rest exactly, counters between two reads, in a kernel that stores
// them in its own order.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <new>
#include <string>
#include <thread>

#include "bpf/loader/source.hpp"
#include "tests/kernel/bpf/counted.hpp"
#include "tests/kernel/bpf/tree.hpp"

namespace sluice::kernel_test {
namespace {

using bpf::Source;
using namespace std::chrono_literals;
using Fields = std::map<std::string, std::uint64_t>;

constexpr std::size_t kMiB = 1u << 20;
constexpr std::size_t kAnon = 12 * kMiB, kShared = 3 * kMiB, kLocked = 1 * kMiB;

Fields fields_of(const sluice_memory_stat& m) {
  return {{"anon", m.anon_bytes},
          {"file", m.file_bytes},
          {"shmem", m.shmem_bytes},
          {"unevictable", m.unevictable_bytes},
          {"sock", m.sock_bytes},
          {"kernel", m.kernel_bytes},
          {"slab_reclaimable", m.slab_reclaimable_bytes},
          {"workingset_refault_anon", m.workingset_refault_anon},
          {"workingset_refault_file", m.workingset_refault_file},
          {"pgscan", m.pgscan},
          {"pgsteal", m.pgsteal}};
}

// The lines of the file that the walk provides too.
Fields read_fields(const Cgroup& cgroup) {
  Fields fields;
  const auto all = read_keyed(cgroup / "memory.stat");
  for (const auto& [key, value] : fields_of({})) fields[key] = all.at(key);
  return fields;
}

class MemoryStat : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = Source::open(only_walk());
    ASSERT_TRUE(opened) << opened.error().sentence;
    source_.emplace(std::move(*opened));
  }
  Fields walked(const Cgroup& cgroup) {
    const auto records = source_->read();
    EXPECT_TRUE(records);
    for (const sluice_record& record : *records) {
      if (record.cgroup_id != cgroup.id()) continue;
      EXPECT_NE(record.valid & SLUICE_HAS_MEMORY_STAT, 0u) << source_->why_not();
      return fields_of(record.memory_stat);
    }
    ADD_FAILURE() << cgroup.path() << " is missing from the walk";
    return fields_of({});
  }

  std::optional<Source> source_;
};

// Each kind of memory has a different amount, so that no counter can be mistaken for another.
TEST_F(MemoryStat, AtRestEveryLineIsTold) {
  Cgroup cgroup(root() / "rest");
  cgroup.run([] {
    touch_anonymous(kAnon);
    void* shared = mmap(nullptr, kShared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) _exit(1);
    std::memset(shared, 1, kShared);
    void* locked = mmap(nullptr, kLocked, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (locked == MAP_FAILED || mlock(locked, kLocked) != 0) _exit(1);
    pause();
  });
  Fields before, seen, after;
  for (int attempt = 0; attempt < 100; ++attempt) {
    std::this_thread::sleep_for(100ms);
    walked(
        cgroup);  // updates the kernel's sums, so that the two reads of the file differ only by what happens
    before = read_fields(cgroup);
    seen = walked(cgroup);
    after = read_fields(cgroup);
    if (before == after && before["unevictable"] >= kLocked && before["anon"] >= kAnon) break;
  }
  ASSERT_EQ(before, after) << "the process never came to rest";
  EXPECT_EQ(seen, before);
  EXPECT_GE(seen["anon"], kAnon + kLocked);
  EXPECT_GE(seen["shmem"], kShared);
  EXPECT_GE(seen["unevictable"], kLocked);
  EXPECT_GT(seen["kernel"], 0u) << "page tables, at the least";
}

TEST_F(MemoryStat, WhatOnlyGrowsLiesBetweenTwoReads) {
  Cgroup cgroup(root() / "grows");
  cgroup.run([] {
    touch_anonymous(64u << 10);
    usleep(2000);
  });
  std::uint64_t first = 0, last = 0;
  for (int round = 0; round < 60 || last <= first + 4 * kMiB; ++round) {
    ASSERT_LT(round, 2000) << "it stood still: nothing is shown";
    std::this_thread::sleep_for(25ms);
    const std::uint64_t low = read_fields(cgroup)["anon"];
    const std::uint64_t value = walked(cgroup)["anon"];
    const std::uint64_t high = read_fields(cgroup)["anon"];
    EXPECT_LE(low, value) << "round " << round;
    EXPECT_LE(value, high) << "round " << round;
    if (round == 0) first = value;
    last = value;
  }
}

// A read of the file updates the sums; the walk must do so itself.
TEST_F(MemoryStat, TheWalkIsFreshWhenNobodyReadsTheFile) {
  Cgroup cgroup(root() / "unread");
  void* page =
      mmap(nullptr, sizeof(std::atomic<int>), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(page, MAP_FAILED);
  auto* touched = new (page) std::atomic<int>(0);
  for (int step = 1; step <= 5; ++step) {
    cgroup.run([touched] {
      touch_anonymous(8 * kMiB);
      ++*touched;
      for (;;) pause();
    });
    const std::uint64_t wanted = static_cast<std::uint64_t>(step) * 8 * kMiB;
    for (int i = 0; i < 2000 && *touched < step; ++i) std::this_thread::sleep_for(5ms);
    ASSERT_EQ(*touched, step);
    EXPECT_GE(walked(cgroup)["anon"], wanted) << "step " << step;
  }
}

}  // namespace
}  // namespace sluice::kernel_test
