// Which commands are accepted, and how a command affects other holds.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/unit/tick/governed.hpp"

namespace sluice::testing {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
using Kind = CommandError::Kind;

Bench one_task() {
  Bench b;
  b.add(1, cores(3));
  b.full();
  b.full();
  return b;
}

PinCommand pin_of(double cpu_cores, std::optional<Bytes> memory = {}) {
  PinCommand pin;
  pin.task = "t1";
  pin.cpu_cores = cpu_cores;
  pin.memory_high = memory;
  return pin;
}

TaskMode mode_of(const Bench& b) {
  return b.last.report.tasks.at(0).mode;
}

// ---- refused commands

TEST(CommandChecks, APinIsWithinTheBoundsOfItsTask) {
  Bench b = one_task();
  const auto& task = b.last.report.tasks[0];
  const auto refused = [&](std::optional<double> cpu, std::optional<Bytes> memory) {
    PinCommand pin = pin_of(0, memory);
    pin.cpu_cores = cpu;
    const auto checked = check_command(pin, b.last.report);
    EXPECT_TRUE(checked || checked.error().kind == Kind::limit_out_of_range);
    return !checked;
  };
  EXPECT_FALSE(refused(task.cpu_min_cores, task.memory_min));
  EXPECT_FALSE(refused(task.cpu_max_cores, task.memory_max));
  EXPECT_TRUE(refused(task.cpu_min_cores * 0.99, {}));
  EXPECT_TRUE(refused(task.cpu_max_cores * 1.01, {}));
  EXPECT_TRUE(refused(kNaN, {}));
  EXPECT_TRUE(refused({}, task.memory_min - 1));
  EXPECT_TRUE(refused({}, task.memory_max + 1));
  EXPECT_TRUE(refused({}, {})) << "a pin of nothing";
}

TEST(CommandChecks, APinIsItsOwners) {
  Bench b = one_task();
  auto pin = pin_of(2);
  pin.owner = ":1.5";
  b.commands = {pin};
  b.full();
  EXPECT_TRUE(check_command(pin, b.last.report)) << "who may change it";
  pin.owner = ":1.6";
  EXPECT_EQ(check_command(pin, b.last.report).error().kind, Kind::pinned);
}

TEST(CommandChecks, BoundsAreOrderedAndWithinTheNode) {
  Bench b = one_task();
  const auto& node = b.last.report.node;
  const double min = b.last.report.tasks[0].cpu_min_cores;
  using Cores = std::optional<double>;
  using Size = std::optional<Bytes>;
  const auto refused = [&](Cores cpu_min, Cores cpu_max, Size memory_min = {}, Size memory_max = {}) {
    const auto checked =
        check_command(SetBoundsCommand{"t1", cpu_min, cpu_max, memory_min, memory_max}, b.last.report);
    EXPECT_TRUE(checked || checked.error().kind == Kind::limit_out_of_range);
    return !checked;
  };
  EXPECT_FALSE(refused(1, 2, 100, 200));
  EXPECT_FALSE(refused(0.01, node.cpu_capacity_cores, node.memory_capacity, node.memory_capacity));
  EXPECT_TRUE(refused(2, 1.9));
  EXPECT_TRUE(refused({}, min / 2)) << "below the minimum that holds";
  EXPECT_TRUE(refused(0.009, 1));
  EXPECT_TRUE(refused(kNaN, {}));
  EXPECT_TRUE(refused(1, node.cpu_capacity_cores + 0.1));
  EXPECT_TRUE(refused({}, {}, 200, 100));
  EXPECT_TRUE(refused({}, {}, {}, 0));
  EXPECT_TRUE(refused({}, {}, {}, node.memory_capacity + 1));
  EXPECT_TRUE(refused({}, {}, node.memory_capacity + 1, {}));
}

TEST(CommandChecks, AReportedLoadIsFiniteAndZeroOrMore) {
  Bench b = one_task();
  for (const auto field : {&LoadReport::lag, &LoadReport::processed, &LoadReport::oldest_age_seconds,
                           &LoadReport::backlog_cpu_seconds}) {
    ReportLoadCommand command;
    command.task = "t1";
    command.load.lag = 0;  // the unit of the other fields
    command.load.*field = 0;
    EXPECT_TRUE(check_command(command, b.last.report));
    for (const double wrong : {-1.0, kNaN, kInfinity}) {
      command.load.*field = wrong;
      EXPECT_FALSE(check_command(command, b.last.report)) << wrong;
    }
  }
}

// ---- holds

TEST(Commands, APinAndASuspensionEndEachForItself) {
  for (const bool pin_first : {false, true}) {
    Bench b = one_task();
    b.commands = {pin_of(2), SuspendCommand{"t1", "test"}};
    b.full();
    EXPECT_EQ(mode_of(b), TaskMode::suspended);
    b.commands = {pin_first ? Command{UnpinCommand{"t1"}} : Command{ResumeCommand{"t1"}}};
    b.full();
    EXPECT_EQ(mode_of(b), pin_first ? TaskMode::suspended : TaskMode::pinned);
    b.commands = {pin_first ? Command{ResumeCommand{"t1"}} : Command{UnpinCommand{"t1"}}};
    b.full();
    EXPECT_EQ(mode_of(b), TaskMode::governed);
  }
}

TEST(Commands, APinThatLapsesLeavesTheSuspension) {
  Bench b = one_task();
  auto pin = pin_of(2);
  pin.until = b.now + 1s;
  b.commands = {pin, SuspendCommand{"t1", "test"}};
  b.full();
  ASSERT_TRUE(b.pinned());
  b.full(2s);
  EXPECT_FALSE(b.pinned());
  EXPECT_EQ(mode_of(b), TaskMode::suspended);
}

TEST(Commands, APinWithoutAnOwnerOutlivesEveryConnection) {
  Bench b = one_task();
  b.commands = {pin_of(2), OwnerVanishedCommand{""}};
  b.full();
  EXPECT_TRUE(b.pinned());
}

TEST(Commands, NewBoundsLeaveThoseThatTheyDoNotName) {
  Bench b = one_task();
  SetBoundsCommand low, high;
  low.task = high.task = "t1";
  low.cpu_min_cores = 1;
  low.memory_max = Bytes{1} << 30;
  high.cpu_max_cores = 2;
  b.commands = {low};
  b.full();
  b.commands = {high};
  b.full();
  const auto& task = b.last.report.tasks[0];
  EXPECT_EQ(task.cpu_min_cores, 1);
  EXPECT_EQ(task.cpu_max_cores, 2);
  EXPECT_EQ(task.memory_max, Bytes{1} << 30);
}

TEST(Commands, AHoldIsOfTheNameNotOfTheCgroup) {
  Bench b = one_task();
  b.commands = {SuspendCommand{"t1", "test"}};
  b.full();
  ASSERT_EQ(mode_of(b), TaskMode::suspended);
  b.tasks.at(CgroupId{1}).facts.name = "z";
  b.full();
  EXPECT_EQ(mode_of(b), TaskMode::governed);
}

TEST(Commands, ResumeEndsYieldingAndTheBreakersWait) {
  Bench b = one_task();
  b.hold(b.state.tasks.at(CgroupId{1}).cpu, Knob::cpu_max, cores(1));
  b.sample().cpu_max = cores(1.7);
  b.full();
  ASSERT_EQ(mode_of(b), TaskMode::yielding);
  b.state.tasks.at(CgroupId{1}).breaker.state = BreakerState::open;
  b.state.tasks.at(CgroupId{1}).breaker.retry_at = b.now + 10min;
  b.commands = {ResumeCommand{"t1"}};
  b.full();
  EXPECT_EQ(mode_of(b), TaskMode::governed);
  EXPECT_EQ(b.last.report.tasks[0].breaker, BreakerState::closed);
}

TEST(Commands, AReloadEndsModesBoundsAndSchedulesAndKeepsPins) {
  auto config = one_task_config();
  config::Calendar always;
  always.hours = 0xffffff;
  always.minutes = 1;
  config.tasks[0].policy.schedule = {{always, std::chrono::hours(1), 1.5, std::nullopt}};
  Bench b(config);
  b.add(1, cores(3));
  b.wall.since_epoch = std::chrono::hours(1000);
  b.full();
  ASSERT_EQ(b.last.report.tasks[0].cpu_min_cores, 1.5);
  SetBoundsCommand bounds;
  bounds.task = "t1";
  bounds.cpu_max_cores = 2;
  b.commands = {pin_of(2), bounds, SetModeCommand{config::Mode::dry_run}};
  b.full();
  ASSERT_EQ(b.last.report.node.mode, config::Mode::dry_run);
  ASSERT_EQ(b.last.report.tasks[0].cpu_max_cores, 2);
  const auto revision = b.state.holds.revision;
  b.config = one_task_config();
  config_reloaded(b.state);
  EXPECT_GT(b.state.holds.revision, revision) << "or the next process would know them";
  b.full();
  EXPECT_EQ(b.last.report.node.mode, config::Mode::enforce);
  EXPECT_LT(b.last.report.tasks[0].cpu_min_cores, 1.5);
  EXPECT_EQ(b.last.report.tasks[0].cpu_max_cores, 4);
  EXPECT_TRUE(b.pinned());
}

// ---- modes

TEST(Commands, AModeThatChangedIsReportedOnce) {
  Bench b;
  b.config.node.mode = config::Mode::dry_run;
  b.add(1, cores(3));
  EXPECT_FALSE(noticed(b.full(), Notice::Kind::mode_changed)) << "it begins";
  b.commands = {SetModeCommand{config::Mode::observe}};
  EXPECT_TRUE(noticed(b.full(), Notice::Kind::mode_changed));
  EXPECT_FALSE(noticed(b.full(), Notice::Kind::mode_changed));
}

TEST(Commands, RestoreObservesFromThenOn) {
  Bench b = one_task();
  b.commands = {RestoreCommand{}};
  b.full();
  EXPECT_EQ(b.last.report.node.mode, config::Mode::observe);
  EXPECT_EQ(mode_of(b), TaskMode::observed);
}

TEST(Commands, WhatDryRunPretendedIsForgottenWithIt) {
  Bench b;
  b.config.node.mode = config::Mode::dry_run;
  b.add(1, cores(3), mib(900));
  b.full();
  b.commands = {pin_of(2, Bytes{500} << 20)};
  b.full();
  ASSERT_EQ(b.quota(), 2);
  ASSERT_EQ(b.high(), number_of(KnobValue{mib(500)}));
  b.commands = {UnpinCommand{"t1"}, SetModeCommand{config::Mode::observe}};
  b.full();
  EXPECT_EQ(b.last.report.tasks[0].cpu_max, cores(3));
  EXPECT_EQ(b.last.report.tasks[0].memory_high, mib(900));
}

TEST(Commands, WhatWasWantedInDryRunHoldsUpNoCutLater) {
  config::Scaling slow;
  slow.down.stabilization = 10s;
  Bench b;
  b.config.tasks[0].policy.cpu.scaling = slow;
  b.config.node.mode = config::Mode::dry_run;
  b.add(1, cores(3));
  const auto run = [&](double usage, int ticks) {
    for (int i = 0; i < ticks; ++i) {
      b.run_cpu(1, 100ms, usage, false);
      b.full();
    }
  };
  run(0.5, 200);
  ASSERT_LT(b.quota(), 1) << "pretended";
  b.commands = {SetModeCommand{config::Mode::enforce}};
  run(0.5, 20);
  EXPECT_EQ(b.quota(), 3) << "the window begins with the kernel's value";
  run(0.5, 130);
  EXPECT_LT(b.quota(), 1);
}

// ---- loads

TEST(Commands, AReportedLoadIsActedOnAndForgottenWhenItLapses) {
  Bench b = one_task();
  for (int i = 0; i < 40; ++i) {
    b.run_cpu(1, 100ms, 0.5, false);
    b.full();
  }
  const double before = b.quota();
  ASSERT_LT(before, 1);
  ReportLoadCommand load;
  load.task = "t1";
  load.load.lag = 1000;
  load.load.backlog_cpu_seconds = 20;
  load.until = b.now + 2s;
  b.commands = {load};
  for (int i = 0; i < 5; ++i) {
    b.run_cpu(1, 100ms, b.quota(), true, 1);
    b.full();
    EXPECT_EQ(b.last.report.tasks[0].lag, 1000);
  }
  EXPECT_GT(b.quota(), 1.5 * before);
  EXPECT_GT(b.task().cpu_control.backlog_cpu_seconds, 10) << "what the task knows, and no sample shows";
  b.full(2s);
  EXPECT_EQ(b.last.report.tasks[0].lag, std::nullopt);
}

}  // namespace
}  // namespace sluice::testing
