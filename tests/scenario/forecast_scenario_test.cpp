// A load that recurs at the same time of its season, here ten minutes. With a forecast the quota is raised
// before it. Kernel signals only.
#include "daemon/record/lines.hpp"
#include "daemon/record/replay.hpp"
#include "tests/scenario/governed_host.hpp"

namespace sluice::testing {
namespace {

using config::ForecastMode;

constexpr auto kSeason = 10min;

// 1.5 cores of load in the sixth and seventh of every ten minutes, otherwise 0.2.
CgroupId add_stream(GovernedHost& g, ForecastMode mode) {
  simhost::TaskSpec s;
  s.cgroup = "/system.slice/stream.service";
  s.work.load = simhost::Load::parse("burst:base=100,peak=750,start=300,length=120,period=600").value();
  s.work.cost_usec = 2000;
  s.work.threads = 4;
  config::TaskPolicy p;
  p.max_delay = 1s;
  p.cpu.max_cores = 4;
  p.memory.enabled = false;
  p.forecast = {mode, kSeason};
  g.distort = [](Observation& o) {
    if (o.sample) o.sample->flow.reset();
  };
  return g.add(s, p);
}

struct Story {
  double quota_before = 0, quota_after = 0;  // a second before the third onset; two minutes after its end
  double worst_usec = 0;                     // worst delay around the onset
  std::uint64_t throttles = 0;
  double allocated = 0;  // cores, over the third season
  std::size_t by_forecast = 0;
  std::string plans;
};

Story tell(ForecastMode mode) {
  GovernedHost g({.cpus = 8, .seed = 7});
  Story out;
  g.on_tick = [&](const Input&, const Plan& plan) {
    out.plans += record::plan_bytes(plan);
    for (const auto& w : plan.writes) out.by_forecast += w.reason.rule == Rule::forecast ? 1 : 0;
  };
  const auto id = add_stream(g, mode);
  g.run(2 * kSeason);
  g.host.reset_stats();
  g.run(299s);
  out.quota_before = g.quota(id);
  const double allocated = g.host.stats(id).allocated_cores;
  g.host.reset_stats();
  g.run(20s);
  out.worst_usec = g.host.stats(id).delay_worst_usec;
  out.throttles = g.host.stats(id).throttles;
  g.run(221s);
  out.quota_after = g.quota(id);
  out.allocated = (299 * allocated + 241 * g.host.stats(id).allocated_cores) / 540;
  EXPECT_EQ(g.violations, 0U);
  return out;
}

TEST(ForecastScenario, TheOnsetThatWasSeenBeforeFindsItsQuota) {
  const Story off = tell(ForecastMode::off), told = tell(ForecastMode::forecast_only),
              on = tell(ForecastMode::on);
  EXPECT_EQ(off.plans, told.plans) << "what is only told changes nothing";
  EXPECT_EQ(told.by_forecast, 0U);
  EXPECT_GE(on.by_forecast, 1U);
  EXPECT_LT(off.quota_before, 0.6);
  EXPECT_GE(on.quota_before, 1.2);
  EXPECT_LT(on.quota_after, 0.6) << "and lets go of it";
  EXPECT_LT(on.worst_usec, 0.5 * off.worst_usec);
  EXPECT_LT(on.throttles, off.throttles);
  EXPECT_LT(on.allocated, 1.04 * off.allocated);
}

TEST(ForecastScenario, ARecordingReplaysItByteForByteWhatAnEarlierRunKnewIncluded) {
  GovernedHost g({.cpus = 8, .seed = 7});
  record::LineWriter out;
  std::vector<std::string> lines;
  std::size_t by_forecast = 0;
  g.on_tick = [&](const Input& input, const Plan& plan) {
    if (lines.empty()) lines = {out.header({}), out.line(record::ConfigEntry{g.config})};
    for (const auto& w : plan.writes) by_forecast += w.reason.clamped_forecast ? 1 : 0;
    lines.push_back(out.line(record::TickEntry{input, plan}));
  };
  add_stream(g, ForecastMode::on);
  SeasonProfile known = empty_profile(kSeason);
  for (auto& b : known.buckets) b = {1, 0.1, 2};
  known.compared = 3;
  g.profiles = {{"/system.slice/stream.service", known}};
  g.run(60s);
  ASSERT_GE(by_forecast, 1U);

  record::LineReader in;
  record::Replay replay;
  std::size_t different = 0;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string_view text(lines[i].data(), lines[i].size() - 1);
    if (i == 0) {
      ASSERT_TRUE(in.header(text));
      continue;
    }
    const auto entry = in.entry(text);
    ASSERT_TRUE(entry) << entry.error();
    const auto plan = replay.take(*entry);
    if (plan) different += record::same(*plan, std::get<record::TickEntry>(*entry).plan) ? 0 : 1;
  }
  EXPECT_EQ(different, 0U);
}

}  // namespace
}  // namespace sluice::testing
