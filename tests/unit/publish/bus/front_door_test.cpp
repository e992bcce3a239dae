#include "daemon/publish/bus/front_door.hpp"

#include <gmock/gmock.h>

#include "daemon/publish/bus/bus_names.hpp"
#include "daemon/publish/bus/bus_pump.hpp"

namespace sluice::publish {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr const char* kProperties = "org.freedesktop.DBus.Properties";
const Asker kStranger{.uid = 1000, .is_privileged = false}, kRoot{.uid = 0, .is_privileged = true}, kNew{};
const std::string kLong(15 << 20, 'x');

class FrontDoorTest : public testing::Test {
 public:
  Verdict ask(const Question& question, const Asker& asker = kStranger, std::size_t tasks = 3) {
    return door_.check(
        question, asker, [this](std::string_view path) { return path == known_; }, tasks, now_);
  }
  // How many of these are answered before one is refused.
  int answered(const Question& question, const Asker& asker, std::size_t tasks) {
    for (int i = 0; i < 1'000'000; ++i)
      if (ask(question, asker, tasks).error != nullptr) return i;
    return -1;
  }

 protected:
  FrontDoor door_;
  RateLimit::TimePoint now_{};
  std::string known_ = kTaskPath + std::string("/") + std::string(600, 'a');
  Question get_{":1.7", kRootPath, kProperties, "Get", kManagerInterface, "Version"};
  Question all_{":1.7", kRootPath, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", "", ""};
};

TEST_F(FrontDoorTest, LetsOrdinaryQuestionsThrough) {
  for (const auto& asker : {kStranger, kRoot, kNew}) {
    EXPECT_EQ(ask(get_, asker).error, nullptr);
    EXPECT_EQ(ask(all_, asker).error, nullptr);
  }
}

TEST_F(FrontDoorTest, RefusesNamesThatAnAnswerWouldRepeatAndRepeatsNothing) {
  auto property = get_, interface = get_, path = get_;
  property.about_property = kLong;
  interface.about_interface = kLong;
  path.path = kLong;
  for (const auto& question : {property, interface, path}) {
    const auto verdict = ask(question, kRoot);
    EXPECT_STREQ(verdict.error, error_name::invalid_args);
    EXPECT_THAT(verdict.text, HasSubstr("15728640 bytes long; at most 255"));
    EXPECT_LT(verdict.text.size(), 200U);
  }
  const std::string longest(255, 'x');
  property.about_property = longest;
  EXPECT_EQ(ask(property).error, nullptr) << "as long as a name may be";
}

TEST_F(FrontDoorTest, ATaskMayHaveALongPath) {
  auto question = get_;
  question.path = known_;
  EXPECT_EQ(ask(question).error, nullptr);
}

TEST_F(FrontDoorTest, CountsWhatAnAnswerHolds) {
  EXPECT_GT(answer_bytes(all_, 1000), 1'428'360 * 0.9) << "as measured";
  auto tasks = get_;
  tasks.about_property = "Tasks";
  EXPECT_GT(answer_bytes(tasks, 1000), 44'204 * 0.9);
  EXPECT_LT(answer_bytes(get_, 1000), 2000);
  const Question nodes{":1.7", kTaskPath, "org.freedesktop.DBus.Introspectable", "Introspect", "", ""};
  EXPECT_GT(answer_bytes(nodes, 1000), 30'438 * 0.9);
}

// dbus-daemon stops reading from whoever has 127 MiB unread in it.
TEST_F(FrontDoorTest, AStrangersUnreadAnswersDoNotFillTheBusAtOnce) {
  const double bytes = answer_bytes(all_, 1000);
  const double of_one = answered(all_, kStranger, 1000) * bytes,
               of_new_ones = answered(all_, kNew, 1000) * bytes;
  EXPECT_GT(of_one, 10.0 * (1 << 20)) << "and one listing is no crime";
  EXPECT_LT(of_one + of_new_ones, 64.0 * (1 << 20));
  EXPECT_EQ(ask(all_, kRoot, 1000).error, nullptr) << "others are others";
}

TEST_F(FrontDoorTest, ConnectionsOfAUidShareAndTimeHeals) {
  answered(all_, kStranger, 1000);
  auto other = all_;
  other.sender = ":1.8";
  EXPECT_STREQ(ask(other, kStranger, 1000).error, error_name::rate_limited);
  EXPECT_EQ(ask(other, {.uid = 1001, .is_privileged = false}, 1000).error, nullptr);
  now_ += 2s;
  EXPECT_EQ(ask(other, kStranger, 1000).error, nullptr);
}

TEST_F(FrontDoorTest, AFloodIsNotEvenRefused) {
  int refused = 0, dropped = 0;
  for (int i = 0; i < 100'000; ++i) {
    const auto verdict = ask(get_);
    refused += verdict.error != nullptr ? 1 : 0;
    dropped += verdict.is_dropped ? 1 : 0;
  }
  EXPECT_EQ(refused, 200);
  EXPECT_GT(dropped, 80'000);
}

TEST(TimeBudget, HalfOfATimeThatPasses) {
  TimeBudget budget;
  TimeBudget::Clock::time_point now{};
  EXPECT_EQ(budget.pause(now), 0s);
  budget.spend(900ms, now);
  EXPECT_EQ(budget.pause(now), 0s);
  budget.spend(300ms, now);
  const auto pause = budget.pause(now);
  EXPECT_GT(pause, 400ms) << "200 ms too much are made up for in 400";
  EXPECT_LT(pause, 500ms);
  EXPECT_LE(budget.pause(now + 200ms), pause - 200ms) << "it ends, however often it is asked";
  EXPECT_EQ(budget.pause(now + pause), 0s);
  budget.spend(0s, now + 1h);
  budget.spend(1100ms, now + 1h);
  EXPECT_GT(budget.pause(now + 1h), 0s) << "idle time is not saved up";
}

}  // namespace
}  // namespace sluice::publish
