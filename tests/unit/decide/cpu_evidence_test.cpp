// How the CPU controller judges a backlog that is not reported: idle times, idle threads, sockets.
#include <gtest/gtest.h>

#include "tests/unit/policy_inputs.hpp"

namespace sluice::testing {
namespace {

// Throttled in every period at 0.2 cores. `rests`: it had nothing to run in the middle of each.
Nsec until_raised(bool rests, Nsec limit) {
  Bench b;
  b.add(1, cores(0.2));
  b.full();
  b.run_cpu(1, 100ms, 0.1, false);
  b.full();  // a free period
  Nsec t{};
  while (t < limit && b.quota() <= 0.2) {
    b.run_cpu(1, 100ms, 0.2, true, 0.2);
    if (rests) b.sample().idle_until = b.now + 50ms;
    b.full();
    t += 100ms;
  }
  return t;
}

TEST(CpuEvidence, WhatWaitsCameAfterTheLastMomentWithNothingToRun) {
  EXPECT_LE(until_raised(false, 10s), 500ms) << "max_delay is 1 s, and nothing says that the queue was empty";
  EXPECT_GE(until_raised(true, 10s), 1500ms);
}

TEST(CpuEvidence, WithoutAFreePeriodForLongATaskAtRestMayBeOneThatWaitsForItsBroker) {
  EXPECT_LE(until_raised(true, 10s), 4s);
}

TEST(CpuEvidence, ATaskThatSleptWhileItsWorkWaitedIsNotBelievedAgainForTenMinutes) {
  auto raised_after = [](Bench& b) {
    const double before = b.quota();
    Nsec t{};
    for (; t < 10s && b.quota() <= before; t += 100ms) {
      b.run_cpu(1, 100ms, b.quota(), true, 0.2);
      b.sample().idle_until = b.now + 50ms;
      b.full();
    }
    return t;
  };
  Bench b;
  b.add(1, cores(0.2));
  b.full();
  EXPECT_GT(raised_after(b), 3s);
  b.run_cpu(1, 100ms, 0.1, false);
  b.full();  // a free period
  EXPECT_LT(raised_after(b), 1s);
  for (int i = 0; i < 6100; ++i) {
    b.run_cpu(1, 100ms, 0.9 * b.quota(), false);
    b.full();
  }
  EXPECT_GT(raised_after(b), 3s);
}

// While it waits for a reply it is idle, and some periods pass without a throttle.
TEST(CpuEvidence, AQuotaThatIsUsedToTheLastBitIsTooSmallWhateverRestSays) {
  Bench b;
  b.add(1, cores(0.2));
  b.full();
  for (int i = 0; i < 40 && b.quota() <= 0.2; ++i) {
    b.run_cpu(1, 100ms, 0.2, i % 3 != 0, 0.2);
    b.sample().idle_until = b.now + 90ms;
    b.full();
  }
  EXPECT_GT(b.quota(), 0.35);
  EXPECT_EQ(rule_of(b.task().cpu), Rule::cpu_throttled);
}

TEST(CpuEvidence, AFloodLikeTheLastOnesIsMetByWhatSufficedThen) {
  Bench b;
  b.add(1, cores(0.2));
  b.full();
  // The quota half a second into a surge that needs 2.5 cores.
  auto flood = [&] {
    double soon = 0;
    for (int i = 0; i < 30 && (i < 6 || b.quota() < 2.5); ++i) {
      b.run_cpu(1, 100ms, b.quota(), true, 2);
      b.full();
      if (i == 4) soon = b.quota();
    }
    return soon;
  };
  auto lull = [&] {
    for (int i = 0; i < 200; ++i) {
      b.run_cpu(1, 100ms, 0.1, false);
      b.full();
    }
  };
  const double unknown = flood();
  lull();
  ASSERT_LT(b.quota(), 0.25);
  EXPECT_GT(flood(), 1.5 * unknown);
}

TEST(CpuEvidence, AThrottleEventBringsTheLastMomentWithNothingToRun) {
  auto raised = [](bool rested) {
    Bench b;
    b.add(1, cores(0.2));
    b.full();
    b.run_cpu(1, 100ms, 0.1, false);
    b.full();
    for (int i = 0; i < 2; ++i) {
      b.run_cpu(1, 100ms, 0.2, true, 0.2);
      b.full();
    }
    b.events.push_back({.id = CgroupId{1}, .at = b.now + 98ms});
    if (rested) b.events.back().idle_until = b.now + 50ms;
    return write_to(b.event(98ms).plan, Knob::cpu_max) != nullptr;
  };
  EXPECT_TRUE(raised(false)) << "a third of max_delay is gone";
  EXPECT_FALSE(raised(true));
}

TEST(CpuEvidence, WhileThreadsRestNoMoreCoresAreGivenThanTheOthersCanUse) {
  auto most = [](std::uint32_t busy) {
    Bench b;
    b.add(1, cores(0.2));
    b.sample().runnable_threads = 4;  // its number of threads
    b.full();
    double quota = 0;
    for (int i = 0; i < 30; ++i) {
      const bool limited = b.quota() < busy;
      b.sample().runnable_threads = busy;
      b.run_cpu(1, 100ms, std::min<double>(busy, b.quota()), limited, limited ? 0.8 : 0);
      b.full();
      quota = std::max(quota, b.quota());
    }
    return quota;
  };
  EXPECT_GT(most(4), 3.5);
  EXPECT_LT(most(1), 1.3);
}

class Sockets : public ::testing::Test {
 protected:
  // One tick of 100 ms with or without throttling, and with this many bytes unread at its end.
  void look(double unread, bool throttled) {
    in_.now += 100ms;
    signals_.interval_seconds = 0.1;
    signals_.usage_cores = 0.2;
    signals_.periods = 1;
    signals_.throttled_periods = throttled ? 1 : 0;
    signals_.backlog_bytes = unread;
    signals_.arrival_bytes_per_second = 1e6;
    in_.signals = &signals_;
    in_.flow = &flow_;
    observe_cpu(in_, state_);
  }
  void for_long(Nsec time, double unread, bool throttled) {
    for (Nsec t{}; t < time; t += 100ms) look(unread, throttled);
  }

  Sockets() {
    in_.now = MonotonicTime{1000s};
    in_.quota_cores = 0.2;
    in_.max_cores = in_.node_cores = 4;
    flow_.cpu_seconds_per_mib = 0.2;
  }

  CpuInput in_;
  CpuState state_;
  Signals signals_;
  FlowEstimate flow_;
};

TEST_F(Sockets, TellWhatWaits) {
  for_long(10s, 1e5, true);
  EXPECT_TRUE(state_.backlog_known);
  EXPECT_GT(state_.backlog_cpu_seconds, 0.01);
}

TEST_F(Sockets, EmptyOnesTellNothingOfATaskThatIsBoundAllTheSame) {
  for_long(2s, 0, true);
  EXPECT_TRUE(state_.backlog_known) << "not yet: a lull is no proof";
  for_long(2s, 0, true);
  EXPECT_FALSE(state_.backlog_known) << "what waits is where the task fetches it";
  for_long(5min, 1e5, false);
  EXPECT_FALSE(state_.backlog_known) << "believed for ten minutes";
  for_long(6min, 1e5, false);
  EXPECT_TRUE(state_.backlog_known);
}

TEST_F(Sockets, EmptyOnesTellThatNothingWaitsWhereTheLimitDoesNotBind) {
  for_long(60s, 0, false);
  EXPECT_TRUE(state_.backlog_known);
  EXPECT_EQ(state_.backlog_cpu_seconds, 0);
}

// The backlog is in the broker; each sample finds at most a reply that has just come.
TEST_F(Sockets, EmptyOnesDoNotKeepATaskLateWhoseThreadsAreAllBusy) {
  in_.quota_cores = 0.22;  // not used up completely
  signals_.runnable_threads = 2;
  for_long(5s, 0, false);
  Nsec t{};
  for (; t < 10s && !decide_cpu(in_, state_).changes(); t += 100ms) look(t / 100ms % 3 == 0 ? 2e4 : 4, true);
  EXPECT_LT(t, 1s) << "max_delay is 1 s";
  EXPECT_EQ(decide_cpu(in_, state_).reason.rule, Rule::cpu_throttled);
  EXPECT_GT(decide_cpu(in_, state_).value, 0.22);
}

TEST_F(Sockets, EmptyOnesAreBelievedWhileAThreadRests) {
  signals_.runnable_threads = 2;
  for_long(5s, 0, false);
  for (int i = 0; i < 14; ++i) {
    signals_.runnable_threads = i % 3 == 0 ? 1 : 2;
    look(0, true);
    EXPECT_FALSE(hidden_backlog_since(in_, state_));
  }
}

TEST_F(Sockets, WithBytesUnreadTellAllThatWaits) {
  signals_.runnable_threads = 2;
  for_long(20s, 1e5, true);
  EXPECT_FALSE(hidden_backlog_since(in_, state_));
}

TEST_F(Sockets, NothingIsTakenFromATaskThatMayHaveWorkElsewhere) {
  in_.quota_cores = in_.max_cores;
  signals_.runnable_threads = 1;
  for_long(60s, 0, false);
  EXPECT_TRUE(decide_cpu(in_, state_).changes()) << "its quota is far too large";
  for_long(500ms, 0, true);
  EXPECT_FALSE(decide_cpu(in_, state_).changes());
}

TEST_F(Sockets, AreBelievedWhereBytesWaitNowAndThen) {
  for (int i = 0; i < 30; ++i) {
    for_long(2s, 0, true);
    look(1e5, true);
  }
  EXPECT_TRUE(state_.backlog_known);
}

}  // namespace
}  // namespace sluice::testing
