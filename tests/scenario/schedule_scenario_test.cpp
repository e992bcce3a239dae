// A load announced by a schedule: the quota is raised before it and lowered after it, and the recording
// contains the reason.
#include "daemon/record/lines.hpp"
#include "daemon/record/replay.hpp"
#include "tests/scenario/governed_host.hpp"

namespace sluice::testing {
namespace {

// 1.2 cores of load from 60 to 90 s, otherwise 0.2.
CgroupId add_burst(GovernedHost& g, const std::vector<config::ScheduleEntry>& schedule) {
  simhost::TaskSpec s;
  s.cgroup = "/system.slice/stream.service";
  s.work.load = simhost::Load::parse("burst:base=100,peak=600,start=60,length=30").value();
  s.work.cost_usec = 2000;
  s.work.threads = 4;
  config::TaskPolicy p;
  p.max_delay = 1s;
  p.cpu.max_cores = 4;
  p.schedule = schedule;
  return g.add(s, p);
}

config::ScheduleEntry at_second_55() {
  config::Calendar c;
  c.seconds = 1ULL << 55;  // of the first minute of the day, when the host starts
  return {c, 40s, 2, {}};
}

TEST(ScheduleScenario, TheLoadMeetsItsQuotaAndNoThrottle) {
  double worst_usec[2];
  for (const bool scheduled : {false, true}) {
    GovernedHost g({.cpus = 8, .seed = 7});
    const auto id =
        add_burst(g, scheduled ? std::vector{at_second_55()} : std::vector<config::ScheduleEntry>{});
    g.run(54s);
    EXPECT_LT(g.quota(id), 0.6);
    g.run(5s);
    EXPECT_EQ(g.quota(id) >= 2, scheduled) << "a second before the load";
    g.host.reset_stats();
    g.run(20s);
    worst_usec[scheduled ? 1 : 0] = g.host.stats(id).delay_worst_usec;
    g.run(40s);
    EXPECT_LT(g.quota(id), 0.8) << "load and window are over";
    EXPECT_EQ(g.violations, 0U);
  }
  EXPECT_LT(worst_usec[1], 0.5 * worst_usec[0]);
}

TEST(ScheduleScenario, ARecordingReplaysItsWindowsByteForByte) {
  GovernedHost g({.cpus = 8, .seed = 7});
  record::LineWriter out;
  std::vector<std::string> lines;
  std::size_t by_schedule = 0;
  g.on_tick = [&](const Input& input, const Plan& plan) {
    if (lines.empty()) lines = {out.header({}), out.line(record::ConfigEntry{g.config})};
    for (const auto& w : plan.writes) by_schedule += w.reason.rule == Rule::schedule ? 1 : 0;
    lines.push_back(out.line(record::TickEntry{input, plan}));
  };
  add_burst(g, {at_second_55()});
  g.run(120s);
  ASSERT_GE(by_schedule, 1U);

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
