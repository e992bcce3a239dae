// The effect of administrators' commands on the limits: suspensions, pins, bounds and modes.
#include <gtest/gtest.h>

#include "tests/unit/tick/governed.hpp"

namespace sluice::testing {
namespace {

TEST(Governor, SuspendGivesTheBaselineBackAndResumeGovernsOn) {
  Bench b = governed();
  b.commands.push_back(SuspendCommand{"t1", "maintenance"});
  b.full();
  b.full();
  EXPECT_DOUBLE_EQ(b.quota(), 3);
  for (int i = 0; i < 50; ++i) {
    b.run_cpu(1, 100ms, 0.5, false);
    EXPECT_TRUE(b.full().plan.writes.empty());
  }
  EXPECT_EQ(b.last.report.tasks[0].mode, TaskMode::suspended);
  EXPECT_EQ(b.last.report.tasks[0].hold_reason, "maintenance");
  b.commands.push_back(ResumeCommand{"t1"});
  for (int i = 0; i < 50; ++i) {
    b.run_cpu(1, 100ms, 0.5, false);
    b.full();
  }
  EXPECT_LT(b.quota(), 1);
}

TEST(Governor, SuspendOfTheNodeReleasesEveryTask) {
  Bench b = governed();
  b.commands.push_back(SuspendCommand{"", "x"});
  b.full();
  b.full();
  EXPECT_DOUBLE_EQ(b.quota(), 3);
}

TEST(Governor, APinHoldsUntilItLapses) {
  Bench b = governed();
  PinCommand pin;
  pin.task = "t1";
  pin.cpu_cores = 2.5;
  pin.until = b.now + 2s;
  b.commands.push_back(pin);
  b.event();
  b.full();
  EXPECT_DOUBLE_EQ(b.quota(), 2.5);
  for (int i = 0; i < 15; ++i) {
    b.run_cpu(1, 100ms, 0.5, false);
    b.full();
    EXPECT_DOUBLE_EQ(b.quota(), 2.5);
  }
  for (int i = 0; i < 50; ++i) {
    b.run_cpu(1, 100ms, 0.5, false);
    b.full();
  }
  EXPECT_LT(b.quota(), 1);
}

TEST(Governor, APinDoesNotWaitForTheBudget) {
  auto config = one_task_config();
  config.tasks[0].policy.cpu.writes_per_minute = 1;
  Bench b(config);
  b.add(1, cores(3));
  for (int i = 0; i < 40; ++i) {
    b.run_cpu(1, 100ms, 0.5, false);
    b.full();
  }
  PinCommand pin;
  pin.task = "t1";
  pin.cpu_cores = 2;
  for (const double wanted : {2.0, 1.5, 2.5}) {
    pin.cpu_cores = wanted;
    b.commands.push_back(pin);
    b.full();
    b.full();
    EXPECT_DOUBLE_EQ(b.quota(), wanted);
  }
}

TEST(Governor, APinOfAVanishedOwnerLapses) {
  Bench b = governed();
  PinCommand pin;
  pin.task = "t1";
  pin.cpu_cores = 2;
  pin.owner = ":1.5";
  b.commands.push_back(pin);
  b.full();
  EXPECT_TRUE(b.pinned());
  b.commands.push_back(OwnerVanishedCommand{":1.6"});
  b.full();
  EXPECT_TRUE(b.pinned());
  b.commands.push_back(OwnerVanishedCommand{":1.5"});
  b.full();
  EXPECT_FALSE(b.pinned());
}

TEST(Governor, DryRunWritesNothingAndTellsWhatItWould) {
  auto config = one_task_config();
  config.node.mode = config::Mode::dry_run;
  Bench b(config);
  b.add(1, cores(3));
  b.full();
  std::size_t told = 0;
  for (int i = 0; i < 60; ++i) {
    b.run_cpu(1, 100ms, 0.5, false);
    const auto& out = b.full();
    EXPECT_TRUE(out.plan.dry_run || out.plan.writes.empty());
    told += out.report.adjustments.size();
  }
  EXPECT_EQ(b.sample().cpu_max, cores(3));
  EXPECT_GE(told, 1U);
  EXPECT_LE(told, 6U);
  EXPECT_TRUE(b.stop_plan().writes.empty());
}

TEST(Governor, LeavingEnforceRestoresForReal) {
  Bench b = governed();
  b.commands.push_back(SetModeCommand{config::Mode::dry_run});
  const auto plan = b.full().plan;
  EXPECT_FALSE(plan.dry_run);
  ASSERT_NE(write_to(plan, Knob::cpu_max), nullptr);
  EXPECT_EQ(write_to(plan, Knob::cpu_max)->reason.rule, Rule::released);
  b.full();
  EXPECT_EQ(b.sample().cpu_max, cores(3));
}

TEST(Governor, CommandsAreCheckedAgainstTheLastReport) {
  Bench b = governed();
  const Report& r = b.last.report;
  PinCommand pin;
  pin.task = "nobody";
  pin.cpu_cores = 1;
  EXPECT_EQ(check_command(pin, r).error().kind, CommandError::Kind::no_such_task);
  pin.task = "t1";
  EXPECT_TRUE(check_command(pin, r));
  pin.cpu_cores = 400;
  EXPECT_EQ(check_command(pin, r).error().kind, CommandError::Kind::limit_out_of_range);
  SetBoundsCommand bounds;
  bounds.task = "t1";
  bounds.cpu_min_cores = 3;
  bounds.cpu_max_cores = 2;
  EXPECT_EQ(check_command(bounds, r).error().kind, CommandError::Kind::limit_out_of_range);
  ReportLoadCommand load;
  load.task = "t1";
  load.load.lag = -1;
  EXPECT_FALSE(check_command(load, r));
}

TEST(Governor, SetBoundsMovesAValueThatIsOutside) {
  Bench b = governed();
  SetBoundsCommand bounds;
  bounds.task = "t1";
  bounds.cpu_min_cores = 1.5;
  b.commands.push_back(bounds);
  b.full();
  b.full();
  EXPECT_DOUBLE_EQ(b.quota(), 1.5);
  config_reloaded(b.state);
  EXPECT_EQ(b.hold_of(), nullptr) << "the config's word again after a reload";
}

}  // namespace
}  // namespace sluice::testing
