// Tasks that use CPU for more than their records, or cannot use the CPU they are given.
#include "tests/scenario/governed_host.hpp"

namespace sluice::testing {
namespace {

simhost::TaskSpec stream(double records_per_second, unsigned threads) {
  simhost::TaskSpec s;
  s.cgroup = "/system.slice/stream.service";
  s.work.load = simhost::Load::constant(records_per_second);
  s.work.cost_usec = 5'000;
  s.work.threads = threads;
  s.work.bytes_per_record = 1'000;
  return s;
}

config::TaskPolicy policy(double step = 0) {
  config::TaskPolicy p;
  p.cpu.max_cores = 4;
  p.cpu.step_cores = step;
  return p;
}

struct Sight {
  bool sockets = true;
  double step = 0;
};

class OneThread : public ::testing::TestWithParam<Sight> {};

// Work for one and a half threads arrives, so the backlog grows all the time.
TEST_P(OneThread, IsNotGrantedMuchMoreThanItCanUse) {
  GovernedHost g({.cpus = 8});
  auto spec = stream(100, 1);
  spec.work.load = simhost::Load::parse("burst:base=100,peak=300,start=60,length=120").value();
  if (!GetParam().sockets) spec.work.bytes_per_record = 0;
  const auto id = g.add(spec, policy(GetParam().step));
  g.run(60s);
  std::size_t above = 0, looks = 0;
  g.host.reset_stats();
  g.run(240s, [&] {
    ++looks;
    above += g.quota(id) > 1.4 ? 1 : 0;
  });
  EXPECT_LT(above, looks / 50);
  EXPECT_LT(g.host.stats(id).allocated_cores, 1.3);
  EXPECT_GT(g.host.stats(id).usage_usec / g.host.stats(id).observed_usec, 0.8) << "it is not starved either";
}

INSTANTIATE_TEST_SUITE_P(Sights, OneThread,
                         ::testing::Values(Sight{true, 0}, Sight{false, 0}, Sight{true, 1}, Sight{false, 1}));

class Collector : public ::testing::TestWithParam<bool> {};

TEST_P(Collector, DoesNotRatchetTheQuota) {
  GovernedHost g({.cpus = 8});
  auto spec = stream(100, 4);
  spec.work.gc_period = Usec{5'000'000};
  spec.work.gc_threads = 4;
  spec.work.gc_usec = 100'000;
  if (!GetParam()) spec.work.bytes_per_record = 0;
  const auto id = g.add(spec, policy());
  g.run(60s);
  const auto mean_of = [&](Nsec time) {
    g.host.reset_stats();
    g.run(time);
    return g.host.stats(id).allocated_cores;
  };
  const double first = mean_of(300s);
  g.run(1800s);
  EXPECT_LT(mean_of(300s), 1.15 * first);
  EXPECT_LT(g.host.stats(id).allocated_cores, 1.2) << "0.5 cores of records and 0.08 of garbage";
  EXPECT_EQ(g.host.stats(id).late_share, 0);
}

INSTANTIATE_TEST_SUITE_P(Sockets, Collector, ::testing::Bool());

}  // namespace
}  // namespace sluice::testing
