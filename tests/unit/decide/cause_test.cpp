#include "daemon/decide/cause.hpp"

#include <gtest/gtest.h>

#include <set>

namespace sluice {
namespace {

using namespace std::chrono_literals;

// A task that lacks nothing, as kernel programs see it: 0.5 cores, every byte read as it comes.
CauseInput healthy() {
  CauseInput in;
  in.usage_cores = 0.5;
  in.system_share = 0.1;
  in.throttled_share = in.wait_share = in.memory_stall_share = in.io_stall_share = 0;
  in.pgscan_per_second = in.refaults_per_second = 0;
  in.served_share = 1;
  in.backlog_seconds = 0.001;
  in.unsent_bytes = in.unsent_seconds = 0;
  in.runnable_threads = 0.5;
  return in;
}

CauseInput files_only() {
  CauseInput in = healthy();
  in.served_share = in.backlog_seconds = in.unsent_bytes = in.unsent_seconds = in.runnable_threads =
      std::nullopt;
  return in;
}

TEST(Cause, EachHasItsSigns) {
  CauseInput in = healthy();
  EXPECT_EQ(classify(in), Cause::input_bound);
  in.throttled_share = in.wait_share = 0.4;
  EXPECT_EQ(classify(in), Cause::starved_by_quota);
  in.throttled_share = 0;
  EXPECT_EQ(classify(in), Cause::starved_by_node);
  in = healthy();
  in.memory_stall_share = 0.3;
  EXPECT_EQ(classify(in), Cause::stalled_on_memory);
  in = healthy();
  in.system_share = 0.7;
  in.pgscan_per_second = 50'000;
  EXPECT_EQ(classify(in), Cause::reclaiming);
  in.pgscan_per_second = 0;
  EXPECT_EQ(classify(in), Cause::input_bound) << "system calls alone are work";
  in.refaults_per_second = 2000;
  EXPECT_EQ(classify(in), Cause::reclaiming);
  in = healthy();
  in.unsent_bytes = 4 << 20;
  in.unsent_seconds = 3;
  EXPECT_EQ(classify(in), Cause::downstream_bound);
  in = healthy();
  in.usage_cores = 0.001;
  EXPECT_EQ(classify(in), Cause::idle);
  in = healthy();
  in.io_stall_share = 0.5;
  EXPECT_EQ(classify(in), Cause::stalled_on_io);
  in = healthy();
  in.backlog_seconds = 2;
  in.usage_cores = 1;
  in.runnable_threads = 1;
  EXPECT_EQ(classify(in), Cause::thread_bound);
  in.served_share = 0.2;
  EXPECT_EQ(classify(in), Cause::reclaiming) << "busy, behind, and not with what it reads";
}

TEST(Cause, MemoryGoesBeforeTheQuotaThatAStalledTaskHitsAsWell) {
  CauseInput in = healthy();
  in.throttled_share = in.wait_share = 1;
  in.memory_stall_share = 0.2;
  EXPECT_EQ(classify(in), Cause::stalled_on_memory);
}

TEST(Cause, OfTwoStarvationsTheLargerIsTold) {
  CauseInput in = healthy();
  in.throttled_share = 0.2;
  in.wait_share = 0.9;
  EXPECT_EQ(classify(in), Cause::starved_by_node);
  in.throttled_share = 0.6;
  EXPECT_EQ(classify(in), Cause::starved_by_quota);
}

TEST(Cause, MissingSignalsNeverInventACause) {
  EXPECT_EQ(classify({}), Cause::unknown);
  CauseInput in;
  in.usage_cores = 0.5;
  EXPECT_EQ(classify(in), Cause::unknown);
  in.usage_cores = 0;
  EXPECT_EQ(classify(in), Cause::idle);
  in.usage_cores = std::nullopt;
  in.throttled_share = 1;
  EXPECT_EQ(classify(in), Cause::unknown);
}

TEST(Cause, FilesAloneTellTheShortagesAndNotWhatAHealthyTaskWaitsFor) {
  CauseInput in = files_only();
  EXPECT_EQ(classify(in), Cause::unknown);
  in.throttled_share = in.wait_share = 0.5;
  EXPECT_EQ(classify(in), Cause::starved_by_quota);
  in = files_only();
  in.wait_share = 0.5;
  EXPECT_EQ(classify(in), Cause::starved_by_node);
  in = files_only();
  in.memory_stall_share = 0.5;
  EXPECT_EQ(classify(in), Cause::stalled_on_memory);
  in = files_only();
  in.usage_cores = 0.002;
  EXPECT_EQ(classify(in), Cause::idle);
}

TEST(Cause, ACauseThatStandsIsLeftAtHalfOfItsThreshold) {
  CauseInput in = healthy();
  in.throttled_share = 0.07;
  EXPECT_EQ(classify(in), Cause::input_bound);
  EXPECT_EQ(classify(in, Cause::starved_by_quota), Cause::starved_by_quota);
  in.throttled_share = 0.04;
  EXPECT_EQ(classify(in, Cause::starved_by_quota), Cause::input_bound);
}

Signals seen(double throttled_periods_ratio) {
  Signals g;
  g.interval_seconds = 0.1;
  g.usage_cores = 0.5;
  g.system_cores = 0.05;
  g.periods = 10;
  g.throttled_periods = static_cast<std::uint64_t>(10 * throttled_periods_ratio);
  g.cpu_pressure_ratio = throttled_periods_ratio;
  g.memory_pressure_ratio = 0;
  g.arrival_bytes_per_second = g.service_bytes_per_second = 1e6;
  g.backlog_bytes = 100;
  return g;
}

TEST(CauseState, ALoadAtTheThresholdDoesNotFlap) {
  CauseState s;
  MonotonicTime now{100s};
  std::size_t changes = 0;
  for (int i = 0; i < 600; ++i, now += 100ms) {
    const Cause before = s.now.cause;
    const Signals g = seen(i % 10 == 0 ? 1.0 : 0.0);  // on average one period in ten
    observe_cause(now, &g, {}, s);
    changes += s.now.cause != before ? 1 : 0;
  }
  EXPECT_LE(changes, 3U);
}

TEST(CauseState, ANewCauseMustLastAndIsToldWithItsOnset) {
  CauseState s;
  MonotonicTime now{100s};
  auto run = [&](int ticks, double throttled) {
    for (int i = 0; i < ticks; ++i, now += 100ms) {
      const Signals g = seen(throttled);
      observe_cause(now, &g, {}, s);
    }
  };
  run(50, 0);
  EXPECT_EQ(s.now.cause, Cause::input_bound);
  EXPECT_EQ(s.now.since, since_boot(100s)) << "the first look is believed at once";
  run(2, 1);
  EXPECT_EQ(s.now.cause, Cause::input_bound) << "two periods are a burst";
  run(10, 1);
  EXPECT_EQ(s.now.cause, Cause::starved_by_quota);
  EXPECT_GT(s.now.since, since_boot(105s));
  EXPECT_LT(s.now.since, since_boot(107s));
  EXPECT_GT(*s.now.inputs.throttled_share, 0.5);
}

TEST(CauseState, WithoutSignalsItIsKeptForAWhileAndThenUnknown) {
  CauseState s;
  const Signals g = seen(0);
  observe_cause(MonotonicTime{100s}, &g, {}, s);
  observe_cause(MonotonicTime{102s}, nullptr, {}, s);
  EXPECT_EQ(s.now.cause, Cause::input_bound);
  observe_cause(MonotonicTime{104s}, nullptr, {}, s);
  EXPECT_EQ(s.now.cause, Cause::unknown);
  EXPECT_FALSE(s.now.inputs.usage_cores);
  EXPECT_EQ(s.now.since, since_boot(104s));
}

TEST(Cause, OnlyWhatTheKernelSaysOfMemoryCountsAgainstCpu) {
  Diagnosis d;
  d.cause = Cause::stalled_on_memory;
  EXPECT_TRUE(memory_is_the_cure(d));
  d.cause = Cause::reclaiming;
  d.inputs = healthy();
  d.inputs.served_share = 0.1;
  d.inputs.backlog_seconds = 3;
  EXPECT_FALSE(memory_is_the_cure(d)) << "a suspected collection may be work that became dearer";
  d.inputs.system_share = 0.8;
  d.inputs.pgscan_per_second = 1e5;
  EXPECT_TRUE(memory_is_the_cure(d));
  d.cause = Cause::starved_by_quota;
  EXPECT_FALSE(memory_is_the_cure(d));
}

TEST(Cause, AThrottleEventSpeaksAtOnceUnlessMemoryIsBehindIt) {
  Diagnosis d;
  d.cause = Cause::input_bound;
  EXPECT_EQ(cause_of_decision(d, false), Cause::input_bound);
  EXPECT_EQ(cause_of_decision(d, true), Cause::starved_by_quota);
  d.cause = Cause::stalled_on_memory;
  EXPECT_EQ(cause_of_decision(d, true), Cause::stalled_on_memory);
  d.cause = Cause::reclaiming;
  EXPECT_EQ(cause_of_decision(d, true), Cause::reclaiming);
}

TEST(Cause, EachHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(Cause::thread_bound); ++i)
    names.insert(to_string(static_cast<Cause>(i)));
  EXPECT_EQ(names.size(), 12U);
}

}  // namespace
}  // namespace sluice
