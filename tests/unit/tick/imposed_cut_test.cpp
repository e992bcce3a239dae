// Cuts by bounds, node capacity or a pin are no errors of ours: they widen no margin and open no breaker.
#include <gtest/gtest.h>

#include "tests/unit/policy_inputs.hpp"

namespace sluice::testing {
namespace {

// Settled at about one core. Then it is cut from outside and throttled from there on.
Bench settled() {
  Bench b;
  b.config.tasks[0].policy.max_delay = 300ms;
  b.add(1, cores(3));
  for (int i = 0; i < 60; ++i) {
    b.run_cpu(1, 100ms, 0.9, false);
    b.full();
  }
  EXPECT_LT(b.quota(), 1.5);
  return b;
}
void starve(Bench& b, Nsec length) {
  for (Nsec t{}; t < length; t += 100ms) {
    b.run_cpu(1, 100ms, b.quota(), true, 1);
    b.full();
  }
}

TEST(ImposedCut, ABoundThatIsLoweredAndRaisedAgainWidensNoMargin) {
  Bench b = settled();
  const double margin = b.task().cpu_control.margin;
  b.commands = {SetBoundsCommand{"t1", std::nullopt, b.quota() * 0.9, std::nullopt, std::nullopt}};
  starve(b, 200ms);
  ASSERT_EQ(b.task().cpu.limit.reason().rule, Rule::bound);
  b.commands = {SetBoundsCommand{"t1", std::nullopt, 4, std::nullopt, std::nullopt}};
  starve(b, 2s);
  EXPECT_GT(b.quota(), 1);
  EXPECT_LE(b.task().cpu_control.margin, margin);
  EXPECT_TRUE(b.task().harm.undos.empty());
}

TEST(ImposedCut, ACutOfOursThatProvesWrongStillDoes) {
  Bench b = settled();
  CpuState& s = b.state.tasks.at(CgroupId{1}).cpu_control;
  CpuInput in;
  in.now = b.now;
  for (const Rule rule : {Rule::capacity, Rule::bound, Rule::schedule, Rule::pinned, Rule::reasserted}) {
    cpu_written(in, 1, 0.9, rule, s);
    EXPECT_FALSE(s.before_cut_cores) << to_string(rule);
  }
  cpu_written(in, 1, 0.9, Rule::cpu_surplus, s);
  EXPECT_EQ(s.before_cut_cores, 1);
}

TEST(ImposedCut, LateUnderACutOfTheNodeOpensNoBreaker) {
  for (const bool ours : {false, true}) {
    Bench b;
    b.add(1, cores(3));
    b.full();
    auto& cpu = b.state.tasks.at(CgroupId{1}).cpu;
    const Reason why{.rule = ours ? Rule::cpu_surplus : Rule::capacity, .clamped_capacity = !ours};
    b.hold(cpu, Knob::cpu_max, b.sample().cpu_max.emplace(cores(0.5)), why);
    for (int i = 0; i < 130; ++i) {
      auto& writes = b.state.tasks.at(CgroupId{1}).cpu.writes;
      for (writes.clear(); writes.size() < 60;) writes.push_back(b.now);
      b.run_cpu(1, 100ms, 0.5, true, 2);
      b.full();
    }
    EXPECT_EQ(b.task().breaker.state == BreakerState::open, ours);
  }
}

TEST(ImposedCut, MemoryThatABoundTookTeachesNothing) {
  Bench b;
  b.add(1, {}, mib(400));
  b.full();
  MemoryState& s = b.state.tasks.at(CgroupId{1}).memory_control;
  MemoryInput in;
  in.now = b.now;
  in.sample = &b.sample();
  for (const bool probe : {false, true}) {
    s = {};
    const double step = s.step;
    memory_written(in, 400.0 * Bench::kMiB, 200.0 * Bench::kMiB, probe ? Rule::memory_probe : Rule::bound, s);
    EXPECT_EQ(s.probe_took_bytes > 0, probe);
    EXPECT_EQ(s.cut_by_others, !probe);
    memory_written(in, 200.0 * Bench::kMiB, 300.0 * Bench::kMiB, Rule::memory_refault, s);
    EXPECT_EQ(s.step < step, probe) << "the next probes are as bold as before";
    EXPECT_FALSE(s.cut_by_others);
  }
}

}  // namespace
}  // namespace sluice::testing
