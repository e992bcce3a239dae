// Many tasks on one node: maxima limit, shares follow usage, minima beyond the node are shared, slices bind.
#include "tests/scenario/governed_host.hpp"

namespace sluice::testing {
namespace {

constexpr Bytes kMiB = 1 << 20;

simhost::TaskSpec stream(const std::string& cgroup, double cores_wanted, unsigned threads = 4) {
  simhost::TaskSpec s;
  s.cgroup = cgroup;
  s.work.load = simhost::Load::constant(cores_wanted * 500);
  s.work.cost_usec = 2000;
  s.work.threads = threads;
  return s;
}

config::TaskPolicy policy(double min_cores, double max_cores) {
  config::TaskPolicy p;
  p.max_delay = 500ms;
  p.cpu.min_cores = min_cores;
  p.cpu.max_cores = max_cores;
  return p;
}

double usage(GovernedHost& g, CgroupId id) {
  const auto s = g.host.stats(id);
  return s.usage_usec / s.observed_usec;
}

TEST(NodeScenario, AHogIsHeldToItsMaximumWithinTwoSeconds) {
  GovernedHost g({.cpus = 4});
  const auto hog = g.add(stream("/system.slice/hog.scope", 6, 8), policy(0.05, 1));
  const auto important = g.add(stream("/system.slice/important.service", 0.8), policy(0.05, 2));
  g.run(2s);
  EXPECT_LE(g.quota(hog), 1);
  g.run(3s);
  g.host.reset_stats();
  g.run(20s);
  EXPECT_LE(usage(g, hog), 1.05);
  EXPECT_LT(g.host.stats(important).late_share, 0.01);
  EXPECT_FALSE(g.report.node.saturated) << "what a maximum forbids is not missing";
  EXPECT_EQ(g.violations, 0U);
}

TEST(NodeScenario, ALimitThatNobodyUsesTakesNothing) {
  GovernedHost g({.cpus = 2});
  const auto idle = g.add(stream("/system.slice/idle.service", 0), policy(0.5, 2));
  const auto busy = g.add(stream("/system.slice/busy.service", 1.2), policy(0.5, 2));
  g.set_quota(idle, 4);
  g.set_quota(busy, 1.5);
  g.run(5s);
  g.commands.push_back(SuspendCommand{"/system.slice/idle.service", "hands off"});
  g.run(2s);
  ASSERT_EQ(g.quota(idle), 4);
  g.host.reset_stats();
  g.run(30s);
  EXPECT_NEAR(usage(g, busy), 1.2, 0.1);
  EXPECT_LT(g.host.stats(busy).late_share, 0.01);
  EXPECT_FALSE(g.report.node.saturated);
  EXPECT_EQ(g.violations, 0U);
}

TEST(NodeScenario, ASuspendedHogLeavesItsNeighbourWhatTheKernelWould) {
  GovernedHost g({.cpus = 2});
  g.add(stream("/system.slice/hog.service", 4, 8), policy(0.05, 2));
  const auto busy = g.add(stream("/system.slice/busy.service", 0.9), policy(0.05, 2));
  g.commands.push_back(SuspendCommand{"/system.slice/hog.service", "hands off"});
  g.run(10s);
  g.host.reset_stats();
  g.run(30s);
  EXPECT_GT(usage(g, busy), 0.85) << "without quotas it would have a core";
  EXPECT_EQ(g.violations, 0U);
}

TEST(NodeScenario, MinimaAreShared) {
  GovernedHost g({.cpus = 2});
  g.config.node.cpu_reserve_cores = 0.5;
  std::vector<CgroupId> ids;
  for (const char* name : {"a", "b", "c"}) {
    ids.push_back(g.add(stream("/system.slice/" + std::string(name) + ".service", 1.04), policy(1, 2)));
    g.set_quota(ids.back(), 1);
  }
  g.run(10s);
  double sum = 0;
  for (const auto id : ids) {
    sum += g.quota(id);
    EXPECT_NEAR(g.quota(id), 0.5, 0.06);
  }
  EXPECT_LE(sum, 1.51);
  EXPECT_TRUE(g.report.node.saturated);
  EXPECT_GE(g.report.node.cpu_missing_cores, 1.49);
  EXPECT_EQ(g.violations, 0U);
}

TEST(NodeScenario, ASliceBindsItsTasksAndTheNodeHasEnough) {
  GovernedHost g({.cpus = 4});
  const auto one = g.add(stream("/closed.slice/one.service", 2), policy(0.05, 4));
  const auto two = g.add(stream("/closed.slice/two.service", 2), policy(0.05, 4));
  // Less than a third of the node: the model does not redistribute what a slice leaves of its share.
  const auto free = g.add(stream("/free.service", 1.2), policy(0.05, 4));
  g.host.set_cpu_max(*g.host.find("/closed.slice"), 150'000'000, 100'000'000);
  g.run(20s);
  g.host.reset_stats();
  std::size_t saturated = 0;
  g.run(30s, [&] { saturated += g.report.node.saturated ? 1 : 0; });
  EXPECT_EQ(saturated, 0U);
  EXPECT_LE(g.quota(one), 1.5);
  EXPECT_LE(g.quota(two), 1.5);
  EXPECT_NEAR(usage(g, one) + usage(g, two), 1.5, 0.15);
  EXPECT_LT(g.host.stats(free).late_share, 0.01);
  for (const auto& task : g.report.tasks) {
    if (task.id == free) continue;
    EXPECT_EQ(task.diagnosis.cause, Cause::starved_by_ancestor) << to_string(task.diagnosis.cause);
    EXPECT_EQ(task.breaker, BreakerState::closed);
  }
  EXPECT_EQ(g.violations, 0U);
}

TEST(NodeScenario, SwapThatASliceForbidsKeepsMemoryAboveAnon) {
  GovernedHost g({.cpus = 4, .memory = 4096 * kMiB, .swap = 4096 * kMiB});
  auto spec = stream("/closed.slice/t.service", 0.1);
  spec.memory.anon = 400 * kMiB;
  spec.memory.file_cold = 200 * kMiB;
  const auto id = g.add(spec);
  g.host.find("/closed.slice")->memory_swap_max = MemoryLimit{0};
  g.run(120s, [&] { EXPECT_GE(g.high(id), 400.0 * kMiB); });
}

TEST(NodeScenario, OneImpossibleNumberHarmsNobodyElse) {
  GovernedHost g({.cpus = 4, .memory = 2048 * kMiB});
  auto spec = stream("/system.slice/odd.service", 0.2);
  spec.memory.anon = 100 * kMiB;
  spec.memory.file_hot = 300 * kMiB;
  const auto odd = g.add(spec);
  spec.cgroup = "/system.slice/other.service";
  const auto other = g.add(spec);
  g.run(60s);
  g.host.reset_stats();
  std::size_t reported = 0;
  g.distort = [&](Observation& o) {
    if (o.facts.id == odd && o.sample->memory_stat) o.sample->memory_stat->anon = ~Bytes{0} - 4095;
  };
  const double before = g.high(odd);
  g.run(60s, [&] {
    for (const auto& n : g.report.notices) reported += n.kind == Notice::Kind::reading_unknown ? 1 : 0;
    EXPECT_FALSE(g.report.node.saturated);
    EXPECT_GE(g.high(odd), before);
  });
  EXPECT_EQ(reported, 1U);
  EXPECT_LT(g.host.stats(other).memory_stall_share, 0.002);
  EXPECT_EQ(g.violations, 0U);
}

}  // namespace
}  // namespace sluice::testing
