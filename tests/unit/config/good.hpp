// The meaning of a valid text: parsed without a problem, and compared key by key.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/unit/config/parse.hpp"

namespace sluice::config::test {

inline Config good(const std::vector<Source>& sources) {
  auto result = parse(sources);
  EXPECT_THAT(described(result), testing::IsEmpty());
  return result.value_or(Config{});
}

inline Config good(std::string text) {
  return good(std::vector<Source>{{"t.toml", std::move(text)}});
}

inline void expect_equal(const TaskPolicy& a, const TaskPolicy& b) {
  EXPECT_EQ(a.weight, b.weight);
  EXPECT_EQ(a.priority, b.priority);
  EXPECT_EQ(a.max_delay, b.max_delay);
  EXPECT_EQ(a.cpu.enabled, b.cpu.enabled);
  EXPECT_EQ(a.cpu.min_cores, b.cpu.min_cores);
  EXPECT_EQ(a.cpu.max_cores, b.cpu.max_cores);
  EXPECT_EQ(a.cpu.initial_cores, b.cpu.initial_cores);
  EXPECT_EQ(a.cpu.step_cores, b.cpu.step_cores);
  EXPECT_EQ(a.cpu.burst_ratio, b.cpu.burst_ratio);
  EXPECT_EQ(a.cpu.tolerance, b.cpu.tolerance);
  EXPECT_EQ(a.cpu.writes_per_minute, b.cpu.writes_per_minute);
  EXPECT_EQ(a.cpu.scaling, b.cpu.scaling);
  EXPECT_EQ(a.memory.enabled, b.memory.enabled);
  EXPECT_EQ(a.memory.min_bytes, b.memory.min_bytes);
  EXPECT_EQ(a.memory.max_bytes, b.memory.max_bytes);
  EXPECT_EQ(a.memory.pressure_target, b.memory.pressure_target);
  EXPECT_EQ(a.memory.interval, b.memory.interval);
  EXPECT_EQ(a.memory.tolerance, b.memory.tolerance);
  EXPECT_EQ(a.memory.writes_per_minute, b.memory.writes_per_minute);
  EXPECT_EQ(a.memory.scaling, b.memory.scaling);
  EXPECT_EQ(a.schedule, b.schedule);
  EXPECT_EQ(a.forecast, b.forecast);
}

inline void expect_equal(const Node& a, const Node& b) {
  EXPECT_EQ(a.mode, b.mode);
  EXPECT_EQ(a.tick, b.tick);
  EXPECT_EQ(a.discovery, b.discovery);
  EXPECT_EQ(a.sampling, b.sampling);
  EXPECT_EQ(a.cpu_reserve_cores, b.cpu_reserve_cores);
  EXPECT_EQ(a.memory_reserve_bytes, b.memory_reserve_bytes);
  EXPECT_EQ(a.on_foreign_write, b.on_foreign_write);
  EXPECT_EQ(a.share_by, b.share_by);
}

}  // namespace sluice::config::test
