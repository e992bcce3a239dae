// Invalid plans, checked against the node's capacity and each task's permissions.
#include "daemon/arbitrate/validate.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/tick/governed.hpp"

namespace sluice::testing {
namespace {

using Invariants = std::vector<Invariant>;

// A node of four cores. The first task holds three from us, the second one core from us, the third has no
// limit.
struct Node : Bench {
  Node() {
    node.cpu_capacity_cores = 4;
    for (const std::uint64_t id : {1, 2, 3}) add(id);
    auto_receipts = false;
    full();
    hold(state.tasks.at(CgroupId{1}).cpu, Knob::cpu_max, cores(3));
    hold(state.tasks.at(CgroupId{2}).cpu, Knob::cpu_max, cores(1));
    use(0.1, 0.9, 0);
  }
  void use(double first, double second, double third) {
    for (const auto& [id, used] : {std::pair{1, first}, {2, second}, {3, third}})
      state.tasks.at(CgroupId{static_cast<std::uint64_t>(id)}).use = {.at = now, .mean_cores = used};
  }
  Invariants judge(std::vector<Write> writes) const {
    Invariants out;
    for (const auto& v : validate_plan({std::move(writes), false}, {&state, &config, node, now}))
      out.push_back(v.invariant);
    return out;
  }
};

Write cpu(std::uint64_t id, const CpuMax& value, Rule rule = Rule::cpu_throttled) {
  return {CgroupId{id}, Knob::cpu_max, value, {.rule = rule}, {}};
}
Write memory(std::uint64_t id, const MemoryLimit& value, Rule rule) {
  return {CgroupId{id}, Knob::memory_high, value, {.rule = rule}, {}};
}

TEST(ValidatePlan, NamesWhatIsWrong) {
  Bench b = governed();
  const PlanContext c{&b.state, &b.config, b.node, b.now};
  auto violations = [&](std::vector<Write> writes) {
    std::vector<Invariant> out;
    for (const auto& v : validate_plan({std::move(writes), false}, c)) out.push_back(v.invariant);
    return out;
  };
  const Reason why{.rule = Rule::cpu_surplus};
  EXPECT_EQ(violations({{CgroupId{9}, Knob::cpu_max, cores(1), why, {}}}),
            std::vector{Invariant::unknown_task});
  EXPECT_EQ(violations({{CgroupId{1}, Knob::cpu_max, cores(7), why, {}}}),
            std::vector{Invariant::out_of_bounds});
  EXPECT_EQ(violations({{CgroupId{1}, Knob::cpu_max, mib(1), why, {}}}), std::vector{Invariant::knob_absent});
  const auto low = violations({{CgroupId{1}, Knob::memory_high, mib(20), why, {}}});
  EXPECT_NE(std::find(low.begin(), low.end(), Invariant::below_floor), low.end());
  const Write good{CgroupId{1}, Knob::cpu_max, cores(1), why, {}};
  EXPECT_TRUE(violations({good}).empty());
  EXPECT_EQ(violations({good, good}), std::vector{Invariant::duplicate});
}

TEST(ValidatePlan, QuotasOfOursAreWithinTheNode) {
  const Node b;
  EXPECT_EQ(b.judge({cpu(2, cores(2))}), Invariants{Invariant::over_capacity})
      << "three are promised already";
  EXPECT_EQ(b.judge({cpu(1, cores(2)), cpu(2, cores(2))}), Invariants{});
}

TEST(ValidatePlan, ACutThatItsTaskDoesNotFeelTakesNoUse) {
  Node b;
  b.use(0.1, 0.9, 1.9);
  EXPECT_EQ(b.judge({cpu(1, cores(2)), cpu(2, cores(2))}), Invariants{});
}

TEST(ValidatePlan, AReleaseStillUsesWhatItUsed) {
  Node b;
  b.use(2, 0.9, 0);
  EXPECT_EQ(b.judge({cpu(1, {}, Rule::released), cpu(2, cores(3))}), Invariants{Invariant::over_capacity});
}

TEST(ValidatePlan, ANodeThatWasOverdrawnMayBeLessSo) {
  Node b;
  b.use(2.5, 0.9, 1.5);
  EXPECT_EQ(b.judge({cpu(1, cores(1.9)), cpu(2, cores(1.2))}), Invariants{});
  EXPECT_EQ(b.judge({cpu(2, cores(1.2))}).size(), 1U);
}

TEST(ValidatePlan, AMinimumIsGuaranteedWhateverOthersUse) {
  Node b;
  b.config.tasks[0].policy.cpu.min_cores = 1.2;
  b.use(2.5, 0.9, 4);
  EXPECT_EQ(b.judge({cpu(2, cores(1.2))}), Invariants{});
}

TEST(ValidatePlan, MinimaThatTheNodeDoesNotHaveHoldNobody) {
  Node b;
  b.config.tasks[0].policy.cpu.min_cores = 1.3;
  EXPECT_EQ(b.judge({cpu(1, cores(1.2), Rule::capacity)}), Invariants{Invariant::out_of_bounds});
  b.config.tasks[0].policy.cpu.min_cores = 1.5;
  EXPECT_EQ(b.judge({cpu(1, cores(1.2), Rule::capacity)}), Invariants{});
}

TEST(ValidatePlan, ABurstIsNoMoreThanItsQuota) {
  const Node b;
  CpuMax value = cores(2);
  value.burst = *value.quota;
  EXPECT_EQ(b.judge({cpu(1, value)}), Invariants{});
  *value.burst += Usec{1};
  EXPECT_EQ(b.judge({cpu(1, value)}), Invariants{Invariant::out_of_bounds});
}

TEST(ValidatePlan, TheReserveIsNobodys) {
  Node b;
  b.config.node.cpu_reserve_cores = 1;
  b.hold(b.state.tasks.at(CgroupId{1}).cpu, Knob::cpu_max, cores(1.5));
  EXPECT_EQ(b.judge({cpu(2, cores(1.4))}), Invariants{});
  EXPECT_EQ(b.judge({cpu(2, cores(2))}), Invariants{Invariant::over_capacity});
}

TEST(ValidatePlan, ATaskThatIsNotGovernedIsOnlyGivenBack) {
  Node b;
  auto& task = b.state.tasks.at(CgroupId{1});
  const auto only_given_back = [&] {
    return b.judge({cpu(1, cores(2))}) == Invariants{Invariant::not_permitted} &&
           b.judge({cpu(1, {}, Rule::released)}).empty();
  };
  b.state.holds.node.emplace();
  EXPECT_TRUE(only_given_back()) << "suspended";
  b.state.holds.node.reset();
  task.yield_until = b.now + 1s;
  EXPECT_TRUE(only_given_back()) << "yielding";
  task.yield_until = b.now;
  EXPECT_EQ(b.judge({cpu(1, cores(2))}), Invariants{}) << "the time is over";
  task.breaker.state = BreakerState::open;
  EXPECT_TRUE(only_given_back()) << "left alone";
}

TEST(ValidatePlan, TheBudgetHoldsForAllButAPin) {
  Node b;
  b.config.tasks[0].policy.cpu.writes_per_minute = 1;
  b.state.tasks.at(CgroupId{1}).cpu.writes.push_back(b.now - 1s);
  EXPECT_EQ(b.judge({cpu(1, cores(2))}), Invariants{Invariant::over_budget});
  EXPECT_EQ(b.judge({cpu(1, cores(2), Rule::pinned)}), Invariants{});
}

TEST(ValidatePlan, NoCutGoesBelowWhatReclaimCannotFreeAndEveryRaiseMay) {
  Node b;
  const auto pin_to_40 = [&](std::uint64_t from) {
    b.hold(b.state.tasks.at(CgroupId{1}).memory, Knob::memory_high, mib(from));
    return b.judge({memory(1, mib(40), Rule::pinned)});
  };
  EXPECT_EQ(pin_to_40(100), Invariants{Invariant::below_floor});
  EXPECT_EQ(pin_to_40(20), Invariants{});
}

// A release may be refused: its limit counts as it does for arbitration, which had to cut for it.
TEST(ValidatePlan, ACutBeyondItsRateIsRightBesideALimitThatIsBeingReleased) {
  Node n;
  n.config.node.cpu_reserve_cores = 0;
  n.config.tasks[0].policy.cpu.scaling.down.policies = {{config::ChangeType::absolute, 0.1, 15s}};
  auto& leaves = n.state.tasks.at(CgroupId{3});
  n.hold(leaves.cpu, Knob::cpu_max, cores(2));
  leaves.use = {};
  auto cut = cpu(1, cores(2), Rule::capacity);
  cut.reason.clamped_capacity = true;
  EXPECT_EQ(n.judge({cut, cpu(3, *std::get_if<CpuMax>(&*leaves.cpu.limit.baseline()), Rule::released)}),
            Invariants{});
}

// The node is no longer full: what it raised by weight is a grant again, whatever is used of it.
TEST(ValidatePlan, ACutBeyondItsRateIsRightBesideAQuotaThatAFullNodeRaised) {
  Node n;
  n.config.node.cpu_reserve_cores = 0;
  n.config.tasks[0].policy.cpu.scaling.down.policies = {{config::ChangeType::absolute, 0.1, 15s}};
  n.hold(n.state.tasks.at(CgroupId{3}).cpu, Knob::cpu_max, cores(2), {.rule = Rule::by_weight});
  auto cut = cpu(1, cores(2), Rule::capacity);
  cut.reason.clamped_capacity = true;
  EXPECT_EQ(n.judge({cut}), Invariants{});
}

}  // namespace
}  // namespace sluice::testing
