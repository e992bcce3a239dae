// The study itself: equal runs are equal, impossible figures do not occur, known figures do.
#include "tests/bench/study.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "tests/bench/peers/captain.hpp"
#include "tests/bench/summary.hpp"

namespace sluice::bench {
namespace {

std::vector<Trace> short_traces() {
  auto all = generated_traces({.seconds = 200}, 1);
  std::erase_if(all, [](const Trace& t) { return t.name != "sustained-burst" && t.name != "on-off"; });
  EXPECT_EQ(all.size(), 2U);
  return all;
}

std::string words(const Row& r) {
  const Figures& f = r.figures;
  std::string out = r.policy + r.setting + r.visibility;
  for (const double v : {r.deadline_s, f.usage_cores, f.quota_cores, f.offered_cores, f.q10_cores,
                         f.late_share, f.delay_p99_s, f.delay_worst_s, f.stall_share, f.writes_per_minute}) {
    out += " " + std::to_string(v);
  }
  return out;
}

TEST(Study, EqualSeedsGiveEqualRunsHoweverManyThreadsThereAre) {
  StudyOptions options;
  options.deadlines = {1};
  options.budgets = {20};
  const auto run = [&](std::uint64_t seed, unsigned jobs) {
    options.conditions.seed = seed;
    options.jobs = jobs;
    std::vector<std::string> out;
    for (const Row& r : run_study(short_traces(), options)) out.push_back(words(r));
    return out;
  };
  const auto one = run(3, 1);
  EXPECT_GT(one.size(), 100U);
  EXPECT_EQ(one, run(3, 3));
  EXPECT_NE(one, run(4, 1));
}

TEST(Study, WhatRanWasOffered) {
  StudyOptions options;
  options.budgets = {60};
  for (const Row& r : run_study(short_traces(), options)) {
    // The content of the pool at the end of the warm-up was offered before: at most one period of the cap.
    EXPECT_GE(r.figures.offered_cores, r.figures.usage_cores - kCapCores * 0.1 / 140) << words(r);
    EXPECT_GE(r.figures.q10_cores, r.figures.quota_cores - 1e-6) << words(r);
    EXPECT_LE(r.figures.quota_cores, kCapCores + 1e-9) << words(r);
    if (r.policy == "ours") {
      EXPECT_LE(r.figures.writes_worst_minute, 60U) << words(r);
      EXPECT_EQ(r.violations, 0U) << words(r);
    }
    if (r.policy == "oracle") {
      EXPECT_LE(r.late_above_cap, kLateAllowed) << words(r);
    }
  }
}

TEST(Study, ABurstIsRunBesideOursAndNeedsLessQuota) {
  StudyOptions options;
  options.deadlines = {0.25};
  options.budgets = {60};
  options.policies = {"ours"};
  options.bursts = {0, 1};
  const auto rows = run_study(short_traces(), options);
  ASSERT_EQ(rows.size(), 2 * 3 * options.bursts.size());
  for (std::size_t i = 0; i < rows.size(); i += 2) {
    const Row &plain = rows[i], &burst = rows[i + 1];
    ASSERT_EQ(plain.visibility, burst.visibility);
    EXPECT_EQ(plain.burst, 0);
    EXPECT_EQ(burst.burst, 1);
    EXPECT_LT(burst.quota(), plain.quota()) << words(burst);
    EXPECT_GT(burst.offered(), burst.quota()) << "what is kept counts as what could run";
    EXPECT_GT(burst.could10(), burst.q10());
    EXPECT_EQ(burst.violations, 0U);
  }
}

TEST(Study, TheOracleIsCheaperThanEveryPeerThatIsInTime) {
  StudyOptions options;
  options.budgets = {60};
  options.policies = {"oracle", "static-peak", "K8s-CPU-fast", "Captain"};
  const auto rows = run_study(short_traces(), options);
  for (const Row& ow : rows) {
    if (ow.policy != "oracle") continue;
    for (const Row& r : rows) {
      const bool rival = r.policy != "oracle" && r.trace == ow.trace && r.deadline_s == ow.deadline_s;
      if (!rival || r.late_above_cap > 0) continue;
      EXPECT_LE(ow.quota(), r.quota()) << words(r);
    }
  }
}

TEST(Bed, AnUnlimitedRunIsTheLoadItself) {
  Trace trace{.name = "flat", .cores = std::vector<double>(400, 1.5), .note = {}};
  Bed bed(trace, {});
  bed.run([] {});
  EXPECT_NEAR(bed.figures().usage_cores, 1.5, 0.05);
  EXPECT_NEAR(bed.figures().quota_cores, kCapCores, 1e-9);
  EXPECT_NEAR(bed.figures().q10_cores, kCapCores, 1e-9);
  EXPECT_EQ(bed.figures().writes_worst_minute, 0U);
  EXPECT_LT(bed.late_share(0.25), 1e-4);
}

TEST(Bed, ATightQuotaIsLateAndItsUsageIsTheQuota) {
  Trace trace{.name = "flat", .cores = std::vector<double>(400, 1.5), .note = {}};
  Bed bed(trace, {});
  bed.run([&] { bed.write_cores(1); });
  EXPECT_NEAR(bed.figures().usage_cores, 1, 0.01);
  EXPECT_NEAR(bed.figures().offered_cores, 1, 0.01);
  EXPECT_GT(bed.late_share(5), 0.9) << "what is unfinished at the end counts";
}

TEST(Bed, WritesAreCountedInTheirWorstMinute) {
  Trace trace{.name = "flat", .cores = std::vector<double>(240, 0.5), .note = {}};
  Bed bed(trace, {});
  int tick = 0;
  bed.run([&] {
    ++tick;
    // One write per second, only during the third minute.
    if (tick > 1'200 && tick <= 1'800 && tick % 10 == 0) bed.write_cores(tick % 20 == 0 ? 2 : 3);
  });
  EXPECT_EQ(bed.figures().writes_worst_minute, 60U);
  EXPECT_NEAR(bed.figures().writes_per_minute, 20, 0.5);
}

// Seconds until Captain follows a step from one core to two.
double seconds_to_follow(double target, std::uint64_t seed) {
  Trace trace{.name = "step", .cores = std::vector<double>(240, 2.0), .note = {}};
  std::fill_n(trace.cores.begin(), 120, 1.0);
  Bed bed(trace, {.seed = seed});
  Captain captain(target);
  CpuUsage used{};
  CpuBandwidth before{};
  double followed = -1;
  bed.run([&] {
    const Sample s = bed.host().sample(bed.id());
    PeerView view{.now_s = bed.now_s(), .quota_cores = bed.quota_cores()};
    view.usage_cores = static_cast<double>((s.cpu->usage - used.usage).count()) / 1e5;
    view.periods = s.bandwidth->nr_periods - before.nr_periods;
    view.throttled = s.bandwidth->nr_throttled - before.nr_throttled;
    used = *s.cpu;
    before = *s.bandwidth;
    bed.write_cores(captain.decide(view));
    if (bed.now_s() > 120 && followed < 0 && bed.quota_cores() >= 2) followed = bed.now_s() - 120;
  });
  return followed;
}

TEST(Bed, CaptainFollowsAStepInSecondsTheSlowerTheHigherItsTarget) {
  // As published for one core to two: from little more than one second to about ten, depending on the target.
  const double at_once = seconds_to_follow(0, 1);
  const double slow = seconds_to_follow(0.3, 1);
  EXPECT_GT(at_once, 0);
  EXPECT_LT(at_once, 4);
  EXPECT_GT(slow, at_once);
  EXPECT_GT(slow, 4);
  EXPECT_LT(slow, 40);
}

}  // namespace
}  // namespace sluice::bench
