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

TEST(AddCounters, NoSocketsArePresentAndNone) {
  sluice_counters counters = {};
  counters.valid = SLUICE_COUNTS_FLOW;
  counters.flow.at_ktime_ns = 5'000'000'000;
  Sample sample;
  add_counters(counters, sample);
  ASSERT_TRUE(sample.flow);
  EXPECT_EQ(*sample.flow, (SocketFlow{.at = 5s}));
  counters.flow = {6'000'000'000, 2, 10, 20, 30, 40, 7'000};
  add_counters(counters, sample);
  EXPECT_EQ(*sample.flow, (SocketFlow{.sockets = 2,
                                      .received = 30,
                                      .sent = 40,
                                      .unread = 10,
                                      .unsent = 20,
                                      .zero_window = 7us,
                                      .at = 6s}));
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
