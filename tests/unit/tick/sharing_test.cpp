// The node in the whole tick: bounds hold from the start, shares follow usage, and minima that exceed the
// node are shared.
#include <gtest/gtest.h>

#include <algorithm>

#include "daemon/arbitrate/validate.hpp"
#include "tests/unit/tick/governed.hpp"

namespace sluice::testing {
namespace {

config::Config two_rules(double first_max, double second_max) {
  auto c = one_task_config();
  c.tasks.push_back(c.tasks[0]);
  c.tasks[0].policy.cpu.max_cores = first_max;
  c.tasks[1].policy.cpu.max_cores = second_max;
  return c;
}

// Each task uses this much, up to its quota. A task that wants more than its quota is throttled.
struct Load {
  std::uint64_t id;
  double wants;
};
void run(Bench& b, Nsec length, const std::vector<Load>& loads, Nsec dt = 100ms) {
  for (Nsec t{}; t < length; t += dt) {
    for (const auto& l : loads) {
      const double quota = cores_of(*b.sample(l.id).cpu_max);
      b.run_cpu(l.id, dt, std::min(l.wants, quota), l.wants > quota, std::max(0.0, l.wants - quota));
    }
    EXPECT_FALSE(noticed(b.full(dt), Notice::Kind::plan_violation));
  }
}

TEST(Bounds, AMaximumLimitsWithinTwoSecondsWhoeverHadNoLimit) {
  for (const double wants : {0.0, 0.1, 2.0}) {
    for (const Nsec tick : {Nsec{100ms}, Nsec{1s}, Nsec{5s}}) {
      Bench b;
      b.config.node.tick = std::chrono::duration_cast<config::Duration>(tick);
      b.config.tasks[0].policy.cpu.max_cores = 0.5;
      b.add(1);
      b.full();
      run(b, tick < 1s ? Nsec{1800ms} : tick == 1s ? Nsec{1s} : Nsec{0}, {{1, wants}}, tick);
      const Write* w = write_to(b.last.plan, Knob::cpu_max);
      EXPECT_LE(w ? number_of(w->value) : b.quota(), 0.5) << wants << " cores, tick " << tick.count();
    }
  }
}

TEST(Bounds, TheFirstValueOfAHogIsItsMaximum) {
  Bench b;
  b.config.tasks[0].policy.cpu.max_cores = 0.5;
  b.add(1);
  b.full();
  run(b, 300ms, {{1, 2}});
  EXPECT_DOUBLE_EQ(b.quota(), 0.5);
  EXPECT_EQ(b.task().cpu.limit.reason().rule, Rule::bound);
}

TEST(Bounds, TheNodesSizeForcesNoLimit) {
  Bench b;
  b.config.tasks[0].policy.cpu.max_cores.reset();
  b.add(1);
  run(b, 1500ms, {{1, 7.5}});
  EXPECT_TRUE(std::isinf(b.quota()));
}

TEST(Bounds, AMaximumOfMemoryToo) {
  Bench b;
  b.config.tasks[0].policy.memory.max_bytes = 300 * Bench::kMiB;
  b.add(1);
  b.full();
  run(b, 300ms, {});
  EXPECT_EQ(b.high(), 300.0 * Bench::kMiB);
}

TEST(Bounds, AMaximumOfMemoryWaitsUntilItIsKnownWhatReclaimCannotFree) {
  Bench b;
  b.config.tasks[0].policy.memory.max_bytes = 300 * Bench::kMiB;
  b.add(1).memory_stat.reset();
  b.full();
  run(b, 5s, {});
  EXPECT_TRUE(std::isinf(b.high()));
}

TEST(Bounds, AHogIsHeldToItsMaximumAndItsNeighbourKeepsWhatItNeeds) {
  auto config = two_rules(1, 2);
  config.tasks[0].policy.priority = -10;
  config.tasks[1].policy.priority = 100;
  Bench b(config);
  b.node.cpu_capacity_cores = 4;
  b.add(1, {}, {}, 0);
  b.add(2, {}, {}, 1);
  b.full();
  run(b, 5s, {{1, 4}, {2, 0.8}});
  EXPECT_LE(b.quota(1), 1);
  EXPECT_GE(b.quota(2), 0.8);
}

TEST(Sharing, ASuspendedTaskCountsByWhatItUses) {
  Bench b(two_rules(4, 2));
  b.node.cpu_capacity_cores = 2;
  b.add(1, cores(4), {}, 0);
  b.add(2, cores(1.5), {}, 1);
  b.full();
  run(b, 3s, {{1, 0}, {2, 1.2}});
  b.commands.push_back(SuspendCommand{"t1", "hands off"});
  run(b, 5s, {{1, 0}, {2, 1.2}});
  EXPECT_DOUBLE_EQ(b.quota(1), 4) << "its own limit";
  EXPECT_GE(b.quota(2), 1.2);
  EXPECT_FALSE(b.last.report.node.saturated);
  EXPECT_LE(b.last.report.node.cpu_allocated_cores, 2.01);
  run(b, 5s, {{1, 2}, {2, 1.2}});
  EXPECT_GE(b.quota(2), 1.2)
      << "when it works the kernel shares, and no quota of ours does its neighbour harm";
}

TEST(Sharing, TheFirstLookCutsNobody) {
  Bench b(two_rules(2, 2));
  b.node.cpu_capacity_cores = 2;
  b.add(1, cores(1.5), {}, 0);
  b.add(2, cores(1.5), {}, 1);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(write_to(b.full(1s).plan, Knob::cpu_max, 1), nullptr) << i;
    EXPECT_FALSE(b.last.report.node.saturated);
    for (auto& [id, task] : b.tasks) task.sample->cpu.reset();  // no usage data exists
  }
}

TEST(Sharing, ATaskThatIsNotSeenAnyMoreIsNotCut) {
  Bench b(two_rules(4, 4));
  b.node.cpu_capacity_cores = 4;
  b.add(1, cores(2), {}, 0);
  b.add(2, cores(0.5), {}, 1);
  b.full();
  run(b, 1s, {{1, 1.9}, {2, 0.4}});
  const double before = b.quota(1);
  for (int i = 0; i < 40; ++i) {  // one without usage data, the other starved
    b.tasks.at(CgroupId{1}).sample.reset();
    b.run_cpu(2, 100ms, std::min(4.0, b.quota(2)), true, 3);
    b.full();
    EXPECT_TRUE(i <= 20 || !write_to(b.last.plan, Knob::cpu_max, 1)) << i;
  }
  EXPECT_GE(b.quota(1), std::min(before, 1.9));
}

TEST(Sharing, AnIdleTaskWithALargeLimitStarvesNoNeighbour) {
  Bench b(two_rules(8, 8));
  b.add(1, cores(8), {}, 0);
  b.add(2, cores(1), {}, 1);
  b.config.tasks[0].policy.cpu.writes_per_minute = 1;  // few writes: it is left alone for long
  b.full();
  run(b, 2s, {{1, 0.1}, {2, 5}});
  run(b, 3s, {{1, 0.1}, {2, 5}});
  EXPECT_GE(b.quota(2), 5);
  EXPECT_FALSE(b.last.report.node.saturated);
}

// Where cpu.weight cannot express priorities, quotas share the node.
TEST(Sharing, QuotasThatShareStayWithinTheNode) {
  auto config = two_rules(8, 8);
  config.tasks[1].policy.priority = 1;
  Bench b(config);
  b.add(1, cores(1), {}, 0);
  b.add(2, cores(1), {}, 1);
  b.full();
  for (int round = 0; round < 4; ++round) {  // alternating, each uses the whole node
    run(b, 6s, {{1, round % 2 == 0 ? 7.0 : 0.1}, {2, round % 2 == 0 ? 0.1 : 7.0}});
    EXPECT_LE(b.quota(1) + b.quota(2), 8.01);
    EXPECT_GE(b.quota(round % 2 == 0 ? 1 : 2), 6.5) << round;
    EXPECT_FALSE(b.state.cpu_full);
  }
}

TEST(Sharing, OfAFullNodeTheKernelGivesEqualTasksTheirShares) {
  Bench b(two_rules(6, 6));
  b.add(1, cores(1), {}, 0);
  b.add(2, cores(1), {}, 1);
  b.full();
  run(b, 5s, {{1, 6}, {2, 6}});
  EXPECT_TRUE(b.state.cpu_full);
  EXPECT_DOUBLE_EQ(b.quota(1), 6);
  EXPECT_DOUBLE_EQ(b.quota(2), 6);
  EXPECT_EQ(b.state.tasks.at(CgroupId{1}).cpu.limit.reason().rule, Rule::by_weight);
  run(b, 20s, {{1, 1}, {2, 2}});
  EXPECT_FALSE(b.state.cpu_full);
  EXPECT_LT(b.quota(1) + b.quota(2), 8) << "there is room again, and quotas share it";
}

TEST(Minima, BeyondTheNodeTheyAreSharedAndWhatIsMissingIsReported) {
  Bench b;
  b.config.tasks[0].policy.cpu.min_cores = 1;
  b.config.tasks[0].policy.cpu.initial_cores = 1;
  b.config.node.cpu_reserve_cores = 0.5;
  b.node.cpu_capacity_cores = 2;
  for (const std::uint64_t id : {1U, 2U, 3U}) b.add(id);
  bool reported = false;
  for (int i = 0; i < 30; ++i) {
    run(b, 100ms, {{1, 1.04}, {2, 1.04}, {3, 1.04}});
    reported |= noticed(b.last, Notice::Kind::minima_exceed_capacity);
  }
  EXPECT_LE(b.quota(1) + b.quota(2) + b.quota(3), 1.51);
  for (const std::uint64_t id : {1U, 2U, 3U}) EXPECT_NEAR(b.quota(id), 0.5, 0.01);
  EXPECT_TRUE(reported);
  EXPECT_TRUE(b.last.report.node.saturated);
  EXPECT_GE(b.last.report.node.cpu_missing_cores, 1.49);
}

TEST(Minima, TheMostThatWasMissingIsToldUntilNothingIs) {
  Bench b;
  b.node.cpu_capacity_cores = 1;
  b.add(1);
  b.add(2);
  const auto missing_with = [&](double min_cores, Nsec later) {
    b.config.tasks[0].policy.cpu.min_cores = min_cores;
    return b.full(later).report.node.cpu_missing_cores;
  };
  EXPECT_EQ(missing_with(0.502, 1s), 0) << "rounding is no lack";
  EXPECT_NEAR(missing_with(0.9, 1s), 0.8, 1e-9);
  EXPECT_NEAR(missing_with(0.7, 1s), 0.8, 1e-9);
  EXPECT_NEAR(missing_with(0.3, 1s), 0.8, 1e-9) << "a moment is not its end";
  EXPECT_TRUE(b.last.report.node.saturated);
  EXPECT_EQ(missing_with(0.3, 5s), 0);
  EXPECT_FALSE(b.last.report.node.saturated);
  EXPECT_TRUE(noticed(b.last, Notice::Kind::unsaturated));
  EXPECT_NEAR(missing_with(0.7, 1s), 0.4, 1e-9) << "what is over is not told again";
}

TEST(Minima, AfterCpusWentOfflineTheyAreSharedAndComeBack) {
  auto config = two_rules(4, 4);
  for (auto& rule : config.tasks) rule.policy.cpu.min_cores = 2;
  Bench b(config);
  b.node.cpu_capacity_cores = 4;
  b.add(1, cores(2), {}, 0);
  b.add(2, cores(2), {}, 1);
  b.full();
  run(b, 2s, {{1, 1.9}, {2, 1.9}});
  b.node.cpu_capacity_cores = 2;
  run(b, 2s, {{1, 1.9}, {2, 1.9}});
  EXPECT_NEAR(b.quota(1) + b.quota(2), 2, 0.01);
  EXPECT_GE(b.last.report.node.cpu_missing_cores, 1.9);
  const auto writes = b.task(1).cpu.writes.size();
  run(b, 5s, {{1, 1.9}, {2, 1.9}});
  EXPECT_LE(b.task(1).cpu.writes.size(), writes + 1) << "a share that stays is not written again";
  b.node.cpu_capacity_cores = 4;
  run(b, 8s, {{1, 1.9}, {2, 1.9}});
  EXPECT_GE(b.quota(1), 2);
  EXPECT_GE(b.quota(2), 2);
  EXPECT_FALSE(b.last.report.node.saturated);
}

TEST(ValidatePlan, JudgesWhatIsGrantedWithWhatOthersUse) {
  Bench b(two_rules(4, 4));
  b.node.cpu_capacity_cores = 4;
  b.add(1, cores(4), {}, 0);
  b.add(2, cores(1), {}, 1);
  b.full();
  const auto raise_of_2 = [&](double to) {
    const PlanContext c{&b.state, &b.config, b.node, b.now};
    return validate_plan(
        {{{CgroupId{2}, Knob::cpu_max, cores(to), {.rule = Rule::cpu_throttled}, {}}}, false}, c);
  };
  run(b, 300ms, {{1, 0.1}, {2, 0.9}});
  EXPECT_TRUE(raise_of_2(3.5).empty()) << "the other's four cores are not in use";
  run(b, 300ms, {{1, 1.9}, {2, 0.9}});
  ASSERT_EQ(raise_of_2(3.5).size(), 1U);
  EXPECT_EQ(raise_of_2(3.5)[0].invariant, Invariant::over_capacity);
}

}  // namespace
}  // namespace sluice::testing
