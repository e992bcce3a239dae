// Implausible commands over the bus are refused, and accepted ones take effect.
#include <gtest/gtest.h>

#include "tests/unit/policy_inputs.hpp"

namespace sluice::testing {
namespace {

constexpr Bytes kMiB = Bench::kMiB;

// 64 MiB to 1 GiB, of which it has 256 MiB in use; a node of 16 GiB.
Bench bounded() {
  auto config = one_task_config();
  config.tasks.front().policy.memory.min_bytes = 128 * kMiB;
  config.tasks.front().policy.memory.max_bytes = 1024 * kMiB;
  Bench b(config);
  b.add(1);
  b.full();
  return b;
}

std::string refusal(const Bench& b, const Command& command) {
  const auto checked = check_command(command, b.last.report);
  return checked ? "" : checked.error().message;
}
SetBoundsCommand memory_bounds(std::optional<Bytes> min, std::optional<Bytes> max) {
  SetBoundsCommand c;
  c.task = "t1";
  c.memory_min = min;
  c.memory_max = max;
  return c;
}

TEST(SetBounds, OfMemoryMustNotContradictWhatIsInForce) {
  const Bench b = bounded();
  EXPECT_EQ(refusal(b, memory_bounds(512 * kMiB, std::nullopt)), "");
  EXPECT_EQ(refusal(b, memory_bounds(std::nullopt, 512 * kMiB)), "");
  EXPECT_EQ(refusal(b, memory_bounds(4096 * kMiB, std::nullopt)),
            "memory bounds must satisfy MemoryMin <= MemoryMax, and not 4294967296 and 1073741824 bytes; "
            "name both, if "
            "both are to move");
  EXPECT_NE(refusal(b, memory_bounds(std::nullopt, 1 * kMiB)), "");
  EXPECT_NE(refusal(b, memory_bounds(512 * kMiB, 256 * kMiB)), "");
  EXPECT_EQ(refusal(b, memory_bounds(2048 * kMiB, 4096 * kMiB)), "") << "both move";
}

TEST(SetBounds, AMaximumBelowWhatCannotBeFreedSaysSo) {
  Bench b = bounded();
  b.sample().memory_stat->anon = 600 * kMiB;
  b.full();
  EXPECT_NE(refusal(b, memory_bounds(std::nullopt, 512 * kMiB)).find("what reclaim cannot free"),
            std::string::npos);
}

TEST(SetBounds, OfCpuMustNotContradictWhatIsInForce) {
  const Bench b = bounded();
  SetBoundsCommand c;
  c.task = "t1";
  c.cpu_min_cores = 5;
  EXPECT_NE(refusal(b, c), "") << "of 4";
}

ReportLoadCommand load(std::optional<double> lag, std::optional<double> age_seconds = {}) {
  LoadReport report;
  report.lag = lag;
  report.oldest_age_seconds = age_seconds;
  return {"t1", report, MonotonicTime{2000s}};
}

TEST(ReportLoad, WhatNothingGoesByIsRefused) {
  Bench b = bounded();
  EXPECT_EQ(refusal(b, load(1)), "");
  EXPECT_EQ(refusal(b, load(1, 2)), "");
  EXPECT_NE(refusal(b, load({}, 2)), "");
  EXPECT_NE(refusal(b, load(-1)), "");
  b.config.tasks.front().policy.cpu.enabled = false;
  b.full();
  EXPECT_NE(refusal(b, load(1)).find("cpu.enabled = false"), std::string::npos);
}

// ---- pressure that cannot be measured

TEST(Pressure, ThatCannotBeReadIsToldOnceAndWhenItIsBack) {
  Bench b = bounded();
  const auto told = [&](Notice::Kind kind) {
    std::size_t n = 0;
    for (const auto& notice : b.last.report.notices) n += notice.kind == kind ? 1U : 0U;
    return n;
  };
  std::size_t unknown = 0, known = 0;
  const auto run = [&](int ticks) {
    for (int i = 0; i < ticks; ++i) {
      b.full();
      unknown += told(Notice::Kind::pressure_unknown);
      known += told(Notice::Kind::pressure_known);
    }
  };
  run(20);
  EXPECT_EQ(unknown + known, 0U);
  b.sample().memory_pressure.reset();
  run(5);
  EXPECT_EQ(unknown, 0U) << "one that is missed for a moment is no gap";
  run(20);
  EXPECT_EQ(unknown, 1U);
  EXPECT_EQ(b.last.report.node.pressure_unknown, 1U);
  EXPECT_TRUE(b.last.report.tasks.front().pressure_unknown);
  b.sample().memory_pressure = PressureTotals{};
  run(20);
  EXPECT_EQ(known, 1U);
  EXPECT_EQ(b.last.report.node.pressure_unknown, 0U);
}

TEST(Pressure, OfATaskWhoseMemoryIsNotGovernedDoesNotMatter) {
  auto config = one_task_config();
  config.tasks.front().policy.memory.enabled = false;
  Bench b(config);
  b.add(1).memory_pressure.reset();
  for (int i = 0; i < 20; ++i) b.full();
  EXPECT_EQ(b.last.report.node.pressure_unknown, 0U);
}

}  // namespace
}  // namespace sluice::testing
