// cpu.weight, the third knob: when it is written and restored, and that quotas wait for it.
#include <gtest/gtest.h>

#include "tests/unit/policy_inputs.hpp"

namespace sluice::testing {
namespace {

// Two tasks that want all of a node of four cores; the second has the higher priority.
config::Config two_classes() {
  auto config = one_task_config();
  config.node.cpu_reserve_cores = 0;
  config.tasks[0].policy.max_delay = 300ms;
  config.tasks[0].policy.cpu.min_cores = 0.1;
  config.tasks.push_back(config.tasks[0]);
  config.tasks[1].policy.priority = 10;
  return config;
}
struct Pair {
  Bench b{two_classes()};
  explicit Pair(std::optional<std::uint32_t> weight = 100) {
    b.node.cpu_capacity_cores = 4;
    b.add(1, cores(1), {}, 0);
    b.add(2, cores(1), {}, 1);
    if (weight) b.sample(1).cpu_weight = CpuWeight{*weight};
    if (weight) b.sample(2).cpu_weight = CpuWeight{100};
    b.full();
  }
  void contend(int ticks) {
    for (int i = 0; i < ticks; ++i) {
      const double all = b.quota(1) + b.quota(2);
      for (const std::uint64_t id : {1U, 2U}) {
        const double gets = std::min(b.quota(id), 4 * b.quota(id) / std::max(4.0, all));
        b.run_cpu(id, 100ms, gets, b.quota(id) < 4, 3);
      }
      b.full();
    }
  }
  [[nodiscard]] std::uint32_t weight(std::uint64_t id) { return b.sample(id).cpu_weight->weight; }
};

TEST(Weight, IsLeftAloneOnANodeThatHasEnough) {
  Pair p;
  for (int i = 0; i < 20; ++i) {
    for (const std::uint64_t id : {1U, 2U}) p.b.run_cpu(id, 100ms, 0.5, false, 0);
    p.b.full();
  }
  EXPECT_EQ(p.weight(1), 100U);
  EXPECT_EQ(p.weight(2), 100U);
}

TEST(Weight, OfALowerPriorityIsLoweredWhenTheNodeIsFullAndThenNoQuotaHoldsAnybodyUp) {
  Pair p(200);
  p.contend(30);
  EXPECT_LT(p.weight(1), 40U) << "of its own baseline";
  EXPECT_GE(p.weight(1), 20U) << "with its minimum";
  EXPECT_EQ(p.weight(2), 100U);
  EXPECT_TRUE(p.b.state.cpu_full);
  EXPECT_DOUBLE_EQ(p.b.quota(1), 4);
  EXPECT_DOUBLE_EQ(p.b.quota(2), 4);
  EXPECT_EQ(p.b.task(1).weight.limit.reason().rule, Rule::weight);
  EXPECT_EQ(p.b.task(1).weight.writes.size(), 1U) << "and once is enough";
}

TEST(Weight, ThatCannotBeWrittenLeavesTheNodeToQuotas) {
  Pair p(std::nullopt);
  p.contend(30);
  EXPECT_FALSE(p.b.state.cpu_full);
  EXPECT_LE(p.b.quota(1) + p.b.quota(2), 4.01);
}

TEST(Weight, GoesBackToItsBaselineWithTheQuota) {
  for (const bool whole_node : {false, true}) {
    Pair p(150);
    p.contend(30);
    ASSERT_LT(p.weight(1), 150U);
    ASSERT_FALSE(lease_of(p.b.state).empty());
    p.b.commands.emplace_back(whole_node ? SuspendCommand{"", "hands off"}
                                         : SuspendCommand{"t1", "hands off"});
    p.contend(3);
    EXPECT_EQ(p.weight(1), 150U);
    for (const auto& entry : lease_of(p.b.state)) EXPECT_NE(entry.id, CgroupId{1});
  }
}

TEST(Weight, OfAnotherWriterIsItsWish) {
  Pair p;
  p.contend(30);
  p.b.sample(1).cpu_weight = CpuWeight{500};
  p.contend(2);
  EXPECT_EQ(p.weight(1), 500U);
  EXPECT_EQ(std::get<CpuWeight>(*p.b.task(1).weight.limit.baseline()).weight, 500U);
  EXPECT_LE(p.b.quota(1), 1.01) << "it yields with the whole task";
}

TEST(Weight, IsPretendedInADryRun) {
  Pair p;
  p.b.config.node.mode = config::Mode::dry_run;
  p.contend(30);
  EXPECT_EQ(p.weight(1), 100U) << "the kernel's";
  EXPECT_TRUE(p.b.task(1).weight.limit.pretends());
}

TEST(Weight, FollowsTheConfiguration) {
  Pair p;
  p.contend(30);
  ASSERT_LT(p.weight(1), 40U);
  p.b.config.tasks[0].policy.priority = 10;
  config_reloaded(p.b.state);
  p.contend(3);
  EXPECT_EQ(p.weight(1), 100U) << "they are equals now";
  EXPECT_FALSE(p.b.task(1).weight.limit.touched()) << "and nothing is left to give back";
}

TEST(Weight, IsNeverWrittenAndGoesBackWhereQuotasShare) {
  Pair p;
  p.b.config.node.share_by = config::ShareBy::quota;
  p.contend(30);
  EXPECT_EQ(p.b.task(1).weight.writes.size(), 0U);
  EXPECT_LE(p.b.quota(1) + p.b.quota(2), 4.01) << "quotas share";

  p.b.config.node.share_by = config::ShareBy::weight;
  config_reloaded(p.b.state);
  p.contend(30);
  ASSERT_LT(p.weight(1), 100U);

  p.b.config.node.share_by = config::ShareBy::quota;
  config_reloaded(p.b.state);
  p.contend(30);
  EXPECT_EQ(p.weight(1), 100U) << "the baseline";
  EXPECT_FALSE(p.b.task(1).weight.limit.touched());
  EXPECT_LE(p.b.quota(1) + p.b.quota(2), 4.01) << "and quotas share again";
}

}  // namespace
}  // namespace sluice::testing
