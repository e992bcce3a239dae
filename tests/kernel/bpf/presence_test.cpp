// Values of the walk that are in no file, and that it reports nothing where there is nothing.
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <optional>
#include <thread>

#include "bpf/loader/source.hpp"
#include "tests/kernel/bpf/counted.hpp"
#include "tests/kernel/bpf/tree.hpp"

namespace sluice::kernel_test {
namespace {

using bpf::Source;

std::optional<sluice_record> record_of(std::span<const sluice_record> records, std::uint64_t id) {
  for (const sluice_record& record : records)
    if (record.cgroup_id == id) return record;
  return std::nullopt;
}

TEST(Presence, RunnableThreadsAreCounted) {
  auto source = Source::open(only_walk());
  ASSERT_TRUE(source) << source.error().sentence;
  Cgroup busy(root() / "busy"), throttled(root() / "throttled"), asleep(root() / "asleep");
  write_text(throttled / "cpu.max", "1000 100000");
  constexpr std::uint64_t kThreads = 3;
  for (std::uint64_t i = 0; i < kThreads; ++i) {
    const int cpu = static_cast<int>(i % 2);  // a task that migrates is on neither CPU
    busy.run(burn_cpu, cpu);
    throttled.run(burn_cpu, cpu);
    asleep.run([] { pause(); });
  }
  const auto runnable = [&](const Cgroup& cgroup) {
    const auto records = source->read();
    const auto record = records ? record_of(*records, cgroup.id()) : std::nullopt;
    EXPECT_TRUE(record && (record->valid & SLUICE_HAS_RUNNABLE) != 0);
    return record ? record->runnable_threads : UINT64_MAX;
  };
  // All of them must arrive, the throttled ones with their 1 %.
  const auto all_there = [&] {
    return processes(asleep) == kThreads && runnable(busy) == kThreads && runnable(throttled) == kThreads &&
           runnable(asleep) == 0;
  };
  wait_until(all_there, "all are there");
  int busy_seen = 0, throttled_seen = 0, asleep_seen = 0;
  for (int i = 0; i < 20; ++i) {
    busy_seen += runnable(busy) == kThreads;
    throttled_seen += runnable(throttled) == kThreads;
    asleep_seen += runnable(asleep) == 0;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_GE(busy_seen, 19) << "of 20";
  EXPECT_GE(throttled_seen, 19) << "a spent quota does not make them sleep";
  EXPECT_GE(asleep_seen, 19);
}

TEST(Presence, AbsentControllersLeaveTheirBitsOff) {
  auto source = Source::open(only_walk());
  ASSERT_TRUE(source) << source.error().sentence;
  Cgroup parent(root() / "bare");
  Cgroup child(parent / "child");  // no controller is enabled for it
  const auto records = source->read();
  ASSERT_TRUE(records);
  const auto record = record_of(*records, child.id());
  ASSERT_TRUE(record);
  EXPECT_EQ(record->valid & (SLUICE_HAS_BANDWIDTH | SLUICE_HAS_CPU_MAX), 0u)
      << "its parent's controller was taken";
  EXPECT_EQ(record->valid &
                (SLUICE_HAS_MEMORY | SLUICE_HAS_MEMORY_EVENTS | SLUICE_HAS_SWAP | SLUICE_HAS_MEMORY_STAT),
            0u);
  EXPECT_NE(record->valid & SLUICE_HAS_USAGE, 0u);  // every cgroup has these two
  EXPECT_NE(record->valid & SLUICE_HAS_CPU_PRESSURE, 0u);
  EXPECT_EQ(record->level, record_of(*records, parent.id())->level + 1);

  // Neither before the controller is enabled nor afterwards.
  const std::uint32_t controlled = SLUICE_HAS_BANDWIDTH | SLUICE_HAS_CPU_MAX | SLUICE_HAS_MEMORY |
                                   SLUICE_HAS_MEMORY_EVENTS | SLUICE_HAS_SWAP | SLUICE_HAS_MEMORY_STAT;
  const auto of_child = [&] {
    const auto walked = source->read();
    return walked ? record_of(*walked, child.id())->valid & controlled : UINT32_MAX;
  };
  for (const char* controllers : {"+cpu", "+memory", "-cpu", "-memory"}) {
    write_text(parent / "cgroup.subtree_control", controllers);
    const std::string left = read_text(child / "cgroup.controllers");
    std::uint32_t expected = 0;
    if (left.find("cpu") != std::string::npos) expected |= SLUICE_HAS_BANDWIDTH | SLUICE_HAS_CPU_MAX;
    if (left.find("memory") != std::string::npos)
      expected |= SLUICE_HAS_MEMORY | SLUICE_HAS_MEMORY_EVENTS | SLUICE_HAS_SWAP | SLUICE_HAS_MEMORY_STAT;
    // a controller disappears some time after the write
    for (int i = 0; i < 50 && of_child() != expected; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_EQ(of_child(), expected) << "after " << controllers << ": " << left;
  }

  write_text(parent / "cgroup.pressure", "0");
  const auto again = source->read();
  ASSERT_TRUE(again);
  EXPECT_EQ(record_of(*again, parent.id())->valid & SLUICE_HAS_CPU_PRESSURE, 0u)
      << "its accounting was turned off";
}

}  // namespace
}  // namespace sluice::kernel_test
