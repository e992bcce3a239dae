#include "daemon/tick/tick.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>

#include "tests/unit/tick/governed.hpp"

namespace sluice::testing {
namespace {

TEST(Governor, EqualInputsGiveEqualPlans) {
  Input in;
  in.now = MonotonicTime{5s};
  in.node = {8, Bytes{1} << 34};
  Bench b = governed();
  b.run_cpu(1, 100ms, 0.6, true, 1);
  in.tasks = {b.tasks.begin()->second};
  in.tasks[0].sample->read_at = in.now = b.now + 100ms;
  const auto one = tick(in, b.config, b.state);
  const auto two = tick(in, b.config, b.state);
  EXPECT_EQ(one.plan, two.plan);
}

TEST(Governor, TellsOfTasksThatComeAndGo) {
  Bench b;
  b.add(1);
  EXPECT_TRUE(noticed(b.full(), Notice::Kind::task_added));
  EXPECT_FALSE(noticed(b.full(), Notice::Kind::task_added));
  b.tasks.clear();
  EXPECT_TRUE(noticed(b.full(), Notice::Kind::task_removed));
  EXPECT_TRUE(b.state.tasks.empty());
}

std::vector<std::string> names_in(const Report& report) {
  std::vector<std::string> names;
  for (const auto& task : report.tasks) names.push_back(task.name);
  return names;
}

TEST(Governor, AFullTickReportsAllTasksByNameAndAnEventTickThoseItIsAbout) {
  using Names = std::vector<std::string>;
  Bench b;
  b.auto_receipts = false;
  for (const std::uint64_t id : {1, 2, 3}) b.add(id, cores(1));
  b.tasks.at(CgroupId{1}).facts.name = "z";
  EXPECT_TRUE(b.full().report.whole);
  EXPECT_EQ(names_in(b.last.report), (Names{"t2", "t3", "z"}));

  b.events = {{CgroupId{3}, b.now, 0}, {CgroupId{3}, b.now, 1}};
  for (const std::uint64_t id : {1, 9}) {  // 9 is gone
    auto& r = b.receipts.emplace_back();
    r.id = CgroupId{id};
    r.asked = r.holds.emplace(cores(1));
  }
  EXPECT_FALSE(b.event().report.whole);
  EXPECT_EQ(names_in(b.last.report), (Names{"t3", "z"}));
  EXPECT_EQ(names_in(b.event().report), Names{});

  b.commands = {SuspendCommand{"", "maintenance"}};
  EXPECT_TRUE(b.event().report.whole) << "a command may be about any task";
  EXPECT_EQ(b.last.report.tasks.size(), 3U);

  b.tasks.at(CgroupId{1}).facts.name = "a";
  EXPECT_EQ(names_in(b.full().report), (Names{"a", "t2", "t3"}));
  b.tasks.erase(CgroupId{2});
  b.add(4);
  EXPECT_EQ(names_in(b.full().report), (Names{"a", "t3", "t4"}));
}

TEST(Governor, TheOrderOfAFullTicksTasksDoesNotMatter) {
  Bench b;
  for (const std::uint64_t id : {1, 2, 3}) b.add(id, cores(1));
  b.full();
  Input in;
  in.now = b.now + 100ms;
  in.node = b.node;
  for (auto& [id, task] : b.tasks) {
    task.sample->read_at = in.now;
    task.sample->memory_current = id.value << 20;
    in.tasks.push_back(task);
  }
  std::reverse(in.tasks.begin(), in.tasks.end());
  const auto out = tick(in, b.config, b.state);
  ASSERT_EQ(out.state.tasks.size(), 3U);
  for (const auto& [id, task] : out.state.tasks) EXPECT_EQ(task.sample->memory_current, id.value << 20);
}

TEST(Governor, ARefusedKnobOpensTheBreakerForThatTaskOnlyAndGivesTheBaselineBack) {
  auto config = one_task_config();
  config.tasks[0].policy.max_delay = 100ms;
  Bench b(config);
  b.add(1, cores(0.1));
  b.add(2, cores(0.1));
  b.full();
  b.auto_receipts = false;
  for (const int id : {1, 2}) b.run_cpu(static_cast<std::uint64_t>(id), 100ms, 0.1, true, 1);
  const auto plan = b.full().plan;
  ASSERT_EQ(plan.writes.size(), 2U);
  b.obey({{plan.writes[1]}, false});
  const Write& w = plan.writes[0];
  b.receipts.push_back(Bench::failed(w, Receipt::Result::refused, EINVAL, b.now));
  b.receipts.back().path = "/t1/cpu.max";
  const auto& out = b.full();
  EXPECT_TRUE(noticed(out, Notice::Kind::breaker_opened));
  EXPECT_EQ(b.task(1).breaker.state, BreakerState::open);
  EXPECT_NE(b.task(1).breaker.cause.find("/t1/cpu.max"), std::string::npos);
  EXPECT_EQ(b.task(2).breaker.state, BreakerState::closed);
  EXPECT_FALSE(b.task(1).cpu.limit.touched()) << "it was never ours: there is nothing to give back";
  EXPECT_EQ(write_to(out.plan, Knob::cpu_max, 1), nullptr);
  EXPECT_TRUE(b.task(2).cpu.limit.touched());
}

TEST(Governor, TheBreakerTriesAgainLaterAndWaitsLongerEachTime) {
  auto config = one_task_config();
  config.tasks[0].policy.max_delay = 100ms;
  Bench b(config);
  b.add(1, cores(0.1));
  b.full();
  b.auto_receipts = false;
  std::vector<Nsec> waits;
  for (int round = 0; round < 3; ++round) {
    const MonotonicTime from = b.now;
    const Write* w = nullptr;
    while (b.now - from < 300s) {
      b.run_cpu(1, 100ms, 0.1, true, 1);
      const auto& out = b.full();
      w = write_to(out.plan, Knob::cpu_max);
      if (w && w->reason.rule != Rule::released) break;
      if (w) b.obey({{*w}, false});
      w = nullptr;
    }
    ASSERT_NE(w, nullptr);
    waits.push_back(b.now - from);
    b.receipts.push_back(Bench::failed(*w, Receipt::Result::refused, EACCES, b.now));
  }
  EXPECT_LT(waits[0], 1s);
  EXPECT_GE(waits[1], 29s);
  EXPECT_GE(waits[2], 59s);
}

TEST(Governor, AForeignValueIsYieldedToAndBecomesTheBaseline) {
  Bench b = governed();
  b.sample().cpu_max = cores(1.7);
  const auto& out = b.full();
  EXPECT_TRUE(noticed(out, Notice::Kind::foreign_write));
  EXPECT_EQ(write_to(out.plan, Knob::cpu_max), nullptr);
  EXPECT_EQ(*b.task().cpu.limit.baseline(), KnobValue{cores(1.7)});
  EXPECT_EQ(write_to(b.stop_plan(), Knob::cpu_max), nullptr) << "it is not ours to take back";
  EXPECT_EQ(out.report.tasks[0].mode, TaskMode::yielding);
}

TEST(Governor, ABaselineThatCameBackIsGovernedOn) {
  Bench b = governed();
  b.sample().cpu_max = cores(3);
  b.run_cpu(1, 100ms, 0.5, false);
  const double ours = b.quota();
  const auto& out = b.full();
  EXPECT_TRUE(noticed(out, Notice::Kind::knob_reset));
  const Write* again = write_to(out.plan, Knob::cpu_max);
  ASSERT_NE(again, nullptr);
  EXPECT_NEAR(number_of(again->value), ours, 0.1 * ours)
      << "systemd's reload undid it: written again at once";
}

TEST(Governor, ABaselineThatKeepsComingBackIsYieldedTo) {
  Bench b = governed();
  int again = 0;
  for (int i = 0; i < 40; ++i) {
    b.sample().cpu_max = cores(3);
    b.run_cpu(1, 100ms, 0.5, false);
    again += write_to(b.full().plan, Knob::cpu_max) ? 1 : 0;
    b.full();
  }
  EXPECT_LE(again, 6);
  EXPECT_EQ(b.last.report.tasks[0].mode, TaskMode::yielding);
}

TEST(Governor, OverrideWritesOursAgain) {
  Bench b = governed();
  b.config.node.on_foreign_write = config::OnForeignWrite::override_it;
  const double ours = b.quota();
  b.sample().cpu_max = cores(1.7);
  b.run_cpu(1, 100ms, 0.5, false);
  const Write* again = write_to(b.full().plan, Knob::cpu_max);
  ASSERT_NE(again, nullptr);
  EXPECT_NEAR(number_of(again->value), ours, 0.1 * ours);
  EXPECT_EQ(*b.task().cpu.limit.baseline(), KnobValue{cores(1.7)}) << "at the end it gets what it chose last";
}

TEST(Governor, SaturationIsToldOnceWithWhatIsMissing) {
  auto config = one_task_config();
  config.tasks[0].policy.max_delay = 100ms;
  Bench b(config);
  b.node.cpu_capacity_cores = 2;
  b.add(1, cores(0.2));
  b.add(2, cores(0.2));
  b.full();
  int saturated = 0;
  for (int i = 0; i < 20; ++i) {
    for (const std::uint64_t id : {1U, 2U}) b.run_cpu(id, 100ms, b.quota(id), true, 3);
    saturated += noticed(b.full(), Notice::Kind::saturated) ? 1 : 0;
  }
  EXPECT_EQ(saturated, 1);
  EXPECT_TRUE(b.last.report.node.saturated);
}

TEST(Governor, AnAnswerFromTheKernelIsNoCauseForAnotherWrite) {
  auto config = one_task_config();
  config.tasks[0].policy.max_delay = 100ms;
  config.tasks[0].policy.cpu.min_cores = 0.1;
  Bench b(config);
  b.node.cpu_capacity_cores = 3;
  for (const std::uint64_t id : {1U, 2U, 3U}) b.add(id, cores(0.2 * static_cast<double>(id)));
  b.full();
  std::size_t planned = 0, answered = 0, more = 0;
  for (int i = 0; i < 30; ++i) {
    for (const std::uint64_t id : {1U, 2U, 3U}) b.run_cpu(id, 100ms, b.quota(id), true, 3);
    planned += b.full().plan.writes.size();
    // One by one, as threads deliver them: the other writes are still in flight.
    for (const auto& receipt : std::exchange(b.receipts, {})) {
      b.receipts = {receipt};
      more += b.event().plan.writes.size();
      ++answered;
    }
  }
  EXPECT_GT(planned, 3U) << "the node is contended";
  EXPECT_EQ(answered, planned);
  EXPECT_EQ(more, 0U);
}

}  // namespace
}  // namespace sluice::testing
