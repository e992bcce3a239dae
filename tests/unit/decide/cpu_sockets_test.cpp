// How the controller uses unread bytes, and bytes that were read and are still being worked on.
#include "tests/unit/decide/cpu_task.hpp"

namespace sluice::testing {
namespace {

// One second of work per MiB; a quota of half a core, which throttles.
class CpuSockets : public ::testing::Test {
 protected:
  CpuSockets() {
    task.seen.runnable_threads = 2;
    task.sockets(0, 0.5);
    task.look(0.4);
  }
  void bound(double unread_mib, double arrival_mib_per_second, int looks = 1, double usage = 0.5) {
    task.sockets(unread_mib, arrival_mib_per_second);
    for (int i = 0; i < looks; ++i) task.look(usage, true);
  }
  double backlog() const { return task.state.backlog_cpu_seconds; }
  double in_service() const { return task.state.in_service_cpu_seconds; }

  CpuTask task{0.5};
};

TEST_F(CpuSockets, BytesUnreadAreWorkThatWaits) {
  bound(0.3, 0.5);
  EXPECT_NEAR(backlog(), 0.3, 0.05);
  task.sockets(0.3, 0.5, 2);
  task.look(0.5, true);
  EXPECT_NEAR(backlog(), 0.6, 0.05);
}

TEST_F(CpuSockets, WhatWasReadAndIsNotWorkedOffWaitsToo) {
  bound(0, 1.5, 10);  // arrivals exceed the work done by a core, for a second
  EXPECT_NEAR(backlog(), 1, 0.05);
  EXPECT_NEAR(in_service(), backlog(), 1e-9) << "all of it was read";
  bound(0, 0.1, 10);
  EXPECT_NEAR(backlog(), 0.6, 0.05) << "and less when less comes";
}

TEST_F(CpuSockets, OfItNoMoreIsBelievedThanAnAnswerOrTwoWhileBytesWait) {
  bound(0.2, 5, 10);
  EXPECT_NEAR(backlog(), 0.2 + 0.5 * 0.5, 0.01) << "half of max_delay, of the quota";
  EXPECT_NEAR(in_service(), 0.25, 0.01);
  task.in.max_delay_seconds = 0.1;
  bound(0.2, 5);
  EXPECT_NEAR(backlog(), 0.2 + 0.5 * 0.1, 0.01) << "or of a period";
}

TEST_F(CpuSockets, WhatWaitsUnreadIsTheLeast) {
  bound(0.8, 0, 10);  // more seems to be done than arrived
  EXPECT_NEAR(backlog(), 0.8, 0.01);
  bound(0, 0.5);
  EXPECT_NEAR(backlog(), 0.8, 0.05) << "what was read of it is not done yet";
}

TEST_F(CpuSockets, ALimitThatBindsLeavesSomeOfAPeriodsWork) {
  bound(0, 0.5, 3);
  EXPECT_NEAR(backlog(), 0.3 * 0.5 * 0.1, 0.005);
  EXPECT_NEAR(in_service(), backlog(), 1e-9);
}

TEST_F(CpuSockets, WorkThatIsDearerThanTheMeanWillTakeAsMuchAgain) {
  bound(0, 0.1, 10);
  EXPECT_GT(backlog(), 0.4) << "0.4 more was used than what came costs as a rule";
  EXPECT_LT(backlog(), 0.7);
  bound(0, 1, 2);
  EXPECT_GT(backlog(), 0.5) << "the most that it was";
  bound(0.01, 0.1);
  EXPECT_LT(backlog(), 0.1) << "with bytes waiting the old debt is told no more";
}

TEST_F(CpuSockets, AFreePeriodSettlesTheAccount) {
  bound(0, 1.5, 10);
  ASSERT_GT(backlog(), 0.9);
  task.sockets(0.02, 0.5);
  task.look(0.4);
  EXPECT_NEAR(backlog(), 0.02, 1e-9);
  EXPECT_EQ(in_service(), 0);
  bound(0, 0.5);
  EXPECT_LT(backlog(), 0.03) << "and nothing of it comes back";
}

TEST_F(CpuSockets, AFreePeriodSettlesAnOverrunToo) {
  bound(0, 0.1, 10);
  ASSERT_GT(backlog(), 0.4);
  task.sockets(0, 0.4);
  task.look(0.4);
  bound(0, 0.5);
  EXPECT_LT(backlog(), 0.03);
}

TEST_F(CpuSockets, AFreePeriodWithAThrottleAfterItSettlesNothing) {
  bound(0, 1.5, 10);
  task.in.throttled_at = task.in.now + 90ms;
  task.look(0.4);
  EXPECT_GT(backlog(), 0.9);
}

TEST_F(CpuSockets, NoPeriodAtAllSettlesNothing) {
  bound(0, 1.5, 10);
  task.look(0.4, false, 40ms);
  ASSERT_EQ(*task.seen.periods, 0U);
  EXPECT_GT(backlog(), 0.9);
  task.seen.throttled_periods.reset();
  task.seen.periods.reset();
  task.in.now += 40ms;
  observe_cpu(task.in, task.state);
  EXPECT_GT(backlog(), 0.9) << "nor one of which nothing is known";
}

TEST_F(CpuSockets, ATaskWithNothingToRunHasNothingInService) {
  bound(0, 1.5, 10);
  task.seen.runnable_threads = 0;
  bound(0, 0);
  EXPECT_EQ(backlog(), 0);
  task.seen.runnable_threads.reset();
  bound(0, 1.5, 10);
  EXPECT_GT(backlog(), 0.9) << "where threads are not counted nothing says so";
}

TEST_F(CpuSockets, WhatArrivesIsOfThatMoment) {
  bound(0, 0.5);
  bound(0.5, 5.5);
  const double wait = longest_wait_seconds(task.in.now, task.state);
  EXPECT_LT(wait, 0.15);
  bound(0.5, 0.5, 4);
  EXPECT_GT(longest_wait_seconds(task.in.now, task.state), 0.3);
}

TEST_F(CpuSockets, BytesWhoseArrivalIsNotKnownAreUnreadAllTheSame) {
  task.seen.arrival_bytes_per_second.reset();
  task.seen.backlog_bytes = 0.5 * (1 << 20);
  task.look(0.5, true);
  EXPECT_NEAR(backlog(), 0.5, 0.3);
  bound(0, 0.5);
  task.seen.arrival_bytes_per_second.reset();
  task.look(0.5, true);
  EXPECT_LT(backlog(), 1);
}

TEST_F(CpuSockets, WithoutSocketsOrACostTheBindingTells) {
  bound(0.5, 0.5, 3);
  task.in.flow = nullptr;
  task.look(0.5, true);
  EXPECT_FALSE(task.state.backlog_known);
  EXPECT_NEAR(longest_wait_seconds(task.in.now, task.state), 0.4, 1e-9);
  bound(0.5, 0.5);
  EXPECT_TRUE(task.state.backlog_known);
  task.flow.cpu_seconds_per_mib.reset();
  task.look(0.5, true);
  EXPECT_FALSE(task.state.backlog_known);
  bound(0.5, 0.5);
  task.seen.backlog_bytes.reset();
  task.look(0.5, true);
  EXPECT_FALSE(task.state.backlog_known);
}

TEST_F(CpuSockets, WhatWaitedBeforeTheyWereBlindIsForgotten) {
  bound(0, 3, 10);
  task.in.flow = nullptr;
  task.look(0.5, true);
  EXPECT_EQ(backlog(), 0);
  EXPECT_EQ(in_service(), 0);
  bound(0, 5);
  EXPECT_LT(backlog(), 0.1) << "the first look tells what waits, and not what came before it";
  bound(0, 0.1, 10);
  task.in.flow = nullptr;
  task.look(0.5, true);
  bound(0, 0.5, 2);
  EXPECT_LT(backlog(), 0.1) << "overrun included";
}

// The share of recent samples with unread bytes: whether sockets show a queue at all.
TEST_F(CpuSockets, AreRememberedAsReadOrUnreadForAFewSeconds) {
  bound(0.1, 0.5, 60);
  EXPECT_GT(task.state.unread_share, 0.8);
  for (int i = 0; i < 60; ++i) bound(i % 4 == 0 ? 0.1 : 0, 0.5);
  EXPECT_NEAR(task.state.unread_share, 0.25, 0.1);
  task.sockets(0, 0.5);
  task.look_for(20s, 0.4);
  EXPECT_LT(task.state.unread_share, 0.05);
  task.sockets(0.1, 0.5);
  task.look(0.4, false, 30s);
  EXPECT_EQ(task.state.unread_share, 1) << "after a gap the new look is all there is";
}

// Sockets are empty while the limit throttles: the backlog is in the broker.
Nsec until_disbelieved(double max_delay_seconds) {
  CpuTask task(0.5);
  task.in.max_delay_seconds = max_delay_seconds;
  task.sockets(0, 0.5);
  task.look(0.4);
  Nsec t{};
  for (; task.state.backlog_known && t < 100s; t += 100ms) task.look(0.5, true);
  return t;
}

TEST_F(CpuSockets, EmptyOnesAreBelievedForThreeMaxDelaysAndThreeSecondsAtLeast) {
  EXPECT_GT(until_disbelieved(10), 29s);
  EXPECT_LT(until_disbelieved(10), 32s);
  EXPECT_GT(until_disbelieved(0.1), 2900ms);
  EXPECT_LT(until_disbelieved(0.1), 3200ms);
}

TEST_F(CpuSockets, EmptyOnesAreBelievedForAsLongAgainAfterAFreePeriod) {
  task.sockets(0, 0.5);
  task.look_for(2s, 0.5, true);
  task.look_for(10s, 0.4);
  task.look_for(2s, 0.5, true);
  EXPECT_TRUE(task.state.backlog_known);
}

// Consecutive samples with every thread busy.
class CpuBusy : public CpuSockets {
 protected:
  bool unseen() const { return hidden_backlog_since(task.in, task.state).has_value(); }
};

TEST_F(CpuBusy, AFewLooksAreNoProof) {
  bound(0, 0.5, 3);
  EXPECT_FALSE(unseen());
  bound(0, 0.5);
  EXPECT_TRUE(unseen());
}

TEST_F(CpuBusy, OnlyLooksThatFindTheLimitBindingCount) {
  task.look_for(2s, 0.4);
  bound(0, 0.5);
  EXPECT_FALSE(unseen());
}

TEST_F(CpuBusy, WhatMayWaitCameAfterTheLastThreadThatRested) {
  bound(0, 0.5, 10);
  task.seen.runnable_threads = 1;
  bound(0, 0.5);
  const auto rested = task.in.now;
  task.seen.runnable_threads = 2;
  bound(0, 0.5, 4);
  ASSERT_TRUE(unseen());
  EXPECT_EQ(*hidden_backlog_since(task.in, task.state), rested);
}

TEST_F(CpuBusy, WhatMayWaitCameAfterTheLimitBegan) {
  bound(0, 0.5, 5);
  task.bound_for(200ms);
  EXPECT_EQ(*hidden_backlog_since(task.in, task.state), task.in.now - 200ms);
}

TEST_F(CpuBusy, LooksBeforeARestDoNotCountForOrAgainst) {
  bound(0.5, 0.5, 10);
  task.seen.runnable_threads = 1;
  bound(0, 0.5);
  task.seen.runnable_threads = 2;
  bound(0, 0.5, 3);
  EXPECT_FALSE(unseen());
  bound(0, 0.5);
  EXPECT_TRUE(unseen()) << "since then no byte was unread";
}

TEST_F(CpuBusy, AnAnswerInFlightIsNoQueue) {
  task.in.max_delay_seconds = 5;
  bound(0.01, 0.5, 5);
  EXPECT_TRUE(unseen());
  bound(0.1, 0.5, 10);
  EXPECT_FALSE(unseen());
}

TEST_F(CpuBusy, ATaskThatReportsHasNothingUnseen) {
  for (int i = 0; i < 10; ++i) {
    task.report_backlog(0.1);
    bound(0, 0.5);
  }
  EXPECT_FALSE(unseen());
}

TEST(CpuUnseen, IsAllThatTheLimitHoldsUpWhereNothingTells) {
  CpuTask task(0.5);
  task.look(0.4);
  EXPECT_FALSE(hidden_backlog_since(task.in, task.state));
  task.look(0.5, true);
  EXPECT_EQ(hidden_backlog_since(task.in, task.state), task.in.now - 100ms);
}

}  // namespace
}  // namespace sluice::testing
