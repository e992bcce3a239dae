#include "tests/simhost/bandwidth.hpp"

#include <gtest/gtest.h>

namespace sluice::simhost {
namespace {

constexpr double kMs = 1'000;

TEST(Bandwidth, UnlimitedAtFirst) {
  const Bandwidth b;
  EXPECT_FALSE(b.limited());
  EXPECT_EQ(b.runtime(), Bandwidth::kForever);
  EXPECT_EQ(b.next_boundary(), Bandwidth::kForever);
}

TEST(Bandwidth, RefillsAtPeriodStart) {
  Bandwidth b;
  b.set(20 * kMs, 100 * kMs, 0, 5 * kMs);
  EXPECT_EQ(b.runtime(), 20 * kMs);
  EXPECT_EQ(b.next_boundary(), 105 * kMs);
  b.consume(20 * kMs);
  b.throttle(25 * kMs, 1);
  b.catch_up(104 * kMs);
  EXPECT_TRUE(b.throttled());
  b.catch_up(105 * kMs);
  EXPECT_FALSE(b.throttled());
  EXPECT_EQ(b.runtime(), 20 * kMs);
  EXPECT_EQ(b.stat().nr_periods, 1U);
  EXPECT_EQ(b.stat().nr_throttled, 1U);
  EXPECT_EQ(b.stat().throttled, Usec(80'000));
}

TEST(Bandwidth, ARunQueueThatStopsLaterCountsFromThen) {
  Bandwidth b;
  b.set(20 * kMs, 100 * kMs, 0, 0);
  b.consume(20 * kMs);
  b.throttle(20 * kMs, 1);
  b.throttle_also(50 * kMs, 2);
  b.throttle_also(70 * kMs, 1);  // the run queue stays throttled after its thread has moved
  b.catch_up(100 * kMs);
  EXPECT_EQ(b.stat().throttled, Usec(130'000)) << "80 ms and 50 ms";
  b.throttle_also(110 * kMs, 2);
  b.consume(20 * kMs);
  b.throttle(120 * kMs, 1);
  b.catch_up(200 * kMs);
  EXPECT_EQ(b.stat().throttled, Usec(210'000)) << "80 ms more";
}

TEST(Bandwidth, AWriteRefillsAndWakesWhateverItSets) {
  Bandwidth b;
  b.set(20 * kMs, 100 * kMs, 0, 0);
  b.consume(20 * kMs);
  b.throttle(20 * kMs, 2);
  b.set(10 * kMs, 100 * kMs, 0, 50 * kMs);
  EXPECT_FALSE(b.throttled());
  EXPECT_EQ(b.runtime(), 10 * kMs);
  EXPECT_EQ(b.next_boundary(), 100 * kMs) << "the timer keeps its phase";
  b.catch_up(100 * kMs);
  EXPECT_EQ(b.stat().throttled, Usec(60'000)) << "two run queues for 30 ms";
  EXPECT_EQ(b.stat().nr_throttled, 0U) << "rescued before the period's end";
  EXPECT_EQ(b.granted_usec(), 30 * kMs) << "the pool was still full at the boundary";
}

TEST(Bandwidth, BurstCarriesUnusedRuntimeOver) {
  Bandwidth b;
  b.set(20 * kMs, 100 * kMs, 15 * kMs, 0);
  b.consume(5 * kMs);
  b.catch_up(100 * kMs);
  EXPECT_EQ(b.runtime(), 35 * kMs) << "20 + what was left, at most quota + burst";
  b.consume(30 * kMs);
  b.catch_up(200 * kMs);
  EXPECT_EQ(b.nr_bursts(), 1U);
  EXPECT_EQ(b.burst_time_usec(), 10 * kMs) << "of 30 used, 20 were the quota's";
}

TEST(Bandwidth, WhatABurstKeepsIsOfferedAgain) {
  Bandwidth b;
  b.set(20 * kMs, 100 * kMs, 15 * kMs, 0);
  EXPECT_EQ(b.take_most_usec(), 20 * kMs);
  b.consume(5 * kMs);
  b.catch_up(100 * kMs);
  EXPECT_EQ(b.offered_usec(), 55 * kMs) << "20 by the write, 35 at the boundary";
  EXPECT_EQ(b.granted_usec(), 40 * kMs) << "of which 15 had been granted before";
  b.consume(30 * kMs);
  EXPECT_EQ(b.take_most_usec(), 35 * kMs);
  EXPECT_EQ(b.take_most_usec(), 5 * kMs) << "nothing more came since";
}

TEST(Bandwidth, AWriteOfTheBurstRefillsToo) {
  Bandwidth b;
  b.set(20 * kMs, 100 * kMs, 0, 0);
  b.consume(20 * kMs);
  b.throttle(20 * kMs, 1);
  b.set(20 * kMs, 100 * kMs, 20 * kMs, 30 * kMs);
  EXPECT_FALSE(b.throttled());
  EXPECT_EQ(b.runtime(), 20 * kMs);
  b.set(20 * kMs, 100 * kMs, 20 * kMs, 30 * kMs);
  EXPECT_EQ(b.runtime(), 40 * kMs) << "as the kernel adds a quota at every write, up to quota and burst";
}

TEST(Bandwidth, IdlePeriodsAreNotCounted) {
  Bandwidth b;
  b.set(20 * kMs, 100 * kMs, 0, 0);
  b.consume(1 * kMs);
  b.catch_up(10'000 * kMs);
  EXPECT_EQ(b.stat().nr_periods, 2U) << "the one in use and the one that found nothing; then the timer stops";
  b.consume(1 * kMs);
  b.catch_up(10'100 * kMs);
  EXPECT_EQ(b.stat().nr_periods, 3U);
}

TEST(Bandwidth, MaxWakesAndForgetsThePeriod) {
  Bandwidth b;
  b.set(20 * kMs, 100 * kMs, 0, 0);
  b.consume(20 * kMs);
  b.throttle(20 * kMs, 1);
  b.set(std::nullopt, 100 * kMs, 0, 40 * kMs);
  EXPECT_FALSE(b.throttled());
  EXPECT_EQ(b.runtime(), Bandwidth::kForever);
  b.set(20 * kMs, 100 * kMs, 0, 1'000 * kMs);
  EXPECT_EQ(b.runtime(), 20 * kMs);
  EXPECT_EQ(b.next_boundary(), 1'100 * kMs);
}

}  // namespace
}  // namespace sluice::simhost
