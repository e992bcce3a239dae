// Ancestors' limits are facts of a task: what a slice denies is caused neither by the task's own quota nor by
// the node.
#include <gtest/gtest.h>

#include "tests/unit/policy_inputs.hpp"

namespace sluice::testing {
namespace {

AncestorCpu slice(double cores, bool throttles) {
  return {cores, "/closed.slice", 10, throttles ? 8U : 0U};
}

TEST(Hierarchy, ATaskThatItsSliceStopsIsHeldByTheSliceAndTheNodeIsNotSaturated) {
  Bench b;
  b.config.tasks[0].policy.max_delay = 300ms;
  b.add(1, cores(0.5));
  b.full();
  for (int i = 0; i < 80; ++i) {
    const double quota = cores_of(*b.sample().cpu_max);
    b.sample().ancestor_cpu = slice(1, quota >= 1);
    b.run_cpu(1, 100ms, std::min(quota, 1.0), quota < 1, quota < 1 ? 2 : 0);
    if (quota >= 1) b.sample().cpu_pressure->some += 80ms;
    b.full();
    EXPECT_LE(b.quota(), 1) << "more could not be used";
  }
  const auto& r = b.last.report.tasks[0];
  EXPECT_EQ(r.diagnosis.cause, Cause::starved_by_ancestor);
  ASSERT_TRUE(r.ancestor_cpu);
  EXPECT_EQ(r.ancestor_cpu->path, "/closed.slice");
  EXPECT_EQ(r.cpu_max_cores, 1);
  EXPECT_FALSE(b.last.report.node.saturated);
  EXPECT_EQ(r.breaker, BreakerState::closed);
}

TEST(Hierarchy, SiblingsShareTheirSliceAndTakeNothingFromTheRestOfTheNode) {
  Bench b;
  b.config.tasks[0].policy.max_delay = 300ms;
  b.node.cpu_capacity_cores = 5.5;  // otherwise the node is full, and our quotas do not bind
  for (const std::uint64_t id : {1U, 2U, 3U}) b.add(id, cores(0.5));
  b.full();
  for (int i = 0; i < 80; ++i) {
    for (const std::uint64_t id : {1U, 2U, 3U}) {
      const double quota = cores_of(*b.sample(id).cpu_max);
      if (id != 3) b.sample(id).ancestor_cpu = slice(2, true);
      const double most = id == 3 ? 2 : 1;  // upper bound of its usage
      b.run_cpu(id, 100ms, std::min(quota, most), quota < 2, quota < 2 ? 2 : 0);
    }
    b.full();
  }
  EXPECT_GE(b.quota(3), 1.9) << "what it wants is there, beside the slice";
  EXPECT_LE(b.quota(1), 2) << "more it cannot use";
  EXPECT_LE(b.quota(2), 2);
  EXPECT_FALSE(b.last.report.node.saturated);
  EXPECT_EQ(b.task(1).breaker.state, BreakerState::closed);
}

TEST(Hierarchy, MemoryHighIsNeverAboveWhatASliceAllows) {
  Bench b;
  b.add(1, {}, mib(4000)).ancestor_memory = 1000 * Bench::kMiB;
  b.full();
  b.full();
  EXPECT_EQ(b.last.report.tasks[0].memory_max, 1000 * Bench::kMiB);
  b.full();
  EXPECT_LE(b.high(), 1000.0 * Bench::kMiB);
}

}  // namespace
}  // namespace sluice::testing
