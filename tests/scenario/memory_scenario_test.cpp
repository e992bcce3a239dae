// Goals of the memory controller on the simulated host: less memory, no stalls, never a hang.
#include "tests/scenario/governed_host.hpp"

namespace sluice::testing {
namespace {

constexpr Bytes kMiB = 1 << 20;

simhost::TaskSpec cached_task() {
  simhost::TaskSpec s;
  s.cgroup = "/system.slice/cache.service";
  s.work.load = simhost::Load::constant(100);
  s.work.cost_usec = 2000;
  s.memory.anon = 200 * kMiB;
  s.memory.file_cold = 600 * kMiB;
  s.memory.file_hot = 100 * kMiB;
  return s;
}

TEST(MemoryScenario, AColdCacheIsReclaimedWithoutPressure) {
  GovernedHost g({.cpus = 4, .memory = 4096 * kMiB});
  const auto id = g.add(cached_task());
  g.run(30s);
  g.host.reset_stats();
  g.run(300s);
  const auto s = g.host.stats(id);
  EXPECT_LT(*g.host.sample(id).memory_current, 480 * kMiB) << "of 900 MiB, 300 are in use";
  EXPECT_GE(g.high(id), 200.0 * kMiB);
  EXPECT_LT(s.memory_stall_share, 0.002);
  EXPECT_EQ(g.violations, 0U);
}

TEST(MemoryScenario, AGrowingHotSetIsGivenRoomWithinASecond) {
  GovernedHost g({.cpus = 4, .memory = 4096 * kMiB});
  auto spec = cached_task();
  spec.memory.anon_mib = simhost::Load::parse("shift:base=200,peak=500,start=300").value();
  const auto id = g.add(spec);
  g.run(299s);
  const double before = g.high(id);
  ASSERT_LT(before, 550.0 * kMiB);
  g.run(2s);
  EXPECT_GT(g.high(id), before);
  g.run(10s);
  EXPECT_GE(g.high(id), 500.0 * kMiB);
  g.host.reset_stats();
  g.run(60s);
  EXPECT_LT(g.host.stats(id).memory_stall_share, 0.002);
}

TEST(MemoryScenario, ALimitFarBelowAnonIsLiftedBeforeTheTaskHangs) {
  GovernedHost g({.cpus = 4, .memory = 4096 * kMiB});
  auto spec = cached_task();
  spec.memory.file_cold = 0;
  spec.memory.file_hot = 0;
  spec.memory.anon = 400 * kMiB;
  const auto id = g.add(spec);
  g.run(5s);
  // A wrong limit set from outside, which is the baseline.
  g.host.set_memory_high(*g.host.find(id), MemoryLimit{100 * kMiB});
  Nsec t{};
  while (g.high(id) < 400.0 * kMiB && t < 10s) {
    g.run(100ms);
    t += 100ms;
  }
  EXPECT_LE(t, 1500ms);
}

TEST(MemoryScenario, NoScenarioStaysUnderItsFloor) {
  GovernedHost g({.cpus = 4, .memory = 4096 * kMiB});
  auto spec = cached_task();
  spec.memory.anon_mib = simhost::Load::parse("leak:base=200,start=20,slope=5,peak=1200").value();
  const auto id = g.add(spec);
  int below = 0, longest = 0;
  g.run(240s, [&] {
    const auto floor = *memory_floor(g.host.sample(id), 0, 0);
    below = g.high(id) < floor / 1.1 ? below + 1 : 0;
    longest = std::max(longest, below);
  });
  EXPECT_LE(longest, 10) << "ticks of 100 ms in a row";
  EXPECT_EQ(g.violations, 0U);
}

}  // namespace
}  // namespace sluice::testing
