#include "daemon/sample/counters_sampler.hpp"

#include <gtest/gtest.h>

#include <cstring>

namespace sluice::sample {
namespace {

using namespace std::chrono_literals;

TEST(AddCounters, WhatIsNotValidStaysAbsent) {
  sluice_counters counters = {};
  counters.throttle.count = counters.flow.sockets = 7;
  Sample sample;
  add_counters(counters, sample);
  EXPECT_FALSE(sample.throttle);
  EXPECT_FALSE(sample.run_queue);
  EXPECT_FALSE(sample.memory_stall);
  EXPECT_FALSE(sample.flow);
  EXPECT_FALSE(sample.idle_until);
}

TEST(AddCounters, EachGroupBecomesPresentByItsOwnBit) {
  sluice_counters counters = {};
  counters.valid = SLUICE_COUNTS_THROTTLE | SLUICE_COUNTS_RUN_QUEUE;
  counters.throttle = {3, 45'000'000, 12};
  counters.run_queue.total_ns = 9'000'500;
  counters.run_queue.log2_usec[SLUICE_WAIT_BUCKETS - 1] = 5;
  Sample sample;
  add_counters(counters, sample);
  EXPECT_EQ(sample.throttle, (ThrottleTotals{3, 45ms, 12}));
  ASSERT_TRUE(sample.run_queue);
  EXPECT_EQ(sample.run_queue->total, 9000us);
  EXPECT_EQ(sample.run_queue->log2_usec.back(), 5u);
  EXPECT_FALSE(sample.memory_stall);
  EXPECT_FALSE(sample.flow);
}

TEST(AddCounters, AStallWithoutItsPenaltyIsNotASignal) {
  sluice_counters counters = {};
  counters.valid = SLUICE_COUNTS_MEMORY_STALL;
  counters.memory.stalled_ns = 1'000'000;
  Sample sample;
  add_counters(counters, sample);
  EXPECT_FALSE(sample.memory_stall);
  counters.valid |= SLUICE_COUNTS_HIGH;
  counters.memory.high_throttled_ns = 500'000;
  add_counters(counters, sample);
  EXPECT_EQ(sample.memory_stall, (MemoryStallTotals{1ms, 500us}));
}

Sample read_at(MonotonicTime at, std::optional<std::uint32_t> runnable) {
  Sample sample;
  sample.read_at = at;
  sample.runnable_threads = runnable;
  return sample;
}

TEST(IdleUntil, IsPresentByItsBitAndOnceThereWasAStretch) {
  sluice_counters counters = {};
  counters.idle.until_ns = 7'000'000;
  Sample sample = read_at(MonotonicTime{10ms}, 1);
  add_counters(counters, sample);
  EXPECT_FALSE(sample.idle_until);
  counters.valid = SLUICE_COUNTS_IDLE;
  add_counters(counters, sample);
  EXPECT_EQ(sample.idle_until, MonotonicTime(7ms));
  counters.idle.until_ns = 0;
  add_counters(counters, sample);
  EXPECT_FALSE(sample.idle_until);
}

TEST(IdleUntil, IsNowWhileNothingIsRunnableForLongEnough) {
  const sluice_idle idle = {.until_ns = 7'000'000, .since_ns = 20'000'000};
  EXPECT_EQ(idle_until(idle, read_at(MonotonicTime{22ms}, 0)), MonotonicTime(22ms));
  EXPECT_EQ(idle_until(idle, read_at(MonotonicTime{21ms}, 0)), MonotonicTime(7ms)) << "for 1 ms";
  EXPECT_EQ(idle_until(idle, read_at(MonotonicTime{19ms}, 0)), MonotonicTime(7ms)) << "since after the walk";
  EXPECT_EQ(idle_until({.until_ns = 0, .since_ns = 20'000'000}, read_at(MonotonicTime{30ms}, 0)),
            MonotonicTime(30ms));
}

TEST(IdleUntil, WhoWokeAndWaitsIsRunnable) {
  const sluice_idle idle = {.until_ns = 7'000'000, .since_ns = 20'000'000};
  EXPECT_EQ(idle_until(idle, read_at(MonotonicTime{40ms}, 1)), MonotonicTime(7ms));
  EXPECT_EQ(idle_until(idle, read_at(MonotonicTime{40ms}, std::nullopt)), MonotonicTime(7ms))
      << "nobody says there is none";
}

TEST(IdleUntil, IsNeverAfterTheSample) {
  EXPECT_EQ(idle_until({.until_ns = 50'000'000, .since_ns = 0}, read_at(MonotonicTime{40ms}, 1)),
            MonotonicTime(40ms));
}

TEST(AddCounters, NoSocketsArePresentAndNone) {
  sluice_counters counters = {};
  counters.valid = SLUICE_COUNTS_FLOW;
  counters.flow.at_ktime_ns = 5'000'000'000;
  Sample sample;
  add_counters(counters, sample);
  ASSERT_TRUE(sample.flow);
  EXPECT_EQ(*sample.flow, (SocketFlow{.at = MonotonicTime{5s}}));
  counters.flow = {6'000'000'000, 2, 10, 20, 30, 40, 7'000};
  add_counters(counters, sample);
  EXPECT_EQ(*sample.flow, (SocketFlow{.sockets = 2,
                                      .received = 30,
                                      .sent = 40,
                                      .unread = 10,
                                      .unsent = 20,
                                      .zero_window = 7us,
                                      .at = MonotonicTime{6s}}));
}

sluice_write_event written_by(const char* comm, std::initializer_list<const char*> cgroups) {
  sluice_write_event event = {};
  event.pid = 812;
  event.uid = 33;
  std::memcpy(event.comm, comm, std::min(std::strlen(comm), sizeof(event.comm)));
  std::size_t level = 0;
  for (const char* name : cgroups) std::strncpy(event.cgroup[level++], name, SLUICE_WRITER_NAME - 1);
  return event;
}

TEST(WriterOf, TheCgroupIsReadFromItsAncestorDownwards) {
  const Writer writer = writer_of(written_by("systemctl", {"foo.service", "system.slice", "", ""}));
  EXPECT_EQ(writer, (Writer{812, 33, "systemctl", "system.slice/foo.service"}));
  EXPECT_EQ(writer_of(written_by("sh", {"", "", "", ""})).cgroup, "") << "in the root";
  EXPECT_EQ(writer_of(written_by("sh", {"d", "c", "b", "a"})).cgroup, "a/b/c/d");
}

TEST(WriterOf, ANameThatFillsItsFieldIsTakenWhole) {
  EXPECT_EQ(writer_of(written_by("0123456789abcdef", {})).command, "0123456789abcdef");
}

}  // namespace
}  // namespace sluice::sample
