// A task that stands still for ten minutes: its limits and what was learned wait for it, and so does nobody
// else.
#include "tests/scenario/governed_host.hpp"

namespace sluice::testing {
namespace {

constexpr Bytes kMiB = 1 << 20;

struct Frozen : ::testing::Test {
  // `load` is in records of 2 ms.
  static simhost::TaskSpec stream(const std::string& name, const std::string& load) {
    simhost::TaskSpec s;
    s.cgroup = "/system.slice/" + name + ".service";
    s.work.load = simhost::Load::parse(load).value();
    s.work.cost_usec = 2000;
    s.memory.anon = 100 * kMiB;
    s.memory.file_cold = 400 * kMiB;
    return s;
  }
  static config::TaskPolicy policy() {
    config::TaskPolicy p;
    p.max_delay = 500ms;
    p.cpu.min_cores = 0.05;
    p.cpu.max_cores = 3;
    return p;
  }
  const TaskReport& report_of(CgroupId id) const {
    return *std::find_if(g.report.tasks.begin(), g.report.tasks.end(),
                         [&](const TaskReport& t) { return t.id == id; });
  }

  // Of two CPUs one wants 0.6 and the other 0.7, and 1.7 while the first stands still: there is room for that
  // only if who is frozen claims nothing.
  GovernedHost g{{.cpus = 2, .memory = 4096 * kMiB}};
  CgroupId paused = g.add(stream("paused", "300"), policy());
  CgroupId neighbour =
      g.add(stream("neighbour", "burst:base=350,peak=850,period=100000,start=305,length=590"), policy());
};

TEST_F(Frozen, TenMinutesChangeNothingForItOrForOthers) {
  g.run(5min);
  const double quota = g.quota(paused), high = g.high(paused);
  const auto learned = g.state.tasks.at(paused).cpu_control;
  ASSERT_LT(quota, 1.5) << "a limit that was learned";
  ASSERT_LT(high, 600.0 * kMiB);
  g.host.reset_stats();

  g.host.find(paused)->frozen = true;
  g.run(1s);
  std::size_t moved = 0, unsaid = 0, full = 0;
  g.run(10min, [&] {
    moved += g.quota(paused) != quota || g.high(paused) != high ? 1 : 0;
    unsaid += report_of(paused).diagnosis.cause != Cause::frozen ? 1 : 0;
    full += g.state.cpu_full || g.report.node.saturated ? 1 : 0;
  });
  EXPECT_EQ(moved, 0U) << "of 6000 looks";
  EXPECT_EQ(unsaid, 0U) << "of 6000 looks";
  EXPECT_EQ(full, 0U) << "looks at which its limit was missing to the other";
  const auto stats = g.host.stats(neighbour);
  EXPECT_LT(stats.late_share, 0.01);
  EXPECT_NEAR(stats.usage_usec / stats.observed_usec, 1.7, 0.1);
  const auto& kept = g.state.tasks.at(paused).cpu_control;
  EXPECT_EQ(kept.margin, learned.margin);
  EXPECT_GE(kept.arrivals.size() + 10, learned.arrivals.size()) << "but for the second in which it stopped";

  g.host.find(paused)->frozen = false;
  double least = 2;
  g.run(1min, [&] { least = std::min(least, g.quota(paused)); });
  EXPECT_GE(least, 0.9 * quota) << "it has ten minutes of work to do";
  g.run(30min);
  g.host.reset_stats();
  g.run(1min);
  EXPECT_LT(g.host.stats(paused).late_share, 0.01) << "and has done it";
  EXPECT_NE(report_of(paused).diagnosis.cause, Cause::frozen);
  EXPECT_EQ(g.violations, 0U);
}

}  // namespace
}  // namespace sluice::testing
