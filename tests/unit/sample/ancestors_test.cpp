#include "daemon/sample/ancestors.hpp"

#include <gtest/gtest.h>

#include "tests/unit/cgroups/plain_tree.hpp"

namespace sluice::sample {
namespace {

using test::PlainTree;
using namespace std::chrono_literals;

class AncestorsTest : public testing::Test {
 protected:
  AncestorsTest() { tree.make_dir("a.slice/b.slice/t"); }
  Sample sample(Nsec now, std::optional<Bytes> swap_free = 1'000'000) const {
    Sample s;
    s.swap_free = swap_free;
    Ancestors::apply(chain, tree.root(), MonotonicTime{now}, s);
    return s;
  }
  PlainTree tree;
  Ancestors ancestors;
  Ancestors::Chain chain = ancestors.of("/a.slice/b.slice/t");
};

TEST_F(AncestorsTest, WithoutFilesTheyLimitNothing) {
  const Sample s = sample(1s);
  EXPECT_FALSE(s.ancestor_cpu || s.ancestor_memory);
  EXPECT_EQ(s.swap_free, 1'000'000u);
}

TEST_F(AncestorsTest, TheSmallestQuotaIsNamed) {
  tree.put("a.slice/cpu.max", "150000 100000\n");
  tree.put("a.slice/b.slice/cpu.max", "max 100000\n");
  Sample s = sample(1s);
  ASSERT_TRUE(s.ancestor_cpu);
  EXPECT_EQ(s.ancestor_cpu->max_cores, 1.5);
  EXPECT_EQ(s.ancestor_cpu->path, "/a.slice");
  tree.put("a.slice/b.slice/cpu.max", "50000 100000\n");
  s = sample(3s);
  EXPECT_EQ(s.ancestor_cpu->max_cores, 0.5);
  EXPECT_EQ(s.ancestor_cpu->path, "/a.slice/b.slice");
}

TEST_F(AncestorsTest, WhatTheyThrottleIsCountedBetweenTwoReadings) {
  const auto stat = [&](int periods, int throttled) {
    tree.put("a.slice/cpu.stat", "usage_usec 1\nuser_usec 1\nsystem_usec 0\nnr_periods " +
                                     std::to_string(periods) + "\nnr_throttled " + std::to_string(throttled) +
                                     "\nthrottled_usec 0\n");
  };
  tree.put("a.slice/cpu.max", "150000 100000\n");
  stat(100, 40);
  EXPECT_EQ(sample(1s).ancestor_cpu->periods, 0u) << "of one reading nothing is known";
  stat(110, 45);
  Sample s = sample(2s);
  EXPECT_EQ(s.ancestor_cpu->periods, 10u);
  EXPECT_EQ(s.ancestor_cpu->throttled_periods, 5u);
  stat(5, 1);
  EXPECT_EQ(sample(3s).ancestor_cpu->periods, 0u) << "counters that ran backwards say nothing";
}

TEST_F(AncestorsTest, EachIsReadOnceASecondAtMostAndSharedBetweenTasks) {
  tree.put("a.slice/cpu.max", "150000 100000\n");
  ASSERT_TRUE(sample(1s).ancestor_cpu);
  tree.put("a.slice/cpu.max", "250000 100000\n");
  const auto other = ancestors.of("/a.slice/u");
  EXPECT_EQ(other.at(0), chain.at(1));
  Sample s;
  Ancestors::apply(other, tree.root(), since_boot(1900ms), s);
  EXPECT_EQ(s.ancestor_cpu->max_cores, 1.5);
  EXPECT_EQ(sample(2s).ancestor_cpu->max_cores, 2.5);
}

TEST_F(AncestorsTest, MemoryIsTheLeastOfAllTheirLimits) {
  tree.put("a.slice/memory.high", "9000\n");
  tree.put("a.slice/memory.max", "max\n");
  tree.put("a.slice/b.slice/memory.high", "max\n");
  tree.put("a.slice/b.slice/memory.max", "8192\n");
  EXPECT_EQ(sample(1s).ancestor_memory, 8192u);
}

TEST_F(AncestorsTest, SwapIsWhatTheyLeaveOfIt) {
  tree.put("a.slice/memory.swap.max", "1000\n");
  tree.put("a.slice/memory.swap.current", "400\n");
  tree.put("a.slice/b.slice/memory.swap.max", "max\n");
  EXPECT_EQ(sample(1s).swap_free, 600u);
  EXPECT_EQ(sample(1s, 100).swap_free, 100u);
  EXPECT_EQ(sample(1s, std::nullopt).swap_free, std::nullopt);
  tree.put("a.slice/b.slice/memory.swap.max", "0\n");
  EXPECT_EQ(sample(2s).swap_free, 0u);
  EXPECT_EQ(sample(2s, std::nullopt).swap_free, 0u) << "nothing is certain, whatever the host has";
  tree.put("a.slice/b.slice/memory.swap.max", "what\n");
  EXPECT_EQ(sample(3s).swap_free, std::nullopt) << "not understood is not known";
}

TEST_F(AncestorsTest, ASliceThatIsMadeAnewIsFoundAgain) {
  tree.put("a.slice/cpu.stat", "usage_usec 1\nuser_usec 1\nsystem_usec 0\n");
  tree.put("a.slice/cpu.max", "150000 100000\n");
  ASSERT_TRUE(sample(1s).ancestor_cpu);
  tree.remove("a.slice");
  EXPECT_FALSE(sample(2s).ancestor_cpu);
  tree.put("a.slice/cpu.stat", "usage_usec 1\nuser_usec 1\nsystem_usec 0\n");
  tree.put("a.slice/cpu.max", "50000 100000\n");
  EXPECT_EQ(sample(3s).ancestor_cpu->max_cores, 0.5);
}

}  // namespace
}  // namespace sluice::sample
