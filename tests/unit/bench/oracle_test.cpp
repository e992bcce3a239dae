// The oracle is never late, always cheap, and stays within the number of writes.
#include "tests/bench/oracle.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

namespace sluice::bench {
namespace {

constexpr double kCell = 0.025;

// Steps and spikes of work, at most the cap in a cell.
ArrivedWork random_work(std::size_t seconds) {
  ArrivedWork out;
  const auto cells = static_cast<std::size_t>(static_cast<double>(seconds) / kCell);
  while (out.cpu_s.size() < cells) {
    const auto length = *rc::gen::inRange<std::size_t>(1, 200);
    const double cores = *rc::gen::inRange(0, 380) / 100.0;
    for (std::size_t i = 0; i < length && out.cpu_s.size() < cells; ++i) out.cpu_s.push_back(cores * kCell);
  }
  return out;
}

// Whether all work of a cell is finished within the deadline, counted from the start of the cell, if it can
// run from the end of the cell on.
bool in_time(const ArrivedWork& work, double deadline_s, const std::function<double(double)>& cores_at) {
  double arrived = 0;
  double served = 0;
  std::vector<double> arrived_by(work.cpu_s.size() + 1, 0);
  const auto cells = static_cast<std::size_t>(std::floor(deadline_s / kCell + 1e-9));
  for (std::size_t k = 1; k <= work.cpu_s.size(); ++k) {
    served = std::min(arrived, served + cores_at(static_cast<double>(k - 1) * kCell) * kCell);
    arrived += work.cpu_s[k - 1];
    arrived_by[k] = arrived;
    served = std::min(served, arrived);
    if (k + 1 > cells && served < arrived_by[k + 1 - cells] - 1e-4) return false;  // float quotas
  }
  return true;
}

double at(const Schedule& schedule, double t) {
  double cores = 0;
  for (const Change& c : schedule.changes) {
    if (c.at_s > t + 1e-9) break;
    cores = c.cores;
  }
  return cores;
}

double least_constant(const ArrivedWork& work, double deadline_s) {
  double low = 0;
  double high = 4;
  for (int i = 0; i < 40; ++i) {
    const double middle = (low + high) / 2;
    (in_time(work, deadline_s, [&](double) { return middle; }) ? high : low) = middle;
  }
  return high;
}

RC_GTEST_PROP(Oracle, IsNeverLateAndNeverAboveTheLeastConstantQuota, ()) {
  const ArrivedWork work = random_work(60);
  const double deadline = *rc::gen::element(0.25, 1.0, 5.0);
  const double rate = *rc::gen::element(6.0, 20.0, 60.0);
  const Schedule schedule = oracle(work, {.deadline_s = deadline, .writes_per_minute = rate});
  RC_ASSERT(in_time(work, deadline, [&](double t) { return at(schedule, t); }));
  // Its first deadlines are free. Its cells of 100 ms cost a little more if the deadline is long.
  RC_ASSERT(schedule.mean_cores <= least_constant(work, deadline - 0.2) * 1.001 + 0.01);
  RC_ASSERT(schedule.writes_per_minute <= rate);
}

RC_GTEST_PROP(Oracle, MoreWritesAndMorePatienceNeverCostMore, ()) {
  const ArrivedWork work = random_work(25);
  const auto cost = [&](double deadline, double rate) {
    return oracle(work, {.deadline_s = deadline, .writes_per_minute = rate}).mean_cores;
  };
  RC_ASSERT(cost(1, 60) <= cost(1, 20) * 1.001);
  RC_ASSERT(cost(5, 20) <= cost(1, 20) * 1.02);  // its states are a grid, finer for the shorter deadline
}

TEST(Oracle, TakesTheMeanOfALoadThatTheDeadlineSmoothes) {
  ArrivedWork work;
  for (int i = 0; i < 60 * 40; ++i)
    work.cpu_s.push_back(i % 40 < 10 ? 2 * kCell : 0);  // 2 cores, a quarter of the time
  const Schedule schedule = oracle(work, {.deadline_s = 5, .writes_per_minute = 2});
  EXPECT_NEAR(schedule.mean_cores, 0.5, 0.05);
}

TEST(Oracle, PaysForABurstThatTheDeadlineDoesNot) {
  ArrivedWork work;
  for (int i = 0; i < 60 * 40; ++i) work.cpu_s.push_back(i / 40 == 30 ? 3 * kCell : 0.1 * kCell);
  const Schedule few = oracle(work, {.deadline_s = 0.25, .writes_per_minute = 2});
  const Schedule many = oracle(work, {.deadline_s = 0.25, .writes_per_minute = 6});
  EXPECT_GT(few.mean_cores, 0.5) << "stretches of half a minute";
  EXPECT_LT(many.mean_cores, 0.2);
  const double peak = std::max_element(many.changes.begin(), many.changes.end(), [](auto& a, auto& b) {
                        return a.cores < b.cores;
                      })->cores;
  EXPECT_GT(peak, 2);
}

TEST(Oracle, WhatTheCapCannotDoInTimeIsDoneByTheCap) {
  ArrivedWork work;
  for (int i = 0; i < 60 * 40; ++i) work.cpu_s.push_back(i / 40 == 30 ? 12 * kCell : 0.1 * kCell);
  const Schedule schedule = oracle(work, {.deadline_s = 0.25, .writes_per_minute = 60});
  for (const Change& c : schedule.changes) EXPECT_LE(c.cores, 4.001);
  EXPECT_NEAR(at(schedule, 31.0), 4, 0.05);
  EXPECT_NEAR(at(schedule, 32.5), 4, 0.05) << "12 CPU-seconds take three";
}

}  // namespace
}  // namespace sluice::bench
