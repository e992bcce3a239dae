// What is released and when: each knob separately, to the last value that was not ours.
#include <gtest/gtest.h>

#include <cerrno>

#include "tests/unit/policy_inputs.hpp"

namespace sluice::testing {
namespace {

constexpr CgroupId kTask{1};
constexpr Knob kBoth[] = {Knob::cpu_max, Knob::memory_high};

Knob other(Knob knob) {
  return knob == Knob::cpu_max ? Knob::memory_high : Knob::cpu_max;
}

// A task with a value of ours on one knob, or on none.
struct Held : Bench {
  explicit Held(std::optional<Knob> touched = {}) {
    add(1, cores(3), mib(900));
    full();
    auto_receipts = false;
    if (touched) ours(*touched);
  }
  void ours(Knob knob) {
    if (knob == Knob::cpu_max) {
      hold(mine().cpu, knob, sample().cpu_max.emplace(cores(2)));
    } else {
      hold(mine().memory, knob, sample().memory_high.emplace(mib(600)));
    }
  }
  TaskState& mine() { return state.tasks.at(kTask); }
  void suspend() { commands = {SuspendCommand{"t1", "test"}}; }
  // The lease change of this tick, if there is one; without an entry there is nothing to restore any more.
  const LeaseChange* told(Knob knob) const {
    for (const auto& change : last.lease) {
      if (change.key.knob == knob) return &change;
    }
    return nullptr;
  }
};

TEST(Releases, OfOneKnobLeaveTheOtherAlone) {
  for (const Knob knob : kBoth) {
    Held b(knob);
    b.suspend();
    const Plan plan = b.full().plan;
    const auto* back = write_to(plan, knob);
    ASSERT_NE(back, nullptr);
    EXPECT_EQ(back->reason.rule, Rule::released);
    EXPECT_EQ(back->value, knob == Knob::cpu_max ? KnobValue{cores(3)} : KnobValue{mib(900)});
    EXPECT_EQ(write_to(plan, other(knob)), nullptr) << "nothing of ours is in it";
  }
}

TEST(Releases, AKnobThatIsNoLongerEnabledIsGivenBackAndTheOtherOneKept) {
  for (const Knob knob : kBoth) {
    Held b(knob);
    b.ours(other(knob));
    auto& policy = b.config.tasks[0].policy;
    (knob == Knob::cpu_max ? policy.cpu.enabled : policy.memory.enabled) = false;
    config_reloaded(b.state);
    const Plan plan = b.full().plan;
    const auto* back = write_to(plan, knob);
    ASSERT_NE(back, nullptr);
    EXPECT_EQ(back->reason.rule, Rule::released);
    const auto* kept = write_to(plan, other(knob));
    EXPECT_TRUE(!kept || kept->reason.rule != Rule::released);
  }
}

// Without a growing wait the kernel would refuse it ten times a second.
TEST(Releases, ARefusedOneIsTriedAgainMoreAndMoreSeldomAndNeverForgotten) {
  Held b(Knob::cpu_max);
  b.suspend();
  int tried = 0;
  for (const auto end = b.now + 5min; b.now < end;) {
    const auto* back = write_to(b.full().plan, Knob::cpu_max);
    if (!back) continue;
    ++tried;
    auto refused = Bench::failed(*back, Receipt::Result::refused, EACCES, b.now);
    refused.holds = KnobValue{cores(2)};
    b.receipts = {refused};
    b.full();
    EXPECT_FALSE(b.told(Knob::cpu_max) && !b.told(Knob::cpu_max)->entry) << "it is still to be given back";
  }
  EXPECT_GE(tried, 4);
  EXPECT_LE(tried, 15);
  EXPECT_EQ(lease_of(b.state).size(), 1U);
  const auto before_end = b.now;
  while (!write_to(b.full().plan, Knob::cpu_max) && b.now - before_end < 2min) {
  }
  ASSERT_NE(write_to(b.last.plan, Knob::cpu_max), nullptr);
  b.receipts = {Bench::written(kTask, Knob::cpu_max, cores(3), b.now)};
  b.sample().cpu_max = cores(3);
  b.full();
  ASSERT_NE(b.told(Knob::cpu_max), nullptr);
  EXPECT_FALSE(b.told(Knob::cpu_max)->entry);
}

TEST(Releases, GiveBackWhatOthersChoseBeforeAnythingWasOurs) {
  Held b;
  b.sample().cpu_max = cores(2.5);
  b.full();
  b.ours(Knob::cpu_max);
  b.full();
  b.suspend();
  const auto* back = write_to(b.full().plan, Knob::cpu_max);
  ASSERT_NE(back, nullptr);
  EXPECT_EQ(back->value, KnobValue{cores(2.5)});
}

TEST(Releases, GiveBackWhatOthersChoseWhileItWasOurs) {
  Held b(Knob::cpu_max);
  b.config.node.on_foreign_write = config::OnForeignWrite::override_it;
  b.sample().cpu_max = cores(1.7);
  b.full();
  ASSERT_TRUE(b.told(Knob::cpu_max) && b.told(Knob::cpu_max)->entry) << "ours is written again";
  EXPECT_EQ(b.told(Knob::cpu_max)->entry->baseline, KnobValue{cores(1.7)});
  b.ours(Knob::cpu_max);
  b.full();
  b.suspend();
  const auto* back = write_to(b.full().plan, Knob::cpu_max);
  ASSERT_NE(back, nullptr);
  EXPECT_EQ(back->value, KnobValue{cores(1.7)});
}

// An external writer wrote before our order landed, and only the receipt showed it. Our value stays, but the
// baseline changes, and a later process must know it.
TEST(Releases, OfAWishThatOurOrderOverwroteTheLeaseIsTold) {
  Held b;
  PinCommand pin;
  pin.task = "t1";
  pin.cpu_cores = 2;
  b.commands = {pin};
  const auto* order = write_to(b.full().plan, Knob::cpu_max);
  ASSERT_NE(order, nullptr);
  ASSERT_TRUE(b.told(Knob::cpu_max) && b.told(Knob::cpu_max)->entry);
  EXPECT_EQ(b.told(Knob::cpu_max)->entry->baseline, KnobValue{cores(3)});
  b.receipts = {Bench::written(kTask, Knob::cpu_max, order->value, b.now + 100ms)};
  b.sample().cpu_max = cores(2.5);
  b.full();
  EXPECT_EQ(b.quota(), 2);
  ASSERT_TRUE(b.told(Knob::cpu_max) && b.told(Knob::cpu_max)->entry);
  EXPECT_EQ(b.told(Knob::cpu_max)->entry->baseline, KnobValue{cores(2.5)});
}

TEST(Releases, OfATaskThatIsGoneTheLeaseKnowsNothingMore) {
  Held b(Knob::cpu_max);
  b.full();
  ASSERT_TRUE(b.told(Knob::cpu_max) && b.told(Knob::cpu_max)->entry);
  b.tasks.clear();
  b.full();
  ASSERT_NE(b.told(Knob::cpu_max), nullptr);
  EXPECT_FALSE(b.told(Knob::cpu_max)->entry);
  EXPECT_EQ(b.told(Knob::memory_high), nullptr) << "it never knew of that";
}

TEST(Releases, AKnobThatAppearsLaterIsGovernedAndTheOtherKeepsItsBaseline) {
  for (const Knob knob : kBoth) {
    Held b(other(knob));
    auto& s = b.sample();
    const auto cpu_max = std::exchange(s.cpu_max, knob == Knob::cpu_max ? std::nullopt : s.cpu_max);
    const auto high = std::exchange(s.memory_high, knob == Knob::memory_high ? std::nullopt : s.memory_high);
    (knob == Knob::cpu_max ? s.cpu_max_absent : s.memory_high_absent) = true;
    b.full();
    const auto& limit = knob == Knob::cpu_max ? b.mine().cpu.limit : b.mine().memory.limit;
    ASSERT_FALSE(limit.present());
    b.sample().cpu_max = cpu_max;
    b.sample().memory_high = high;
    b.sample().cpu_max_absent = b.sample().memory_high_absent = false;
    b.full();
    EXPECT_TRUE(limit.present());
    EXPECT_EQ(*limit.baseline(), knob == Knob::cpu_max ? KnobValue{cores(3)} : KnobValue{mib(900)});
    b.suspend();
    const auto* back = write_to(b.full().plan, other(knob));
    ASSERT_NE(back, nullptr);
    EXPECT_EQ(back->value, knob == Knob::cpu_max ? KnobValue{mib(900)} : KnobValue{cores(3)});
  }
}

}  // namespace
}  // namespace sluice::testing
