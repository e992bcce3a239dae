// Forecasts in the tick: which tasks are observed, what outlives a task, and what is reported.
#include <gtest/gtest.h>

#include "tests/unit/policy_inputs.hpp"

namespace sluice {
namespace {

using namespace std::chrono_literals;
using testing::Bench;
using testing::cores;
using testing::write_to;

config::Config with(config::ForecastMode mode, std::chrono::seconds season = 10min) {
  auto c = testing::one_task_config();
  c.tasks[0].policy.forecast = {mode, season};
  return c;
}

// Ticks of one second with constant usage.
void run(Bench& b, std::chrono::seconds length, double usage) {
  for (std::chrono::seconds s{}; s < length; ++s) {
    ++b.wall.since_epoch;
    for (auto& [id, o] : b.tasks) b.run_cpu(id.value, 1s, usage, false);
    b.full(1s);
  }
}

// A trusted profile with a constant two cores.
SeasonProfile two_cores(std::chrono::seconds season = 10min) {
  SeasonProfile p = empty_profile(season);
  for (auto& bucket : p.buckets) bucket = {2, 0.1, 3};
  p.error_ratio = 0.05;
  p.compared = 3;
  return p;
}

constexpr double kFloor = 1.1 * (2 - 0.35 * 0.1);  // with kernel signals only

// The first tick contains the profiles of an earlier process.
struct Recalled : Bench {
  explicit Recalled(const config::Config& c, const SeasonProfile& p = two_cores()) : Bench(c) {
    wall.since_epoch = std::chrono::hours{1'000};
    add(1, cores(0.5));
    profiles.push_back({"t1", p});
    profiles.back().profile.seen_at = wall.since_epoch;
    full();
    full();
  }
};

TEST(ForecastGovernor, RaisesAheadAndSaysWhy) {
  Recalled b(with(config::ForecastMode::on));
  run(b, 3s, 0.2);
  EXPECT_NEAR(b.quota(), kFloor, 0.01);
  const auto& told = b.last.report.tasks[0];
  EXPECT_EQ(told.cpu_reason.rule, Rule::forecast);
  EXPECT_EQ(told.cpu_reason.demand_cores, 2);
  EXPECT_EQ(told.forecast.trust, ForecastTrust::trusted);
  EXPECT_TRUE(told.forecast.acts());
  EXPECT_EQ(told.forecast.seasons, 3U);
  EXPECT_EQ(told.forecast.cores, 2);
  EXPECT_EQ(told.forecast.error_ratio, 0.05);
}

TEST(ForecastGovernor, StaysWithinTheBounds) {
  auto c = with(config::ForecastMode::on);
  c.tasks[0].policy.cpu.max_cores = 1;
  Recalled b(c);
  run(b, 3s, 0.2);
  EXPECT_EQ(b.quota(), 1);
}

TEST(ForecastGovernor, ForecastOnlyTellsAndDoesNothing) {
  Recalled b(with(config::ForecastMode::forecast_only));
  run(b, 3s, 0.2);
  EXPECT_LE(b.quota(), 0.5);
  EXPECT_EQ(b.last.report.tasks[0].forecast.cores, 2);
  EXPECT_FALSE(b.last.report.tasks[0].forecast.acts());
}

TEST(ForecastGovernor, OffIsNotWatchedAndKeepsWhatWasLearned) {
  Recalled b(with(config::ForecastMode::off));
  run(b, 3s, 0.2);
  EXPECT_FALSE(b.task().forecaster);
  EXPECT_EQ(b.last.report.tasks[0].forecast.mode, config::ForecastMode::off);
  ASSERT_EQ(profiles_of(b.state).size(), 1U);
  b.config.tasks[0].policy.forecast.mode = config::ForecastMode::on;
  config_reloaded(b.state);
  run(b, 1s, 0.2);
  EXPECT_TRUE(b.last.report.tasks[0].forecast.acts());
  EXPECT_TRUE(b.state.profiles.empty());
}

TEST(ForecastGovernor, ATaskThatComesBackIsKnownByItsName) {
  Recalled b(with(config::ForecastMode::on));
  b.tasks.clear();
  run(b, 60s, 0);
  ASSERT_EQ(b.state.profiles.size(), 1U);
  b.add(7, cores(0.5)).read_at = b.now;
  b.tasks.at(CgroupId{7}).facts.name = "t1";
  run(b, 3s, 0.2);
  EXPECT_NEAR(b.quota(7), kFloor, 0.01);
  // In one tick: the old cgroup vanishes, the new one appears.
  b.tasks.clear();
  b.add(9, cores(0.5));
  b.tasks.at(CgroupId{9}).facts.name = "t1";
  run(b, 3s, 0.2);
  EXPECT_NEAR(b.quota(9), kFloor, 0.01);
  EXPECT_TRUE(b.state.profiles.empty());
}

TEST(ForecastGovernor, AnAbsentTaskIsForgottenAfterAFewSeasons) {
  Recalled b(with(config::ForecastMode::on));
  b.add(2, cores(0.5));
  b.tasks.at(CgroupId{2}).facts.name = "other";
  run(b, 2s, 0.2);
  b.tasks.erase(CgroupId{1});
  run(b, 2s, 0.2);
  EXPECT_TRUE(b.state.profiles.contains("t1"));
  b.wall.since_epoch += 6 * 10min;
  run(b, 2s, 0.2);
  b.tasks.erase(CgroupId{2});
  run(b, 2s, 0.2);
  EXPECT_FALSE(b.state.profiles.contains("t1"));
  EXPECT_TRUE(b.state.profiles.contains("other")) << "it was there a moment ago";
}

TEST(ForecastGovernor, AbsentTasksAreBounded) {
  Bench b(with(config::ForecastMode::on));
  b.wall.since_epoch = std::chrono::hours{1'000};
  for (int i = 0; i < 1'100; ++i) {
    auto p = two_cores();
    p.seen_at = b.wall.since_epoch - std::chrono::seconds(i);
    b.profiles.push_back({"n" + std::to_string(i), p});
  }
  b.full();
  EXPECT_EQ(b.state.profiles.size(), 1'000U);
  EXPECT_TRUE(b.state.profiles.contains("n0"));
  EXPECT_FALSE(b.state.profiles.contains("n1099")) << "the longest gone";
}

TEST(ForecastGovernor, AnotherSeasonBeginsAnew) {
  Recalled b(with(config::ForecastMode::on, 1h));
  run(b, 3s, 0.2);
  EXPECT_EQ(b.last.report.tasks[0].forecast.trust, ForecastTrust::learning);
  EXPECT_EQ(b.task().forecaster->profile.season, 1h);
}

TEST(ForecastGovernor, WhatIsNoProfileIsLeftOut) {
  auto p = two_cores();
  p.buckets.resize(3);
  Recalled b(with(config::ForecastMode::on), p);
  run(b, 3s, 0.2);
  EXPECT_EQ(b.task().forecaster->profile.buckets.size(), 60U);
  EXPECT_LE(b.quota(), 0.5);
}

TEST(ForecastGovernor, ASuspendedTaskTeachesNothing) {
  Bench b(with(config::ForecastMode::on));
  b.wall.since_epoch = std::chrono::hours{1'000};
  b.add(1, cores(0.5));
  run(b, 2s, 0.2);
  b.commands.emplace_back(SuspendCommand{"t1", "looking into it"});
  run(b, 60s, 0.2);
  for (const auto& bucket : b.task().forecaster->profile.buckets) EXPECT_EQ(bucket.seasons, 0U);
  b.commands.emplace_back(ResumeCommand{"t1"});
  run(b, 60s, 0.2);
  std::uint32_t seasons = 0;
  for (const auto& bucket : b.task().forecaster->profile.buckets) seasons += bucket.seasons;
  EXPECT_GE(seasons, 4U);
}

}  // namespace
}  // namespace sluice
