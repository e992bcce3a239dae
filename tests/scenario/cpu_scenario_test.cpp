// Goals of the CPU controller on the simulated host: deadlines are met with less than the peak quota.
#include "tests/scenario/governed_host.hpp"

namespace sluice::testing {
namespace {

simhost::TaskSpec stream(const char* load, double cost_usec, unsigned threads) {
  simhost::TaskSpec s;
  s.cgroup = "/system.slice/stream.service";
  s.work.load = simhost::Load::parse(load).value();
  s.work.cost_usec = cost_usec;
  s.work.threads = threads;
  return s;
}

config::TaskPolicy policy(Nsec max_delay, double max_cores) {
  config::TaskPolicy p;
  p.max_delay = std::chrono::duration_cast<config::Duration>(max_delay);
  p.cpu.max_cores = max_cores;
  return p;
}

TEST(CpuScenario, AStarvedTaskIsRescuedAndItsQuotaFollowsTheLoadUpAndDown) {
  GovernedHost g({.cpus = 8});
  const auto id = g.add(stream("burst:base=100,peak=600,start=60,length=30", 2000, 4), policy(1s, 4));
  g.set_quota(id, 0.05);
  g.run(30s);
  EXPECT_LT(g.host.stats(id).backlog_cpu_usec, 0.3e6) << "0.2 cores of load under 0.05 of quota, rescued";
  g.host.reset_stats();
  g.run(20s);
  const double calm = g.host.stats(id).allocated_cores;
  g.run(10s);
  g.host.reset_stats();
  g.run(30s);
  const double busy = g.host.stats(id).allocated_cores;
  g.run(10s);
  g.host.reset_stats();
  g.run(20s);
  const double calm_again = g.host.stats(id).allocated_cores;
  EXPECT_GT(busy, 1.2) << "1.2 cores of load";
  EXPECT_LT(busy, 2.4);
  EXPECT_LT(calm, 0.6);
  EXPECT_LT(calm_again, 0.6);
  EXPECT_EQ(g.violations, 0U);
}

class Deadline : public ::testing::TestWithParam<int> {};

TEST_P(Deadline, IsMetWithWellUnderTheStaticPeak) {
  const auto delay = std::chrono::milliseconds(GetParam());
  GovernedHost g({.cpus = 8, .seed = 7});
  auto spec = stream("diurnal:base=50,peak=500,period=120,noise=0.2", 4000, 6);
  spec.work.max_delay = delay;
  const auto id = g.add(spec, policy(delay, 6));
  g.run(60s);
  g.host.reset_stats();
  g.run(600s);
  const auto s = g.host.stats(id);
  RecordProperty("allocated_millicores", static_cast<int>(1000 * s.allocated_cores));
  RecordProperty("late_per_million", static_cast<int>(1e6 * s.late_share));
  EXPECT_LT(s.late_share, 0.01);
  EXPECT_LT(s.allocated_cores, 2.4) << "the static peak is 2.4 cores, usage is "
                                    << s.usage_usec / s.observed_usec;
  EXPECT_EQ(g.violations, 0U);
  EXPECT_LE((g.most_writes_a_minute[{id, Knob::cpu_max}]), 60U);
}

INSTANTIATE_TEST_SUITE_P(MaxDelayMs, Deadline, ::testing::Values(250, 1000, 5000));

TEST(CpuScenario, AReportedLagIsUsed) {
  GovernedHost g({.cpus = 8, .seed = 3});
  auto spec = stream("diurnal:base=50,peak=500,period=120,noise=0.2", 4000, 6);
  const auto id = g.add(spec, policy(1s, 6));
  auto report = [&] {
    const auto s = g.host.stats(id);
    LoadReport load;
    load.lag = static_cast<double>(s.backlog);
    load.processed = static_cast<double>(s.finished);
    g.commands.push_back(ReportLoadCommand{"/system.slice/stream.service", load, g.now() + 1s});
  };
  g.run(60s, report);
  g.run(600s, report);
  const auto s = g.host.stats(id);
  EXPECT_LT(s.late_share, 0.01);
  EXPECT_NEAR(*g.state.tasks.at(id).cpu_control.cost_cpu_seconds_per_record, 0.004, 0.001);
  EXPECT_LT(s.allocated_cores, 1.6 * s.usage_usec / s.observed_usec);
}

TEST(CpuScenario, WholeCoreStepsForRuntimesThatCountCores) {
  GovernedHost g({.cpus = 8});
  auto p = policy(1s, 4);
  p.cpu.step_cores = 1;
  const auto id = g.add(stream("diurnal:base=50,peak=500,period=600", 4000, 6), p);
  g.run(30s);
  const auto before = g.writes;
  g.host.reset_stats();
  std::size_t at_one = 0, at_three = 0;
  g.run(1200s, [&] {
    EXPECT_NEAR(g.quota(id), std::round(g.quota(id)), 1e-6);
    at_one += g.quota(id) < 1.5 ? 1 : 0;
    at_three += g.quota(id) > 2.5 ? 1 : 0;
  });
  const auto writes = g.writes - before;
  RecordProperty("writes", static_cast<int>(writes));
  EXPECT_LT(writes, 40U) << "in twenty minutes, up and down twice";
  EXPECT_GT(at_one, 3'000U);
  EXPECT_LT(at_three, 4'000U) << "the peak is two cores";
  EXPECT_LT(g.host.stats(id).late_share, 0.01);
  EXPECT_EQ(g.violations, 0U);
}

TEST(CpuScenario, ASteadyLoadIsLeftAlone) {
  GovernedHost g({.cpus = 8});
  auto spec = stream("100", 5000, 4);
  spec.work.poisson = false;
  g.add(spec, policy(1s, 4));
  g.run(60s);
  const auto before = g.writes;
  g.run(600s);
  EXPECT_LE(g.writes - before, 2U);
}

TEST(CpuScenario, MoreDemandThanCoresIsSharedByWeightAndCalledSaturation) {
  GovernedHost g({.cpus = 4});
  std::vector<CgroupId> ids;
  for (int i = 0; i < 4; ++i) {
    auto spec = stream("1000", 4000, 8);
    spec.cgroup = "/system.slice/t" + std::to_string(i) + ".service";
    auto p = policy(250ms, 4);
    p.weight = i == 0 ? 300 : 100;
    ids.push_back(g.add(spec, p));
    g.set_quota(ids.back(), 0.5);
  }
  g.run(10s);
  g.host.reset_stats();
  g.run(50s);
  EXPECT_TRUE(g.report.node.saturated);
  EXPECT_GT(g.report.node.cpu_missing_cores, 1);
  const auto used = [&](CgroupId id) { return g.host.stats(id).usage_usec; };
  EXPECT_NEAR(used(ids[0]) / used(ids[1]), 3, 0.5);
  EXPECT_EQ(g.violations, 0U);
}

TEST(CpuScenario, TheLimitStillLimits) {
  // A write to cpu.max refills the period: usage may exceed quota x time by at most what the writes add.
  GovernedHost g({.cpus = 8});
  auto p = policy(100ms, 2);
  p.cpu.writes_per_minute = 20;
  const auto id = g.add(stream("5000", 4000, 8), p);
  g.set_quota(id, 0.1);
  double granted = 0;
  const auto before = g.writes;
  g.run(120s, [&] { granted += 0.1 * g.quota(id); });
  const double usage = g.host.stats(id).usage_usec / 1e6;
  const double refills = static_cast<double>(g.writes - before) * 2 * 0.1;
  EXPECT_LE(usage, granted + refills + 0.4);
  EXPECT_LE((g.most_writes_a_minute[{id, Knob::cpu_max}]), 20U);
}

}  // namespace
}  // namespace sluice::testing
