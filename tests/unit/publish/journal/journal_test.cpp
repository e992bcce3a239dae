#include "daemon/publish/journal/journal.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "daemon/publish/journal/journal_fields.hpp"

namespace sluice::publish {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::HasSubstr;
using testing::Pair;

TEST(JournalFields, UnitIsTheNearestServiceOrScope) {
  EXPECT_EQ(unit_of("system.slice/flink-taskmanager@1.service"), "flink-taskmanager@1.service");
  EXPECT_EQ(unit_of("/system.slice/a.service/payload/worker"), "a.service");
  EXPECT_EQ(unit_of("machine.slice/libpod-1.scope/container"), "libpod-1.scope");
  EXPECT_EQ(unit_of("user.slice/user-0.slice/user@0.service/app.slice/x.service"), "x.service");
  EXPECT_EQ(unit_of("nomad.slice"), "");
  EXPECT_EQ(unit_of(""), "");
}

TEST(JournalFields, OfAnAdjustment) {
  Adjustment a;
  a.task = "al\xffpha";
  a.cgroup = "system.slice/al\xffpha.service";
  a.old_value = CpuMax{};
  a.new_value = CpuMax{Usec(120'000), Usec(100'000)};
  a.reason.rule = Rule::cpu_throttled;
  a.reason.cause = Cause::starved_by_quota;
  a.reaction = 730us;
  const auto fields = journal_fields(a, 42);
  EXPECT_THAT(fields, Contains(Pair("SLUICE_TASK", "al\\xffpha")));
  EXPECT_THAT(fields, Contains(Pair("SLUICE_CGROUP", "system.slice/al\\xffpha.service")));
  EXPECT_THAT(fields, Contains(Pair("UNIT", "al\\xffpha.service")));
  EXPECT_THAT(fields, Contains(Pair("OBJECT_SYSTEMD_UNIT", "al\\xffpha.service")));
  EXPECT_THAT(fields, Contains(Pair("SLUICE_KNOB", "cpu.max")));
  EXPECT_THAT(fields, Contains(Pair("SLUICE_OLD", "max 100000")));
  EXPECT_THAT(fields, Contains(Pair("SLUICE_NEW", "120000 100000")));
  a.new_value = CpuMax{Usec(120'000), Usec(100'000), Usec(60'000)};
  EXPECT_THAT(journal_fields(a, 7), Contains(Pair("SLUICE_NEW", "120000 100000 burst 60000")));
  EXPECT_THAT(fields, Contains(Pair("SLUICE_REASON", "cpu-throttled")));
  EXPECT_THAT(fields, Contains(Pair("SLUICE_CAUSE", "starved-by-quota")));
  EXPECT_THAT(fields, Contains(Pair("SLUICE_REACTION_USEC", "730")));
  EXPECT_THAT(fields, Contains(Pair("SLUICE_TICK", "42")));
}

TEST(JournalFields, EveryDecisionHasItsOwnId) {
  std::set<std::string_view> ids{message_id(Adjustment{})};
  const int kinds = static_cast<int>(Notice::Kind::pressure_known) + 1;
  for (int i = 0; i < kinds; ++i) {
    const auto id = message_id(static_cast<Notice::Kind>(i));
    EXPECT_EQ(id.size(), 32u) << i;
    ids.insert(id);
  }
  EXPECT_EQ(ids.size(), static_cast<std::size_t>(kinds) + 1);
}

class LogPublisherTest : public testing::Test {
 public:
  LogPublisherTest() : before_(spdlog::default_logger()) {
    spdlog::set_default_logger(
        std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(out_)));
    spdlog::default_logger()->set_pattern("%l %v");
  }
  ~LogPublisherTest() override { spdlog::set_default_logger(before_); }

 protected:
  std::size_t lines() const {
    const auto text = out_.str();
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  }
  std::ostringstream out_;
  std::shared_ptr<spdlog::logger> before_;
};

TEST_F(LogPublisherTest, OneLineForEachDecision) {
  Report report;
  Adjustment a;
  a.task = "alpha\n";
  a.old_value = CpuMax{};
  a.new_value = CpuMax{Usec(120'000), Usec(100'000)};
  report.adjustments.push_back(a);
  Notice n;
  n.kind = Notice::Kind::mode_changed;
  report.node.mode = config::Mode::dry_run;
  report.notices.push_back(n);
  LogPublisher().publish(report);
  EXPECT_THAT(out_.str(), HasSubstr("info alpha\\x0a: cpu.max no limit -> 1.20 cores: "));
  EXPECT_THAT(out_.str(), HasSubstr("info the mode is dry-run now"));
}

TEST_F(LogPublisherTest, AStormOfManyTasksIsCutAndCounted) {
  Report report;
  report.now = MonotonicTime{10s};
  report.adjustments.resize(500);
  for (std::size_t i = 0; i < report.adjustments.size(); ++i) report.adjustments[i].task = std::to_string(i);
  LogPublisher publisher;
  publisher.publish(report);
  EXPECT_EQ(lines(), LogPublisher::kLinesPerSecond);
  report.adjustments.resize(1);
  report.now = MonotonicTime{11s};
  publisher.publish(report);
  EXPECT_THAT(out_.str(), HasSubstr("warning 400 more lines about tasks were left out"));
}

TEST_F(LogPublisherTest, ATaskThatFlapsIsCutAndCountedAndCostsOthersNothing) {
  LogPublisher publisher;
  Report report;
  report.notices.resize(1);
  report.notices[0].kind = Notice::Kind::foreign_write;
  report.notices[0].task = "alpha";
  report.notices[0].expected = report.notices[0].found = MemoryLimit{Bytes{1} << 30};
  for (int tenth = 0; tenth < 599; ++tenth) {
    report.now = since_boot(10s + tenth * 100ms);
    publisher.publish(report);
  }
  EXPECT_EQ(lines(), LogPublisher::kNoticesPerMinute);
  report.notices[0].kind = Notice::Kind::breaker_opened;  // another kind
  publisher.publish(report);
  EXPECT_EQ(lines(), LogPublisher::kNoticesPerMinute + 1);
  report.notices.clear();
  report.now = since_boot(71s);
  publisher.publish(report);
  EXPECT_THAT(out_.str(), HasSubstr("warning 589 more like this were left out in the last minute: alpha: "));
}

TEST_F(LogPublisherTest, AsManyDecisionsAsMayBeWrittenByDefaultAreAllLogged) {
  LogPublisher publisher;
  Report report;
  report.adjustments.resize(1);
  report.adjustments[0].task = "alpha";
  const auto allowed = config::Cpu{}.writes_per_minute;
  for (std::uint32_t i = 0; i < allowed; ++i) {
    report.now = since_boot(10s + i * 1s);
    publisher.publish(report);
  }
  EXPECT_EQ(lines(), allowed);
}

TEST_F(LogPublisherTest, WhatIsNoReportsIsCutAsWell) {
  LogPublisher publisher;
  for (int i = 0; i < 500; ++i) {
    publisher.say(LogPublisher::Source::oom_kill, spdlog::level::warn, "alpha", "killed",
                  since_boot(10s + i * 100ms));
    publisher.say(LogPublisher::Source::engine, spdlog::level::err, {}, "broken",
                  since_boot(10s + i * 100ms));
  }
  EXPECT_EQ(lines(), LogPublisher::kNoticesPerMinute + LogPublisher::kDecisionsPerMinute);
  EXPECT_THAT(out_.str(), HasSubstr("warning alpha: killed"));
  EXPECT_THAT(out_.str(), HasSubstr("error broken"));
}

}  // namespace
}  // namespace sluice::publish
