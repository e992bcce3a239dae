// The memory study: known loads give known figures, and equal runs are equal.
#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "tests/bench/memory/study.hpp"
#include "tests/bench/nodes/study.hpp"

namespace sluice::bench {
namespace {

std::vector<MemoryTrace> cold_cache() {
  auto all = generated_memory_traces({.seconds = 700});
  std::erase_if(all, [](const MemoryTrace& t) { return t.name != "cold-cache"; });
  EXPECT_EQ(all.size(), 1U);
  return all;
}

const MemoryRow& row_of(const std::vector<MemoryRow>& rows, const std::string& policy, bool published) {
  const auto found = std::find_if(rows.begin(), rows.end(), [&](const MemoryRow& r) {
    return r.policy == policy && r.published == published;
  });
  EXPECT_NE(found, rows.end()) << policy;
  return *found;
}

TEST(MemoryStudy, StaticIsTheMeasureAndStallsNobody) {
  const auto rows = run_memory_study(cold_cache(), 1, 1);
  const MemoryRow& fixed = row_of(rows, "static", true);
  EXPECT_DOUBLE_EQ(fixed.in_use(), 1);
  EXPECT_DOUBLE_EQ(fixed.limit(), 1);
  EXPECT_EQ(fixed.figures.hangs, 0U);
  EXPECT_LT(fixed.figures.stall_share, 1e-4);
}

TEST(MemoryStudy, NobodyKeepsLessThanWhatReclaimCannotFree) {
  constexpr double kAnonAndKernel = 304.0 * (1 << 20);
  for (const MemoryRow& r : run_memory_study(cold_cache(), 1, 1)) {
    EXPECT_GE(r.figures.mean_bytes, kAnonAndKernel) << r.policy << " " << r.setting;
    EXPECT_LE(r.figures.stall_share, 1) << r.policy << " " << r.setting;
    EXPECT_EQ(r.violations, 0U) << r.policy << " " << r.setting;
  }
}

TEST(MemoryStudy, EqualSeedsGiveEqualRuns) {
  const auto one = run_memory_study(cold_cache(), 7, 1);
  const auto two = run_memory_study(cold_cache(), 7, 2);
  ASSERT_EQ(one.size(), two.size());
  for (std::size_t i = 0; i < one.size(); ++i) {
    EXPECT_EQ(one[i].figures.mean_bytes, two[i].figures.mean_bytes) << one[i].policy;
    EXPECT_EQ(one[i].figures.stall_share, two[i].figures.stall_share) << one[i].policy;
  }
}

// 600 MiB of anon under a limit of 500 hang, and the study reports it.
TEST(MemoryBed, SeesAHang) {
  MemoryTrace trace{.name = "hang", .seconds = 420, .spec = {}, .note = {}};
  trace.spec.anon = 100ULL << 20;
  trace.spec.anon_mib = simhost::Load::parse("shift:base=100,peak=600,start=350").value();
  MemoryBed bed(trace, 1, std::nullopt);
  bool limited = false;
  bed.run([&] {
    if (!std::exchange(limited, true)) bed.write_high(500.0 * (1 << 20));
  });
  EXPECT_GT(bed.figures().hangs, 0U);
  EXPECT_GT(bed.figures().hang_longest_s, 1);
  EXPECT_GT(bed.figures().stall_worst_10s, 0.5);
}

TEST(NodeStudy, SharesAddUpAndTheFreeNodeSatisfiesMost) {
  const auto traces = generated_traces({.seconds = 300}, 1);
  const auto rows = run_nodes(traces, {{.tasks = 8, .cores = 8, .seconds = 120}}, {.jobs = 1});
  ASSERT_EQ(rows.size(), 4U);
  for (const NodeRow& r : rows) {
    EXPECT_GT(r.overloaded_share, 0.02) << "demand is above capacity part of the time";
    EXPECT_LT(r.overloaded_share, 0.2);
    EXPECT_GE(r.satisfaction_mean, r.satisfaction_least);
    EXPECT_LE(r.used_share, 1.0 + 1e-9);
    EXPECT_GE(r.offered_to_usage, 1.0 - 1e-9) << "usage above the quota is impossible";
    EXPECT_EQ(r.violations, 0U) << r.policy;
  }
  EXPECT_EQ(rows[2].policy, "equal shares");
  EXPECT_NEAR(rows[2].sum_worst, 1, 0.001);
  EXPECT_EQ(rows[2].writes_worst_minute, 0U);
}

}  // namespace
}  // namespace sluice::bench
