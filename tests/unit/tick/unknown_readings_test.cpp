// An implausible number affects no other task: the reading is unknown, reported once, and lowers no limit.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/policy_inputs.hpp"

namespace sluice::testing {
namespace {

constexpr Bytes kBelowZero = ~Bytes{0} - 4095;

std::vector<std::string_view> files_reported(const Outcome& o) {
  std::vector<std::string_view> files;
  for (const auto& n : o.report.notices) {
    if (n.kind == Notice::Kind::reading_unknown) files.push_back(n.file);
  }
  return files;
}

TEST(UnknownReading, StaysLocalAndIsReportedOnce) {
  Bench b;
  for (auto& rule : b.config.tasks) rule.policy.memory.max_bytes = 950 * Bench::kMiB;
  for (const std::uint64_t id : {1U, 2U}) {
    Sample& s = b.add(id, cores(1), mib(900));
    s.memory_current = 800 * Bench::kMiB;
    s.memory_stat =
        MemoryStat{.anon = 100 * Bench::kMiB, .file = 690 * Bench::kMiB, .unreclaimable = 2 * Bench::kMiB};
  }
  b.node.memory_capacity = Bytes{4} << 30;
  for (int i = 0; i < 5; ++i) b.full();
  const double before = b.high(1);
  b.sample(1).memory_stat->anon = kBelowZero;
  std::vector<std::string_view> reported;
  for (int i = 0; i < 50; ++i) {
    const auto& out = b.full();
    for (const auto file : files_reported(out)) reported.push_back(file);
    EXPECT_FALSE(out.report.node.saturated);
    EXPECT_EQ(out.report.node.memory_missing, 0U);
    EXPECT_EQ(write_to(out.plan, Knob::memory_high, 1), nullptr) << "neither up nor down";
    for (const auto& n : out.report.notices) EXPECT_NE(n.kind, Notice::Kind::plan_violation);
  }
  EXPECT_EQ(reported, std::vector<std::string_view>{"memory.stat"});
  EXPECT_EQ(b.high(1), before);
  EXPECT_GT(b.high(2), 600.0 * Bench::kMiB) << "the other goes on as before";
}

TEST(UnknownReading, ACounterThatRunsBackwardsIsNoRate) {
  Bench b;
  b.add(1, cores(2));
  for (int i = 0; i < 30; ++i) {
    b.run_cpu(1, 100ms, 1.5, false);
    b.full();
  }
  const double before = b.quota();
  const Usec usage = b.sample().cpu->usage;
  b.sample().cpu->usage = 0us;
  EXPECT_EQ(files_reported(b.full()), std::vector<std::string_view>{"cpu.stat"});
  EXPECT_FALSE(b.task().signals.usage_cores);
  b.sample().cpu->usage = usage;
  b.full();
  EXPECT_FALSE(b.task().signals.usage_cores) << "the way back is no rate either";
  for (int i = 0; i < 20; ++i) {
    b.run_cpu(1, 100ms, 1.5, false);
    EXPECT_TRUE(files_reported(b.full()).empty());
  }
  EXPECT_NEAR(b.quota(), before, 0.3);
}

TEST(UnknownReading, ANodeThatCannotBeIsTheLastOneThatCould) {
  Bench b;
  b.add(1, cores(2), mib(600));
  for (int i = 0; i < 30; ++i) {
    b.run_cpu(1, 100ms, 1.5, false);
    b.full();
  }
  const double quota = b.quota(), high = b.high();
  b.node = {0, 0};
  std::size_t reported = 0;
  for (int i = 0; i < 20; ++i) {
    b.run_cpu(1, 100ms, 1.5, false);
    reported += files_reported(b.full()).size();
    EXPECT_EQ(b.last.report.node.cpu_capacity_cores, 8);
    EXPECT_FALSE(b.last.report.node.saturated);
  }
  EXPECT_EQ(reported, 1U);
  EXPECT_NEAR(b.quota(), quota, 0.3);
  EXPECT_GE(b.high(), 0.8 * high);
}

TEST(UnknownReading, BeforeAnyNodeIsKnownNobodyIsCut) {
  Bench b;
  b.node = {0, 0};
  b.add(1, cores(2), mib(600));
  for (int i = 0; i < 10; ++i) {
    b.run_cpu(1, 100ms, 1.9, false);
    b.full();
  }
  EXPECT_EQ(b.quota(), 2);
  EXPECT_FALSE(b.last.report.node.saturated);
}

}  // namespace
}  // namespace sluice::testing
