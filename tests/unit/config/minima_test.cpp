#include <gtest/gtest.h>

#include "tests/unit/config/parse.hpp"

namespace sluice::config::test {
namespace {

constexpr std::uint64_t kGiB = 1ULL << 30;

Config two_tasks(const std::string& second) {
  return parse_text(
             "node.cpu_reserve = 1\nnode.memory_reserve = \"1G\"\n"
             "[[task]]\nmatch.unit = \"a.service\"\ncpu.min = 2\nmemory.min = \"2G\"\n"
             "[[task]]\nmatch.cgroup = \"" +
             second + "\"\ncpu.min = 3\nmemory.min = \"1G\"\n")
      .value();
}

TEST(Minima, ThatFitAreFine) {
  EXPECT_FALSE(check_minima(two_tasks("/b"), 6, 4 * kGiB));
  EXPECT_FALSE(check_minima(Config{}, 0.1, 1));
}

TEST(Minima, OfCpuBeyondTheNodeAreNamedAtTheTaskThatBreaksIt) {
  const auto problem = check_minima(two_tasks("/b"), 5.5, 4 * kGiB);
  ASSERT_TRUE(problem);
  EXPECT_EQ(describe(*problem),
            "t.toml:7:1: key 'cpu.min': found minima of 5 cores in 2 task(s) so far, must be at most 4.5 "
            "cores: the node's "
            "5.5 cores less node.cpu_reserve; lower the minima or the reserve");
}

TEST(Minima, AreWholeSteps) {
  auto config = two_tasks("/b");
  EXPECT_FALSE(check_minima(config, 6, 4 * kGiB)) << "2 and 3, of 5";
  for (auto& task : config.tasks) task.policy.cpu.step_cores = 2;
  EXPECT_TRUE(check_minima(config, 6, 4 * kGiB)) << "2 and 4";
  config.tasks[1].policy.cpu.max_cores = 3;
  EXPECT_FALSE(check_minima(config, 6, 4 * kGiB));
}

TEST(Minima, OfMemoryToo) {
  const auto problem = check_minima(two_tasks("/b"), 6, 3 * kGiB);
  ASSERT_TRUE(problem);
  EXPECT_EQ(describe(*problem),
            "t.toml:7:1: key 'memory.min': found minima of 3GiB in 2 task(s) so far, must be at most 2GiB: "
            "the node's 3GiB "
            "less node.memory_reserve; lower the minima or the reserve");
}

TEST(Minima, OfTasksWithWildcardsOrSwitchedOffDoNotCount) {
  for (const auto* many : {"/b/*", "/b?", "/[bc]"})
    EXPECT_FALSE(check_minima(two_tasks(many), 3, 3 * kGiB)) << many;
  auto config = two_tasks("/b");
  config.tasks[1].policy.cpu.enabled = false;
  config.tasks[1].policy.memory.enabled = false;
  EXPECT_FALSE(check_minima(config, 3, 3 * kGiB));
}

TEST(Minima, AReserveBeyondTheNodeLeavesNothing) {
  EXPECT_TRUE(check_minima(two_tasks("/b"), 0.5, kGiB / 2));
}

}  // namespace
}  // namespace sluice::config::test
