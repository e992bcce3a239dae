// What a tick reports about tasks and node.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/policy_inputs.hpp"

namespace sluice::testing {
namespace {

std::ptrdiff_t notices(const Outcome& o, Notice::Kind kind) {
  return std::count_if(o.report.notices.begin(), o.report.notices.end(),
                       [&](const auto& n) { return n.kind == kind; });
}

TEST(Report, DemandIsWhatIsUsedAndWhatTheLimitHeldBack) {
  Bench b;
  b.add(1, cores(0.5));
  b.full();
  b.run_cpu(1, 100ms, 0.5, true, 2);
  const auto& r = b.full().report.tasks.at(0);
  EXPECT_NEAR(r.cpu_usage_cores.value(), 0.5, 1e-6);
  EXPECT_NEAR(r.cpu_demand_cores.value(), 2.5, 1e-6);
  EXPECT_FALSE(r.breaker_retry_at) << "a breaker that is closed tries nothing again";
}

TEST(Report, SaysWhyTheNodeIsSuspendedOfEachTask) {
  Bench b;
  b.add(1);
  b.full();
  b.commands.push_back(SuspendCommand{"", "new disks"});
  EXPECT_EQ(b.full().report.tasks.at(0).hold_reason, "new disks");
}

TEST(Report, MinimaOfMemoryThatExceedTheNodeAreToldOnceAndMissing) {
  Bench b;
  b.config.tasks[0].policy.memory.min_bytes = Bytes{10} << 30;
  b.add(1);
  b.add(2);
  std::ptrdiff_t told = 0;
  for (int i = 0; i < 5; ++i) told += notices(b.full(), Notice::Kind::minima_exceed_capacity);
  EXPECT_EQ(told, 1);
  EXPECT_TRUE(b.last.report.node.saturated);
  EXPECT_EQ(b.last.report.node.memory_missing, Bytes{4} << 30);
  b.full(1s);
  EXPECT_EQ(b.event().report.node.memory_missing, Bytes{4} << 30) << "an event tick looks at no memory";
  b.config.tasks[0].policy.memory.min_bytes = Bytes{1} << 30;
  b.full(6s);
  EXPECT_FALSE(b.last.report.node.saturated);
  EXPECT_EQ(b.last.report.node.memory_missing, 0U);
}

TEST(Report, AnOrderedMinimumIsNoScheduledOne) {
  Bench b;
  b.add(1, cores(0.5));
  b.full();
  b.state.tasks.at(CgroupId{1}).scheduled.min = Scheduled::Bound{0.2, 1h};
  EXPECT_TRUE(b.full().report.tasks.at(0).scheduled.min);
  SetBoundsCommand bounds;
  bounds.task = "t1";
  bounds.cpu_min_cores = 1;
  b.commands.emplace_back(bounds);
  const auto& o = b.full();
  EXPECT_FALSE(o.report.tasks.at(0).scheduled.min);
  const Write* w = write_to(o.plan, Knob::cpu_max);
  ASSERT_NE(w, nullptr);
  EXPECT_DOUBLE_EQ(number_of(w->value), 1);
  EXPECT_EQ(w->reason.rule, Rule::bound);
}

TEST(Report, ATaskThatIsListedTwiceCountsOnce) {
  Bench b;
  b.add(1);
  b.full();
  b.run_cpu(1, 100ms, 2, false);
  Input in;
  in.now = b.now + 100ms;
  in.node = b.node;
  in.tasks = {b.tasks.begin()->second};
  in.tasks[0].sample->read_at = in.now;
  const auto once = tick(in, b.config, b.state);
  in.tasks.push_back(in.tasks[0]);
  const auto twice = tick(in, b.config, b.state);
  EXPECT_GT(once.report.node.cpu_allocated_cores, 1);
  EXPECT_EQ(twice.report.node.cpu_allocated_cores, once.report.node.cpu_allocated_cores);
  EXPECT_EQ(twice.report.tasks.size(), 1U);
}

TEST(Report, AMemoryHighThatHungIsHeldAgainstItOnce) {
  Bench b;
  b.add(1, {}, mib(300));
  b.full();
  b.hold(b.state.tasks.at(CgroupId{1}).memory, Knob::memory_high, b.sample().memory_high.emplace(mib(300)));
  b.state.tasks.at(CgroupId{1}).memory_write_blocked = true;
  for (int i = 0; i < 20; ++i) b.full();
  EXPECT_GT(b.high(), 300.0 * Bench::kMiB) << "it is let go at once";
  EXPECT_FALSE(b.task().memory_control.write_blocked) << "and that is the end of it";
}

}  // namespace
}  // namespace sluice::testing
