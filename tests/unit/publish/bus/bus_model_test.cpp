#include "daemon/publish/bus/bus_model.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "daemon/publish/bus/rate_limit.hpp"
#include "daemon/publish/words/names.hpp"

namespace sluice::publish {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::uint64_t kWall = 1'700'000'000'000'000;

std::shared_ptr<Report> report_of(std::vector<std::string> names, std::uint64_t tick = 1) {
  auto report = std::make_shared<Report>();
  report->tick = tick;
  report->now = MonotonicTime{100s};
  for (auto& name : names) report->tasks.emplace_back().name = std::move(name);
  return report;
}

Adjustment adjustment_of(const std::string& task, MonotonicTime at) {
  Adjustment a;
  a.task = task;
  a.at = at;
  a.new_value = CpuMax{Usec(1000), Usec(100'000)};
  return a;
}

TEST(BusModel, TellsWhoCameAndWent) {
  BusModel model;
  auto delta = model.update(report_of({"b", "d"}), kWall);
  EXPECT_THAT(delta.added, ElementsAre("b", "d"));
  delta = model.update(report_of({"a", "b", "c", "e"}), kWall);
  EXPECT_THAT(delta.added, ElementsAre("a", "c", "e"));
  EXPECT_THAT(delta.removed, ElementsAre("d"));
  delta = model.update(report_of({"c"}), kWall);
  EXPECT_THAT(delta.added, IsEmpty());
  EXPECT_THAT(delta.removed, ElementsAre("a", "b", "e"));
  EXPECT_EQ(model.find("c")->report->name, "c");
  EXPECT_EQ(model.find("a"), nullptr);
  delta = model.update(report_of({}), kWall);
  EXPECT_THAT(delta.removed, ElementsAre("c"));
}

TEST(BusModel, OrderAndDuplicatesOnlyCostTime) {
  BusModel model;
  EXPECT_THAT(model.update(report_of({"c", "a", "b", "a"}), kWall).added,
              testing::UnorderedElementsAre("a", "b", "c"));
  const auto delta = model.update(report_of({"b", "c"}), kWall);
  EXPECT_THAT(delta.added, IsEmpty());
  EXPECT_THAT(delta.removed, ElementsAre("a"));
}

TEST(BusModel, APartialReportLeavesTheOthersAsTheyWereTold) {
  BusModel model;
  model.update(report_of({"a", "b"}), kWall);
  auto partial = report_of({"b"}, 2);
  partial->whole = false;
  partial->tasks[0].writes_total = 7;
  partial->adjustments.push_back(adjustment_of("a", MonotonicTime{99s}));
  const auto delta = model.update(std::exchange(partial, nullptr), kWall);
  EXPECT_THAT(delta.removed, IsEmpty());
  EXPECT_THAT(delta.added, IsEmpty());
  EXPECT_EQ(delta.changes.size(), 1u);
  EXPECT_EQ(model.find("a")->report->writes_total, 0u);
  EXPECT_EQ(model.find("b")->report->writes_total, 7u);
  EXPECT_THAT(model.update(report_of({"b"}, 3), kWall).removed, ElementsAre("a"));
}

TEST(BusModel, KeepsTheNewestChangesWithWallTimes) {
  BusModel model;
  for (int i = 0; i < 140; ++i) {
    auto report = report_of({"a"});
    report->adjustments.push_back(adjustment_of("a", MonotonicTime{99s + std::chrono::milliseconds(i)}));
    const auto delta = model.update(report, kWall);
    ASSERT_EQ(delta.changes.size(), 1u);
  }
  const auto& view = *model.find("a");
  EXPECT_EQ(view.history.size(), kHistoryPerTask);
  EXPECT_EQ(view.history.back().at_usec, kWall - 861'000);
  EXPECT_EQ(view.history.front().at_usec, kWall - 988'000);
  EXPECT_EQ(view.changed_usec, view.history.back().at_usec);
}

TEST(BusModel, ADryRunChangesNothing) {
  BusModel model;
  auto report = report_of({"a"});
  report->adjustments.push_back(adjustment_of("a", MonotonicTime{99s}));
  report->adjustments.back().dry_run = true;
  report->adjustments.push_back(adjustment_of("gone", MonotonicTime{99s}));
  EXPECT_EQ(model.update(report, kWall).changes.size(), 1u) << "of a task that is not listed: none";
  EXPECT_EQ(model.find("a")->changed_usec, 0u);
}

TEST(BusModel, FindsByTheNameThatIsShown) {
  BusModel model;
  model.update(report_of({"bad\xff", "bad\\xff", "plain"}), kWall);
  EXPECT_EQ(model.find_shown("plain")->report->name, "plain");
  EXPECT_EQ(model.find_shown("bad\\xff")->report->name, "bad\xff");
  EXPECT_EQ(model.find_shown("bad\\\\xff")->report->name, "bad\\xff");
  EXPECT_EQ(model.find_shown("bad\xff"), nullptr);
}

TEST(BusModel, HoldsAreWhatTheReportSays) {
  BusModel model;
  auto report = report_of({"a", "b"}, 13);
  report->holds = {
      {"a", true, false, 1000, ":1.7"}, {"b", false, true, 0, ""}, {"gone", true, false, 1000, ":1.7"}};
  model.update(report, kWall);
  ASSERT_NE(model.held("a"), nullptr);
  EXPECT_EQ(model.held("a")->uid, 1000U);
  EXPECT_TRUE(model.held("b")->suspended);
  EXPECT_EQ(model.holds(), 3U) << "one of a task that is not there counts";
  EXPECT_THAT(model.owners(), ElementsAre(":1.7"));
  model.update(report_of({"a", "b"}, 14), kWall);
  EXPECT_EQ(model.held("a"), nullptr);
  EXPECT_EQ(model.holds(), 0U);
  EXPECT_TRUE(model.owners().empty());
}

TEST(RateLimit, TwentyAtOnceThenTwentyASecond) {
  RateLimit limit(20);
  const RateLimit::TimePoint start{};
  int allowed = 0;
  for (int i = 0; i < 100; ++i) allowed += limit.allow("uid 0", start) ? 1 : 0;
  EXPECT_EQ(allowed, 20);
  EXPECT_TRUE(limit.allow("uid 1", start)) << "another's calls are another's";
  EXPECT_FALSE(limit.allow("uid 0", start + 49ms));
  EXPECT_TRUE(limit.allow("uid 0", start + 100ms));
  allowed = 0;
  for (int i = 0; i < 100; ++i) allowed += limit.allow("uid 0", start + 60s) ? 1 : 0;
  EXPECT_EQ(allowed, 20) << "idle time is not saved up";
}

TEST(RateLimit, ForgetsWhoIsQuiet) {
  RateLimit limit(20);
  for (int i = 0; i < 10'000; ++i) limit.allow(std::to_string(i), RateLimit::TimePoint{} + i * 1ms);
  EXPECT_LE(limit.keys(), 4096u);
}

}  // namespace
}  // namespace sluice::publish
