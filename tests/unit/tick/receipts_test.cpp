// The effect of receipts and of external writers on a task: when we yield, what counts as a failure, and what
// is reported.
#include <gtest/gtest.h>

#include <cerrno>

#include "tests/unit/tick/governed.hpp"

namespace sluice::testing {
namespace {

using Result = Receipt::Result;
constexpr CgroupId kTask{1};

// With a budget that does not matter here.
Bench with_budget(config::Config config = one_task_config()) {
  config.tasks[0].policy.cpu.writes_per_minute = 60;
  return governed(std::move(config));
}

void run(Bench& b, Nsec length, Nsec step = 100ms) {
  for (Nsec t{}; t < length; t += step) {
    b.run_cpu(1, step, 0.5, false);
    b.full(step);
  }
}

// An external writer restores the baseline; returns whether our value was written again.
bool put_right(Bench& b) {
  b.sample().cpu_max = cores(3);
  b.run_cpu(1, 100ms, 0.5, false);
  const bool again = write_to(b.full().plan, Knob::cpu_max) != nullptr;
  b.run_cpu(1, 100ms, 0.5, false);
  b.full();
  return again;
}

// ---- external writers

TEST(OtherWriters, FiveResetsAMinuteArePutRightAndTheSixthIsYieldedTo) {
  Bench b = with_budget();
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(put_right(b)) << i;
  EXPECT_FALSE(put_right(b));
  EXPECT_EQ(b.last.report.tasks[0].mode, TaskMode::yielding);
}

TEST(OtherWriters, ResetsThatAreRareAreNoFight) {
  Bench b = with_budget();
  for (int i = 0; i < 12; ++i) {
    EXPECT_TRUE(put_right(b)) << i;
    run(b, 30s, 1s);
  }
}

TEST(OtherWriters, OverrideFightsForEver) {
  auto config = one_task_config();
  config.node.on_foreign_write = config::OnForeignWrite::override_it;
  Bench b = with_budget(config);
  for (int i = 0; i < 12; ++i) EXPECT_TRUE(put_right(b)) << i;
  EXPECT_EQ(b.last.report.tasks[0].mode, TaskMode::governed);
}

// The controller's intent does not change: the value itself is written again.
TEST(OtherWriters, OverrideWritesTheValueThatWasThere) {
  Bench b;
  b.config.node.on_foreign_write = config::OnForeignWrite::override_it;
  b.add(1, cores(3));
  b.full();
  b.full();
  b.hold(b.state.tasks.at(CgroupId{1}).cpu, Knob::cpu_max, cores(2));
  b.sample().cpu_max = cores(2.5);
  b.run_cpu(1, 100ms, 1.9, false);
  const auto* again = write_to(b.full().plan, Knob::cpu_max);
  ASSERT_NE(again, nullptr);
  EXPECT_EQ(again->value, KnobValue{cores(2)});
  EXPECT_EQ(again->reason.rule, Rule::reasserted);
}

// A quota may double in ten seconds. A pin meanwhile, or a value written again, is no change of ours.
TEST(OtherWriters, WhatOthersDidIsNotCountedByTheRates) {
  auto config = one_task_config();
  config.tasks[0].policy.max_delay = 100ms;
  config.tasks[0].policy.cpu.scaling.up.policies = {{config::ChangeType::percent, 100, 10s}};
  const auto starve = [](Bench& b) {
    for (int i = 0; i < 20; ++i) {
      b.run_cpu(1, 100ms, b.quota(), true, 3);
      b.full();
    }
  };
  Bench pinned(config);
  pinned.add(1, cores(0.5));
  pinned.full();
  PinCommand pin;
  pin.task = "t1";
  pin.cpu_cores = 1;
  pinned.commands = {pin};
  pinned.full();
  pinned.commands = {UnpinCommand{"t1"}};
  pinned.full();
  ASSERT_EQ(pinned.quota(), 1);
  starve(pinned);
  EXPECT_EQ(pinned.quota(), 2) << "from where it was pinned";

  Bench reset(config);
  reset.add(1, cores(3));
  reset.full();
  reset.full();
  reset.hold(reset.state.tasks.at(CgroupId{1}).cpu, Knob::cpu_max, cores(0.5));
  reset.full();  // an external writer restored the baseline
  reset.full();
  ASSERT_EQ(reset.quota(), 0.5) << "put right";
  starve(reset);
  EXPECT_EQ(reset.quota(), 1) << "from ours, not from what was found";
}

TEST(OtherWriters, AnExternalValueIsLeftAloneForAMinute) {
  Bench b = with_budget();
  b.sample().cpu_max = cores(1.7);
  b.full();
  run(b, 59s, 1s);
  EXPECT_EQ(b.sample().cpu_max, cores(1.7));
  run(b, 10s, 1s);
  EXPECT_LT(b.quota(), 1);
}

TEST(OtherWriters, AreReportedWithWhatWasExpectedAndFoundAndCounted) {
  Bench b = with_budget();
  const auto ours = b.task().cpu.limit.value();
  b.sample().cpu_max = cores(1.7);
  const auto* n = notice(b.full(), Notice::Kind::foreign_write);
  ASSERT_NE(n, nullptr);
  EXPECT_EQ(n->expected, ours);
  EXPECT_EQ(n->found, KnobValue{cores(1.7)});
  EXPECT_EQ(b.last.report.tasks[0].drift_total, 1U);
}

TEST(OtherWriters, WhatIsNotOursMayMoveUnreportedWhileObserving) {
  for (const auto mode : {config::Mode::observe, config::Mode::enforce}) {
    Bench b;
    b.config.node.mode = mode;
    b.add(1, cores(3));
    b.full();
    b.sample().cpu_max = cores(2);
    b.full();
    EXPECT_EQ(notice(b.last, Notice::Kind::foreign_write) != nullptr, mode == config::Mode::enforce);
  }
}

// ---- receipts

// The task wants more than its baseline; the test answers the first order for it.
struct Ordered : Bench {
  static config::Config quick() {
    auto config = one_task_config();
    config.tasks[0].policy.max_delay = 100ms;
    return config;
  }
  Ordered() : Bench(quick()) {
    add(1, cores(0.1));
    full();
    auto_receipts = false;
    order();
  }
  void order() {
    const Write* found = nullptr;
    for (int i = 0; i < 50 && !found; ++i) {
      run_cpu(1, 100ms, 0.1, true, 1);
      found = write_to(full().plan, Knob::cpu_max);
    }
    ASSERT_NE(found, nullptr);
    write = *found;
  }
  const Outcome& answer(Receipt receipt) {
    receipts = {std::move(receipt)};
    if (receipts[0].holds) sample().cpu_max = std::get<CpuMax>(*receipts[0].holds);
    return full(1ms);
  }
  // Answers all orders in flight with success.
  void settle() {
    while (const Write* w = write_to(last.plan, Knob::cpu_max)) {
      write = *w;
      answer(success());
    }
  }
  void pin(double cpu_cores) {
    PinCommand command;
    command.task = "t1";
    command.cpu_cores = cpu_cores;
    commands = {command};
    const Write* found = write_to(full().plan, Knob::cpu_max);
    ASSERT_NE(found, nullptr);
    write = *found;
  }
  Receipt success() const { return written(write.id, write.knob, write.value, now); }
  Write write;
};

TEST(Answers, ASlowWriteIsReportedAndIsNoFailure) {
  Ordered b;
  auto slow = Bench::failed(b.write, Result::timed_out, ETIMEDOUT, b.now);
  slow.may_land = true;
  const auto* n = notice(b.answer(slow), Notice::Kind::write_failed);
  ASSERT_NE(n, nullptr);
  EXPECT_EQ(n->receipt->error_number, ETIMEDOUT);
  EXPECT_EQ(b.task().breaker.state, BreakerState::closed);
  b.answer(b.success());
  EXPECT_EQ(b.last.report.tasks[0].cpu_max, std::get<CpuMax>(b.write.value));
}

TEST(Answers, AWriteOfWhichNothingIsKnownIsAFailure) {
  Ordered b;
  const auto* n =
      notice(b.answer(Bench::failed(b.write, Result::refused, EIO, b.now)), Notice::Kind::write_failed);
  ASSERT_NE(n, nullptr);
  EXPECT_EQ(n->receipt->error_number, EIO);
  EXPECT_EQ(b.task().breaker.state, BreakerState::open);
}

TEST(Answers, TheFirstWriteThatSucceedsAfterAFailureClosesTheBreaker) {
  Ordered b;
  auto refused = Bench::failed(b.write, Result::refused, EACCES, b.now);
  refused.holds = KnobValue{cores(0.1)};
  b.answer(refused);
  ASSERT_EQ(b.task().breaker.state, BreakerState::open);
  b.now += 30s;
  b.order();
  const auto& out = b.answer(b.success());
  EXPECT_EQ(b.task().breaker.state, BreakerState::closed);
  EXPECT_NE(notice(out, Notice::Kind::breaker_closed), nullptr);
}

TEST(Answers, OurOwnLackIsReportedAgainWhenItComesAgain) {
  Ordered b;
  b.answer(b.success());
  for (const double wanted : {2.0, 3.0}) {
    b.settle();
    b.pin(wanted);
    const auto lack = Bench::failed(b.write, Result::not_tried, ENOSPC, b.now);
    EXPECT_NE(notice(b.answer(lack), Notice::Kind::write_failed), nullptr) << wanted;
  }
}

TEST(Answers, EachWriteIsCountedAndIsAnAdjustment) {
  Ordered b;
  const auto before = b.task().cpu.limit.value();
  auto receipt = b.success();
  receipt.caused_at = b.now - 7ms;
  receipt.written_at = b.now - 2ms;
  receipt.started_at = b.now - 3ms;
  const auto& out = b.answer(receipt);
  EXPECT_EQ(out.report.tasks[0].writes_total, 1U);
  EXPECT_EQ(out.report.node.writes_total, 1U);
  ASSERT_EQ(out.report.adjustments.size(), 1U);
  const auto& a = out.report.adjustments[0];
  EXPECT_EQ(a.task, "t1");
  EXPECT_EQ(a.old_value, before);
  EXPECT_EQ(a.new_value, b.write.value);
  EXPECT_EQ(a.reaction, Nsec{5ms}) << "from the event to the kernel's having it";
  EXPECT_FALSE(a.dry_run);
}

// In whatever order they arrive.
TEST(Answers, OfTwoEventsOfATaskTheFirstIsTheCause) {
  for (const bool first_first : {false, true}) {
    auto config = Ordered::quick();
    Bench b(config);
    b.add(1, cores(0.2));
    b.full();
    b.run_cpu(1, 100ms, 0.15, false);
    b.full();
    const ThrottleEvent first{kTask, b.now + 1ms, 0}, second{kTask, b.now + 3ms, 1};
    b.events = {first_first ? first : second, first_first ? second : first};
    const auto* w = write_to(b.event(5ms).plan, Knob::cpu_max);
    ASSERT_NE(w, nullptr);
    EXPECT_EQ(w->caused_at, first.at);
  }
}

TEST(Answers, WithoutAnEventThereIsNoReaction) {
  Ordered b;
  const auto& out = b.answer(b.success());
  ASSERT_EQ(out.report.adjustments.size(), 1U);
  EXPECT_EQ(out.report.adjustments[0].reaction, std::nullopt);
}

TEST(Answers, WhatIsPretendedIsSaidToBe) {
  Bench b;
  b.config.node.mode = config::Mode::dry_run;
  b.add(1, cores(3));
  b.full();
  PinCommand pin;
  pin.task = "t1";
  pin.cpu_cores = 2;
  b.commands = {pin};
  const auto& out = b.full();
  ASSERT_EQ(out.report.adjustments.size(), 1U);
  EXPECT_TRUE(out.report.adjustments[0].dry_run);
  EXPECT_EQ(out.report.adjustments[0].old_value, KnobValue{cores(3)});
}

// A memory.high that hangs in reclaim is too low: it is raised, and that is reported.
TEST(Answers, AMemoryHighThatHungIsRaised) {
  for (const bool overdue : {false, true}) {
    Bench b;
    b.config.tasks[0].policy.memory.interval = 500ms;
    b.add(1, cores(3), mib(900));
    for (int i = 0; i < 20; ++i) b.full();
    b.auto_receipts = false;
    PinCommand pin;
    pin.task = "t1";
    pin.memory_high = Bytes{240} << 20;
    b.commands = {pin};
    const auto* order = write_to(b.full().plan, Knob::memory_high);
    ASSERT_NE(order, nullptr);
    const Write w = *order;
    auto receipt = Bench::written(w.id, w.knob, w.value, b.now);
    if (overdue) {
      receipt = Bench::failed(w, Result::timed_out, EINTR, b.now);
      receipt.holds = w.value;
    } else {
      receipt.interrupted = true;
    }
    b.sample().memory_high = std::get<MemoryLimit>(w.value);
    b.commands = {UnpinCommand{"t1"}};
    b.receipts = {receipt};
    b.full();
    if (!overdue) {
      EXPECT_NE(notice(b.last, Notice::Kind::write_failed), nullptr);
    }
    const Write* raise = write_to(b.last.plan, Knob::memory_high);
    for (int i = 0; i < 20 && !raise; ++i) raise = write_to(b.full().plan, Knob::memory_high);
    ASSERT_NE(raise, nullptr);
    EXPECT_EQ(raise->reason.rule, Rule::memory_futile);
    EXPECT_GT(number_of(raise->value), number_of(w.value));
  }
}

}  // namespace
}  // namespace sluice::testing
