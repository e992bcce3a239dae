// Readings and receipts while an order is in flight: only its own receipt ends it.
#include <gtest/gtest.h>

#include "daemon/limits/managed_limit.hpp"

namespace sluice::testing {
namespace {

using namespace std::chrono_literals;
using Event = ManagedLimit::Event;
using File = KnobReading::File;

MemoryLimit mib(Bytes n) {
  return {n << 20};
}

// Baseline 900 MiB; an order for 500 MiB is in flight.
struct Ordered {
  MonotonicTime now{1000s};
  ManagedLimit limit;

  Ordered() {
    read(mib(900));
    limit.send(mib(500), {.rule = Rule::memory_probe}, now += 1ms);
  }
  ManagedLimit::Change read(const KnobValue& value, File file = File::present) {
    return limit.observe({file, value, now += 1ms});
  }
  ManagedLimit::Change answer(const KnobValue& asked, Receipt::Result result,
                              std::optional<KnobValue> holds) {
    Receipt r;
    r.knob = Knob::memory_high;
    r.asked = asked;
    r.result = result;
    r.holds = std::move(holds);
    r.finished_at = now += 1ms;
    return limit.answer(r);
  }
};

TEST(UnderOrder, AFileThatIsGoneIsNewsOnlyWithTheAnswer) {
  Ordered b;
  EXPECT_EQ(b.read({}, File::absent).event, Event::none);
  EXPECT_TRUE(b.limit.in_flight());
  EXPECT_TRUE(b.limit.touched()) << "it may have landed before";
  b.read(mib(950));  // the file exists again
  EXPECT_FALSE(b.limit.may_send()) << "two at once could land in any order";
  EXPECT_EQ(b.answer(mib(500), Receipt::Result::vanished, {}).event, Event::vanished);
  EXPECT_FALSE(b.limit.touched());
}

TEST(UnderOrder, AnAnswerToAnotherOneIsNone) {
  Ordered b;
  EXPECT_EQ(b.answer(mib(600), Receipt::Result::written, mib(600)).event, Event::unexpected);
  EXPECT_TRUE(b.limit.in_flight());
  EXPECT_EQ(b.answer(mib(500), Receipt::Result::written, mib(500)).event, Event::confirmed);
  EXPECT_EQ(b.limit.value(), KnobValue{mib(500)});
  EXPECT_EQ(b.answer(mib(500), Receipt::Result::written, mib(500)).event, Event::unexpected) << "once";
}

TEST(UnderOrder, AWishThatItOverwroteIsWhatIsGivenBack) {
  Ordered b;
  EXPECT_EQ(b.read(mib(700)).event, Event::external);
  EXPECT_EQ(b.limit.baseline(), KnobValue{mib(700)});
  EXPECT_EQ(b.answer(mib(500), Receipt::Result::written, mib(500)).event, Event::confirmed);
  EXPECT_EQ(b.limit.baseline(), KnobValue{mib(700)});
  EXPECT_TRUE(b.limit.touched());
}

TEST(UnderOrder, AWishStandsWhateverComesOfTheOrder) {
  for (const auto result : {Receipt::Result::not_tried, Receipt::Result::refused}) {
    Ordered b;
    b.read(mib(700));
    b.answer(mib(500), result,
             result == Receipt::Result::refused ? std::optional<KnobValue>(mib(700)) : std::nullopt);
    EXPECT_FALSE(b.limit.touched());
    EXPECT_EQ(b.limit.value(), KnobValue{mib(700)});
    EXPECT_EQ(b.limit.origin(), Origin::external);
    b.limit.send(mib(600), {.rule = Rule::memory_probe}, b.now += 1ms);
    b.answer(mib(600), Receipt::Result::written, mib(600));
    EXPECT_EQ(b.limit.baseline(), KnobValue{mib(700)});
  }
}

TEST(UnderOrder, AWishStandsWhenTheAnswerCouldNotBeReadBack) {
  Ordered b;
  b.read(mib(700));
  EXPECT_EQ(b.answer(mib(500), Receipt::Result::refused, {}).event, Event::undecided);
  b.read(mib(500));
  EXPECT_EQ(b.limit.baseline(), KnobValue{mib(700)});
  EXPECT_EQ(b.limit.ours(), std::vector<KnobValue>{mib(500)});
}

TEST(UnderOrder, ABaselineThatWasGivenBackTooLateIsAValueOfOurs) {
  for (const bool readable : {true, false}) {
    Ordered b;
    b.answer(mib(500), Receipt::Result::written, mib(500));
    b.limit.send(mib(900), {.rule = Rule::released}, b.now += 1ms);
    b.read(mib(700));
    b.answer(mib(900), readable ? Receipt::Result::written : Receipt::Result::refused,
             readable ? std::optional<KnobValue>(mib(900)) : std::nullopt);
    b.read(mib(900));
    EXPECT_EQ(b.limit.baseline(), KnobValue{mib(700)}) << readable;
    EXPECT_TRUE(b.limit.touched()) << "and so it is given back once more";
    EXPECT_TRUE(b.limit.release_due(b.now + std::chrono::minutes(2)));
    EXPECT_EQ(b.limit.reason().rule, Rule::none);
  }
}

// The receipt shows an external quota, and the burst of the order beside it. A reading from before shows an
// older external quota, and comes late.
TEST(UnderOrder, AnOlderWishThatIsReadLateIsNotTheLastOne) {
  const auto cpu = [](Usec quota, Usec burst) { return CpuMax{quota, 100ms, burst}; };
  MonotonicTime now{1000s};
  ManagedLimit limit;
  limit.observe({File::present, cpu(300ms, 30ms), now += 1ms});
  limit.send(cpu(400ms, 40ms), {.rule = Rule::cpu_surplus}, now += 1ms);
  const KnobReading late{File::present, cpu(700ms, 70ms), now += 1ms};
  Receipt r;
  r.knob = Knob::cpu_max;
  r.asked = cpu(400ms, 40ms);
  r.result = Receipt::Result::differs;
  r.holds = cpu(900ms, 40ms);
  r.finished_at = now += 1ms;
  EXPECT_EQ(limit.answer(r).event, Event::external);
  EXPECT_EQ(limit.observe(late).event, Event::none);
  EXPECT_EQ(limit.baseline(), KnobValue(cpu(900ms, 30ms)));
}

}  // namespace
}  // namespace sluice::testing
