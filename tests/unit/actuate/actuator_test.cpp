#include "daemon/actuate/actuator.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <set>
#include <string>

#include "tests/unit/actuate/actuators.hpp"

namespace sluice::actuate {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

TEST_F(ActuatorTest, AReceiptTellsWhatWasDone) {
  const auto w = writer();
  Actuator actuator(w, kPatient);
  const auto asked = order("/a", quota(50), 77ns);
  actuator.submit(asked);
  const auto receipts = collect(actuator, 1);
  ASSERT_THAT(receipts, SizeIs(1));
  const auto& r = receipts[0];
  EXPECT_EQ(r.id, asked.write.id);
  EXPECT_EQ(r.knob, Knob::cpu_max);
  EXPECT_EQ(r.asked, quota(50));
  EXPECT_EQ(r.holds, quota(50));
  EXPECT_EQ(r.result, Result::written);
  EXPECT_EQ(r.path, tree / "a/cpu.max");
  EXPECT_EQ(r.caused_at, since_boot(77ns));
  EXPECT_GT(r.started_at, MonotonicTime{});
  EXPECT_LE(r.started_at, r.finished_at);
  EXPECT_THAT(w->applied(), ElementsAre(asked.write));
}

TEST_F(ActuatorTest, WakesTheLoopUntilDrained) {
  Actuator actuator(writer(), kPatient);
  EXPECT_FALSE(readable(actuator.wake_fd()));
  actuator.submit({order("/a", quota(50)), order("/b", quota(50)), order("/a", memory(4096))});
  ASSERT_TRUE(actuator.wait_idle(kForever));
  EXPECT_TRUE(readable(actuator.wake_fd()));
  EXPECT_THAT(actuator.drain(), SizeIs(3));
  EXPECT_FALSE(readable(actuator.wake_fd()));
  EXPECT_THAT(actuator.drain(), IsEmpty());
}

TEST_F(ActuatorTest, ABlockedMemoryHighDelaysNoCpuMax) {
  Gate gate;
  const auto w = writer([&](const Order& o) {
    if (o.write.knob == Knob::memory_high) gate.wait();
    return test::written(o);
  });
  Actuator actuator(w, kPatient);
  // More orders than threads.
  actuator.submit({order("/a", memory(4096)), order("/b", memory(4096)), order("/c", memory(4096))});
  wait_for_blocked(actuator, *w, 2);
  actuator.submit({order("/a", quota(10)), order("/b", quota(20))});
  const auto cpu = collect(actuator, 2);
  EXPECT_TRUE(std::all_of(cpu.begin(), cpu.end(), [](const auto& r) { return r.knob == Knob::cpu_max; }));
  gate.open();
  EXPECT_THAT(collect(actuator, 3), SizeIs(3));
}

TEST_F(ActuatorTest, TheNewestOfTheWaitingWins) {
  Gate gate;
  const auto w = writer([&](const Order& o) {
    if (o.write.value == quota(1)) gate.wait();
    return test::written(o);
  });
  Actuator actuator(w, kPatient);
  actuator.submit(order("/a", quota(1)));
  wait_for_blocked(actuator, *w, 1);
  actuator.submit(order("/a", quota(2), 200ns));
  actuator.submit(order("/a", quota(3), 100ns));
  actuator.submit(order("/a", quota(4)));
  EXPECT_FALSE(actuator.wait_idle(0ns));
  gate.open();
  const auto receipts = collect(actuator, 2);
  ASSERT_THAT(receipts, SizeIs(2)) << "one for the first, one for the three that waited";
  EXPECT_EQ(receipts[0].asked, quota(1));
  EXPECT_EQ(receipts[1].asked, quota(4));
  EXPECT_EQ(receipts[1].caused_at, since_boot(100ns))
      << "the earliest cause is the one that has waited longest";
  EXPECT_TRUE(actuator.wait_idle(kForever));
  EXPECT_THAT(actuator.drain(), IsEmpty());
  EXPECT_THAT(w->applied(), SizeIs(2));
}

TEST_F(ActuatorTest, NeverWritesOneKnobTwiceAtOnce) {
  std::mutex mutex;
  std::set<CgroupId> under_way;
  std::atomic<bool> overlapped = false;
  const auto w = writer([&](const Order& o) {
    {
      const std::lock_guard lock(mutex);
      if (!under_way.insert(o.write.id).second) overlapped = true;
    }
    std::this_thread::yield();
    const std::lock_guard lock(mutex);
    under_way.erase(o.write.id);
    return test::written(o);
  });
  ActuatorOptions options = kPatient;
  options.memory_threads = 4;
  Actuator actuator(w, options);
  const std::vector<Order> orders = {order("/a", memory(4096)), order("/b", memory(4096)),
                                     order("/c", memory(4096))};
  for (int i = 0; i < 300; ++i) actuator.submit(orders);
  ASSERT_TRUE(actuator.wait_idle(kForever));
  EXPECT_FALSE(overlapped);
  EXPECT_GE(w->applied().size(), 3u);
  EXPECT_EQ(actuator.drain().size(), w->applied().size());
}

TEST_F(ActuatorTest, AnEventsWriteGoesFirst) {
  Gate gate;
  const auto w = writer([&](const Order& o) {
    if (o.write.value == quota(1)) gate.wait();
    return test::written(o);
  });
  Actuator actuator(w, kPatient);
  actuator.submit(order("/a", quota(1)));
  wait_for_blocked(actuator, *w, 1);
  actuator.submit({order("/b", quota(2)), order("/c", quota(3), 5ns)});
  gate.open();
  ASSERT_TRUE(actuator.wait_idle(kForever));
  const auto applied = w->applied();
  ASSERT_THAT(applied, SizeIs(3));
  EXPECT_EQ(applied[1].value, quota(3));
}

TEST_F(ActuatorTest, OthersGoInTheirOrder) {
  Gate gate;
  const auto w = writer([&](const Order& o) {
    if (o.write.value == quota(1)) gate.wait();
    return test::written(o);
  });
  Actuator actuator(w, kPatient);
  actuator.submit(order("/a", quota(1)));
  wait_for_blocked(actuator, *w, 1);
  actuator.submit({order("/b", quota(2)), order("/c", quota(3))});
  gate.open();
  ASSERT_TRUE(actuator.wait_idle(kForever));
  const auto applied = w->applied();
  ASSERT_THAT(applied, SizeIs(3));
  EXPECT_EQ(applied[1].value, quota(2));
  EXPECT_EQ(applied[2].value, quota(3));
}

TEST_F(ActuatorTest, AStuckWriteIsAnsweredNowAndAgainWhenItReturns) {
  Gate gate;
  const auto stuck_id = open("/a")->id();
  std::atomic<bool> stick = true;
  const auto w = writer([&](const Order& o) {
    if (o.write.id == stuck_id && stick) gate.wait();
    return test::written(o);
  });
  // Even on a busy host the replacement thread must not be late itself.
  ActuatorOptions options{.memory_deadline = 200ms, .grace = 400ms};
  options.memory_threads = 1;
  Actuator actuator(w, options);
  actuator.submit(order("/a", memory(4096), 7ns));
  wait_for_blocked(actuator, *w, 1);
  actuator.submit({order("/a", memory(8192)), order("/b", memory(4096))});
  const auto receipts = collect(actuator, 3);
  ASSERT_THAT(receipts, SizeIs(3));
  EXPECT_EQ(receipts[0].result, Result::timed_out);
  EXPECT_TRUE(receipts[0].may_land);
  EXPECT_EQ(receipts[0].error_number, ETIMEDOUT);
  EXPECT_EQ(receipts[0].asked, memory(4096));
  EXPECT_EQ(receipts[0].holds, std::nullopt) << "nobody could look";
  EXPECT_EQ(receipts[1].result, Result::not_tried);
  EXPECT_EQ(receipts[1].error_number, EBUSY);
  EXPECT_EQ(receipts[1].asked, memory(8192));
  EXPECT_EQ(receipts[2].result, Result::written) << "by the thread that took its place";
  EXPECT_EQ(actuator.overdue(), 1u);

  actuator.submit(order("/a", memory(12288)));
  const auto meanwhile = collect(actuator, 1).at(0);
  EXPECT_EQ(meanwhile.result, Result::not_tried);
  EXPECT_EQ(meanwhile.error_number, EBUSY);
  EXPECT_FALSE(meanwhile.may_land);

  stick = false;
  gate.open();
  const auto late = collect(actuator, 1).at(0);
  EXPECT_EQ(late.asked, memory(4096));
  EXPECT_EQ(late.result, Result::written) << "it was in force all the same";
  EXPECT_EQ(late.holds, memory(4096));
  EXPECT_TRUE(late.interrupted);
  EXPECT_FALSE(late.may_land) << "the last word on it";
  EXPECT_EQ(late.started_at, receipts[0].started_at);
  EXPECT_EQ(late.caused_at, since_boot(7ns));
  EXPECT_EQ(actuator.overdue(), 0u);
  actuator.submit(order("/a", memory(16384)));
  const auto after = collect(actuator, 1);
  EXPECT_EQ(after.at(0).result, Result::written);
  EXPECT_EQ(after.at(0).asked, memory(16384));
  EXPECT_THAT(w->applied(), SizeIs(3));
}

TEST_F(ActuatorTest, WithoutThreadsLeftItSaysSoAtOnce) {
  Gate gate;
  const auto w = writer([&](const Order& o) {
    gate.wait();
    return test::written(o);
  });
  ActuatorOptions options = kHasty;
  options.memory_threads = 1;
  options.max_overdue = 0;
  Actuator actuator(w, options);
  actuator.submit(order("/a", memory(4096)));
  wait_for_blocked(actuator, *w, 1);
  actuator.submit(order("/b", memory(4096)));
  const auto receipts = collect(actuator, 2);
  EXPECT_EQ(receipts.at(0).error_number, ETIMEDOUT);
  EXPECT_EQ(receipts.at(1).error_number, EBUSY);
  EXPECT_EQ(receipts.at(1).result, Result::not_tried);
  actuator.submit(order("/c", memory(4096)));
  EXPECT_EQ(collect(actuator, 1).at(0).error_number, EBUSY);
  gate.open();
  EXPECT_EQ(collect(actuator, 1).at(0).result, Result::written);
}

TEST_F(ActuatorTest, AfterMoreStuckWritesThanThreadsTheLaneWorksAgain) {
  Gate gate;
  const auto w = writer([&](const Order& o) {
    if (o.write.knob == Knob::memory_high) gate.wait();
    return test::written(o);
  });
  ActuatorOptions options{
      .memory_threads = 2, .cpu_deadline = kForever, .memory_deadline = 1ms, .grace = 2ms};
  const auto all = options.max_overdue + options.memory_threads;
  Actuator actuator(w, options);
  std::vector<std::string> names;
  for (std::size_t i = 0; i < all + 3; ++i) {
    names.push_back("m" + std::to_string(i));
    tree.make_cgroup(names.back());
    actuator.submit(order("/" + names.back(), memory(4096)));
  }
  std::size_t stuck = 0, untried = 0;
  for (const auto& r : collect(actuator, all + 3)) (r.may_land ? stuck : untried) += 1;
  EXPECT_EQ(stuck, actuator.overdue());
  EXPECT_GT(stuck, options.max_overdue);
  EXPECT_EQ(untried, all + 3 - stuck);
  actuator.submit(order("/a", quota(10)));
  EXPECT_EQ(collect(actuator, 1).at(0).result, Result::written) << "cpu.max has a thread of its own";
  actuator.submit(order("/a", memory(4096)));
  EXPECT_EQ(collect(actuator, 1).at(0).result, Result::not_tried);

  gate.open();
  for (const auto& r : collect(actuator, stuck)) EXPECT_EQ(r.result, Result::written);
  EXPECT_EQ(actuator.overdue(), 0u);
  for (const auto& name : names) actuator.submit(order("/" + name, memory(8192)));
  for (const auto& r : collect(actuator, names.size())) {
    EXPECT_EQ(r.result, Result::written);
    EXPECT_EQ(r.asked, memory(8192));
  }
}

TEST_F(ActuatorTest, StopsAtOnceWithWritesWaitingBlockedAndStuck) {
  const auto gate = std::make_shared<Gate>();  // the stuck thread outlives this test
  const auto w = writer([gate](const Order& o) {
    if (o.write.knob == Knob::cpu_max) {
      gate->wait();
    } else {
      (void)test::block_until_signal();
    }
    return test::written(o);
  });
  {
    ActuatorOptions options = kPatient;
    options.grace = 20ms;
    Actuator actuator(w, options);
    actuator.submit({order("/a", quota(1)), order("/b", quota(1)), order("/a", memory(4096)),
                     order("/b", memory(4096)), order("/c", memory(4096))});
    wait_for_blocked(actuator, *w, 3);
  }
  EXPECT_THAT(w->applied(), SizeIs(3)) << "what had not begun is forgotten";
  gate->open();
}

TEST_F(ActuatorTest, StopsWhenThereWasNothingToDo) {
  const Actuator actuator(writer());
  EXPECT_EQ(actuator.overdue(), 0u);
}

}  // namespace
}  // namespace sluice::actuate
