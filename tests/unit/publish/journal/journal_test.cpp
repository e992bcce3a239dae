#include "daemon/publish/journal/journal.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <set>
#include <sstream>

#include "daemon/publish/journal/journal_fields.hpp"
#include "daemon/publish/journal/journal_writer.hpp"

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
  const int kinds = static_cast<int>(Notice::Kind::plan_violation) + 1;
  for (int i = 0; i < kinds; ++i) {
    const auto id = message_id(static_cast<Notice::Kind>(i));
    EXPECT_EQ(id.size(), 32u) << i;
    ids.insert(id);
  }
  EXPECT_EQ(ids.size(), static_cast<std::size_t>(kinds) + 1);
}

TEST(JournalWriter, SendsInOrder) {
  std::vector<std::string> sent;
  {
    JournalWriter writer([&](const JournalRecord& record) { sent.push_back(record.front()); });
    for (int i = 0; i < 100; ++i) writer.push({std::to_string(i)});
  }  // drains
  ASSERT_EQ(sent.size(), 100u);
  EXPECT_EQ(sent.front(), "0");
  EXPECT_EQ(sent.back(), "99");
}

TEST(JournalWriter, AJournalThatHangsCostsLinesAndSaysSo) {
  std::promise<void> go;
  const auto gate = go.get_future().share();
  std::vector<std::string> sent;  // the writer's thread's, until the writer is gone
  std::atomic<std::size_t> count = 0;
  {
    JournalWriter writer([&](const JournalRecord& record) {
      gate.wait();
      sent.push_back(record.front());
      ++count;
    });
    for (std::size_t i = 0; i < JournalWriter::kQueueLength + 100; ++i) writer.push({std::to_string(i)});
    EXPECT_GE(writer.dropped(), 99u);  // one may be in the writer's hands
    go.set_value();
    for (int i = 0; i < 60 && count < JournalWriter::kQueueLength; ++i) writer.drain();
  }
  EXPECT_THAT(sent, Contains(HasSubstr("lines were lost")));
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

TEST_F(LogPublisherTest, AStormIsCutAndCounted) {
  Report report;
  report.now = MonotonicTime{10s};
  report.adjustments.resize(500);
  LogPublisher publisher;
  publisher.publish(report);
  const auto text = out_.str();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), LogPublisher::kLinesPerSecond);
  report.adjustments.resize(1);
  report.now = MonotonicTime{11s};
  publisher.publish(report);
  EXPECT_THAT(out_.str(), HasSubstr("warning 400 more lines about tasks were left out"));
}

}  // namespace
}  // namespace sluice::publish
