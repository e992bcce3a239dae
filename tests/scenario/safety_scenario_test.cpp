// Random hosts, loads, configurations and faults: the safety properties of CONTROL hold in every tick.
#include <rapidcheck.h>

#include <cerrno>

#include "tests/scenario/governed_host.hpp"
#include "tests/scenario/rate_watch.hpp"

namespace sluice::testing {
namespace {

constexpr Bytes kMiB = 1 << 20;

simhost::TaskSpec random_task(int i) {
  simhost::TaskSpec s;
  s.cgroup = "/system.slice/t" + std::to_string(i) + ".service";
  const int base = *rc::gen::inRange(0, 300), peak = base + *rc::gen::inRange(0, 900);
  const char* shape = *rc::gen::element("diurnal", "burst", "spikes");
  s.work.load = simhost::Load::parse(std::string(shape) + ":base=" + std::to_string(base) +
                                     ",peak=" + std::to_string(peak) + ",period=20,start=5,length=4")
                    .value();
  s.work.cost_usec = *rc::gen::inRange(200, 8000);
  s.work.threads = static_cast<unsigned>(*rc::gen::inRange(1, 9));
  s.memory.anon = static_cast<Bytes>(*rc::gen::inRange(16, 300)) * kMiB;
  s.memory.file_cold = static_cast<Bytes>(*rc::gen::inRange(0, 500)) * kMiB;
  s.memory.file_hot = static_cast<Bytes>(*rc::gen::inRange(0, 200)) * kMiB;
  return s;
}

config::ScalingRules random_rules(double unit) {
  config::ScalingRules r;
  r.stabilization = *rc::gen::element(0, 0, 1, 5, 20) * 1s;
  r.select_policy = *rc::gen::element(config::SelectPolicy::max, config::SelectPolicy::max,
                                      config::SelectPolicy::min, config::SelectPolicy::disabled);
  for (int n = *rc::gen::inRange(0, 4); n > 0; --n) {
    const auto period = *rc::gen::inRange(1, 200) * 100ms;
    if (*rc::gen::arbitrary<bool>()) {
      r.policies.push_back({config::ChangeType::percent, 1.0 * *rc::gen::inRange(1, 101), period});
    } else {
      r.policies.push_back({config::ChangeType::absolute, unit * *rc::gen::inRange(1, 100), period});
    }
  }
  return r;
}

config::Scaling random_scaling(double unit) {
  return {*rc::gen::arbitrary<bool>() ? random_rules(unit) : config::ScalingRules{},
          *rc::gen::arbitrary<bool>() ? random_rules(unit) : config::ScalingRules{}};
}

config::TaskPolicy random_policy() {
  config::TaskPolicy p;
  p.max_delay = std::chrono::milliseconds(*rc::gen::inRange(50, 5000));
  p.weight = *rc::gen::inRange(1, 1000);
  p.cpu.min_cores = *rc::gen::inRange(1, 50) / 100.0;
  p.cpu.max_cores = p.cpu.min_cores + *rc::gen::inRange(10, 600) / 100.0;
  p.cpu.step_cores = *rc::gen::element(0.0, 0.0, 0.05, 0.25, 1.0);
  p.cpu.max_cores = std::max(*p.cpu.max_cores, p.cpu.step_cores);
  p.cpu.writes_per_minute = static_cast<std::uint32_t>(*rc::gen::inRange(1, 90));
  p.memory.writes_per_minute = static_cast<std::uint32_t>(*rc::gen::inRange(1, 90));
  p.memory.min_bytes = static_cast<Bytes>(*rc::gen::inRange(1, 200)) * kMiB;
  p.cpu.scaling = random_scaling(0.02);
  p.memory.scaling = random_scaling(1.0 * kMiB);
  return p;
}

TEST(SafetyScenario, BoundsBudgetsRatesAndCapacityHoldUnderFaults) {
  std::size_t judged = 0, at_the_limit = 0, contested = 0;
  EXPECT_TRUE(rc::check("bounds, budgets, rates, capacity, and every plan valid", [&] {
    GovernedHost g({.cpus = static_cast<double>(*rc::gen::inRange(1, 16)),
                    .memory = 16384 * kMiB,
                    .seed = static_cast<std::uint64_t>(*rc::gen::inRange(1, 1000))});
    const int tasks = *rc::gen::inRange(1, 5);
    std::vector<std::pair<CgroupId, config::TaskPolicy>> governed;
    for (int i = 0; i < tasks; ++i) {
      const auto p = random_policy();
      governed.emplace_back(g.add(random_task(i), p), p);
    }
    double minima = 0;
    for (const auto& [id, p] : governed) minima += p.cpu.least_cores(p.cpu.min_cores, g.host.spec().cpus);
    const bool minima_fit = minima <= g.host.spec().cpus;
    const int fault_percent = *rc::gen::element(0, 0, 5, 30);
    std::uint64_t dice = 12345;
    g.intercept = [&](const Write& w) {
      dice = dice * 6364136223846793005ULL + 1442695040888963407ULL;
      if (static_cast<int>((dice >> 33) % 100) >= fault_percent) return g.host.apply(w);
      Receipt r;
      r.id = w.id;
      r.knob = w.knob;
      r.asked = w.value;
      r.result = (dice >> 41) % 3 == 0 ? Receipt::Result::timed_out : Receipt::Result::refused;
      r.error_number = EBUSY;
      r.started_at = r.finished_at = g.now();
      return r;
    };
    RateWatch rates(g);
    // Under faults only the governor knows what a knob held. Its own invariant is checked nevertheless.
    if (fault_percent == 0) g.on_tick = [&](const Input& in, const Plan& plan) { rates(in, plan); };
    g.run(40s, [&] {
      for (const auto& [id, p] : governed) {
        const auto& t = g.state.tasks.at(id);
        if (t.cpu.limit.reason().rule == Rule::none || t.cpu.limit.reason().rule == Rule::released) continue;
        const double cap = std::min(*p.cpu.max_cores, g.host.spec().cpus);
        RC_ASSERT(g.quota(id) <= cap + 0.01);
        if (!minima_fit) continue;  // they are shared, not in whole steps
        RC_ASSERT(g.quota(id) >= std::min(p.cpu.min_cores, cap) - 0.01);
        // Because of a rate policy, a budget or a refusal a value may stay as it was found; a written value
        // must be in whole steps.
        const double whole = config::whole_steps_up(g.quota(id) - 0.003, p.cpu.step_cores);
        RC_ASSERT(p.cpu.step_cores == 0 || std::abs(g.quota(id) - std::min(whole, cap)) < 0.004);
      }
    });
    RC_ASSERT(g.violations == 0U);
    // Releases are exempt from the budget: a breaker that opens releases at once, and later ones are delayed.
    const std::size_t releases = fault_percent > 0 ? 8 : 0;
    for (const auto& [id, p] : governed) {
      RC_ASSERT((g.most_writes_a_minute[{id, Knob::cpu_max}]) <= p.cpu.writes_per_minute + releases);
      RC_ASSERT((g.most_writes_a_minute[{id, Knob::memory_high}]) <= p.memory.writes_per_minute + releases);
    }
    judged += rates.judged;
    at_the_limit += rates.at_the_limit;
    contested += rates.contested;
  }));
  EXPECT_GT(judged, 100U);
  // Occurs on one host in a few thousand and is not understood yet. The governor's own invariant above holds
  // for every plan.
  EXPECT_LT(contested, judged / 20);
  EXPECT_GT(at_the_limit, 10U) << "rate policies that hold nothing up are not tested";
}

TEST(SafetyScenario, StoppingBringsEveryBaselineBack) {
  GovernedHost g({.cpus = 8, .memory = 8192 * kMiB});
  std::vector<CgroupId> ids;
  for (int i = 0; i < 5; ++i) {
    simhost::TaskSpec s;
    s.cgroup = "/system.slice/t" + std::to_string(i) + ".service";
    s.work.load = simhost::Load::constant(50.0 * i);
    s.memory.file_cold = 300 * kMiB;
    config::TaskPolicy policy;
    if (i % 2 == 1) policy.cpu.burst_ratio = 1;
    ids.push_back(g.add(s, policy));
    g.set_quota(ids.back(), 1 + 0.5 * i, Usec{40'000 * i});
  }
  g.run(60s);
  EXPECT_GE(lease_of(g.state).size(), 5U);
  g.stopping = true;
  g.run(1s);
  EXPECT_TRUE(lease_of(g.state).empty());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const Sample s = g.host.sample(ids[i]);
    CpuMax baseline = cpu_max_of(1 + 0.5 * static_cast<double>(i), Usec{100'000});
    baseline.burst = Usec{40'000 * static_cast<std::int64_t>(i)};
    EXPECT_EQ(*s.cpu_max, baseline);
    EXPECT_EQ(*s.memory_high, MemoryLimit{});
  }
}

TEST(SafetyScenario, EqualRunsGiveEqualReports) {
  auto run = [] {
    GovernedHost g({.cpus = 4, .seed = 11});
    simhost::TaskSpec s;
    s.cgroup = "/a";
    s.work.load = simhost::Load::parse("diurnal:base=50,peak=500,period=30,noise=0.3").value();
    s.work.cost_usec = 3000;
    const auto id = g.add(s);
    std::vector<double> quotas;
    g.run(120s, [&] { quotas.push_back(g.quota(id)); });
    return quotas;
  };
  EXPECT_EQ(run(), run());
}

}  // namespace
}  // namespace sluice::testing
