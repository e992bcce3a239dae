#include "daemon/publish/bus/unread.hpp"

#include <gmock/gmock.h>

#include <string>
#include <utility>
#include <vector>

namespace sluice::publish {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using Limit = Unread::Limit;

constexpr std::size_t kMiB = Unread::kMiB;
constexpr Asker kRoot{.uid = 0, .is_privileged = true}, kNew{};

constexpr Asker user(uid_t uid) {
  return {.uid = uid, .is_privileged = false};
}

class UnreadTest : public testing::Test {
 public:
  UnreadTest() { unread_.bus_tells(); }
  // Answers of one size until a limit is reached: which one.
  Limit fill(const std::string& name, const Asker& who, std::size_t bytes = kMiB) {
    for (int i = 0; i < 10'000; ++i) {
      if (const auto limit = unread_.passed(name, who, bytes); limit != Limit::none) return limit;
      unread_.answered(name, who, bytes);
    }
    return Limit::none;
  }
  std::vector<std::string> ask(const std::string& name, const Asker& who) {
    return unread_.to_ask(name, who, now_);
  }

 protected:
  Unread unread_;
  Unread::TimePoint now_{};
};

TEST_F(UnreadTest, EachHasItsLimitAndLeavesTheOthersTheirs) {
  const struct {
    std::string name;
    Asker who;
    std::size_t has_mib;
    Limit limit;
  } table[] = {
      {":1.1", user(1000), 16, Limit::uid},      {":1.2", user(1000), 0, Limit::uid},
      {":1.3", user(1001), 16, Limit::uid},      {":1.4", user(1002), 15, Limit::none},
      {":1.5", user(1003), 1, Limit::strangers}, {":1.6", kNew, 2, Limit::unknown},
      {":1.7", kNew, 2, Limit::unknown},         {":1.8", kRoot, 16, Limit::connection},
      {":1.9", kRoot, 16, Limit::connection},    {":1.10", kRoot, 15, Limit::none},
      {":1.11", kRoot, 1, Limit::privileged},    {":1.12", kRoot, 0, Limit::privileged},
  };
  for (const auto& row : table) {
    SCOPED_TRACE(row.name);
    for (std::size_t i = 0; i < row.has_mib; ++i) {
      EXPECT_EQ(unread_.passed(row.name, row.who, kMiB), Limit::none);
      unread_.answered(row.name, row.who, kMiB);
    }
    EXPECT_EQ(unread_.passed(row.name, row.who, kMiB), row.limit);
    EXPECT_EQ(unread_.passed(row.name + "0", row.who, 1024), Limit::none) << "a small word is always had";
  }
  EXPECT_LT(unread_.total(), 112 * kMiB) << "dbus-daemon reads from us no more at 127";
}

TEST_F(UnreadTest, WhoReadsIsAnsweredForEver) {
  for (int i = 0; i < 1000; ++i) {
    now_ += 1s;
    const auto asked = ask(":1.1", user(1000));
    ASSERT_EQ(unread_.passed(":1.1", user(1000), 2 * kMiB), Limit::none) << i;
    unread_.answered(":1.1", user(1000), 2 * kMiB);
    for (const auto& name : asked) unread_.held(name, 0);
  }
  EXPECT_LE(unread_.of(":1.1"), 4 * kMiB);
}

TEST_F(UnreadTest, WhatWasAnsweredAfterTheQuestionIsNotProvenByItsAnswer) {
  unread_.answered(":1.1", kRoot, 3 * kMiB);
  EXPECT_THAT(ask(":1.1", kRoot), ElementsAre(":1.1"));
  unread_.answered(":1.1", kRoot, 2 * kMiB);
  unread_.held(":1.1", 0);
  EXPECT_EQ(unread_.of(":1.1"), 2 * kMiB);
  unread_.held(":1.1", 0);
  EXPECT_EQ(unread_.of(":1.1"), 2 * kMiB) << "not asked";
  EXPECT_EQ(unread_.total(), 2 * kMiB);
}

TEST_F(UnreadTest, WhatTheBusHoldsStaysAndNoMoreThanIsOurs) {
  unread_.answered(":1.1", kRoot, 3 * kMiB);
  ask(":1.1", kRoot);
  unread_.held(":1.1", kMiB);
  EXPECT_EQ(unread_.of(":1.1"), kMiB);
  now_ += 1s;
  ask(":1.1", kRoot);
  unread_.held(":1.1", 100 * kMiB);
  EXPECT_EQ(unread_.of(":1.1"), kMiB) << "the rest is of others";
}

TEST_F(UnreadTest, TheBusIsAskedSeldom) {
  unread_.answered(":1.1", user(1000), Unread::kAskAt - 1);
  EXPECT_THAT(ask(":1.1", user(1000)), IsEmpty()) << "too little";
  unread_.answered(":1.1", user(1000), 1);
  EXPECT_THAT(ask(":1.1", user(1000)), SizeIs(1));
  now_ += 1s;
  EXPECT_THAT(ask(":1.1", user(1000)), IsEmpty()) << "it is asked already";
  unread_.held(":1.1", 100 * kMiB);
  EXPECT_THAT(ask(":1.1", user(1000)), SizeIs(1));
  unread_.held(":1.1", 100 * kMiB);
  now_ += Unread::kAskEvery - 1ms;
  EXPECT_THAT(ask(":1.1", user(1000)), IsEmpty()) << "a moment ago";
  now_ += 1ms;
  EXPECT_THAT(ask(":1.1", user(1000)), SizeIs(1));
  unread_.no_answer(":1.1");
  now_ += 1s;
  EXPECT_THAT(ask(":1.1", user(1000)), SizeIs(1)) << "again, when the bus did not answer";
}

// Each has little, all together have much, and most of them have read it.
TEST_F(UnreadTest, NearALimitAllAreAskedAboutInTurn) {
  for (int i = 0; i < 200; ++i) unread_.answered(":1." + std::to_string(i), user(1000), 80 * 1024);
  ASSERT_EQ(unread_.passed(":2.1", user(1000), kMiB), Limit::uid);
  const std::string hoarder = ":1.0";
  for (int i = 0; i < 100; ++i) {
    const auto asked = ask(":2.1", user(1000));
    EXPECT_LE(asked.size(), Unread::kAskAtOnce + 1);
    for (const auto& name : asked) unread_.held(name, name == hoarder ? kMiB : 0);
    now_ += Unread::kAskEvery;
  }
  EXPECT_EQ(unread_.passed(":2.1", user(1000), kMiB), Limit::none);
  EXPECT_LE(unread_.total(), Unread::kOfUid / 2);
}

TEST_F(UnreadTest, WhoIsGoneHoldsNothing) {
  fill(":1.1", user(1000));
  ask(":1.1", user(1000));
  unread_.gone(":1.1");
  unread_.gone(":1.99");
  unread_.held(":1.1", 16 * kMiB);
  EXPECT_EQ(unread_.total(), 0U);
  EXPECT_EQ(unread_.passed(":1.2", user(1000), kMiB), Limit::none);
}

TEST_F(UnreadTest, ANewConnectionCountsForItsUidWhenThatIsKnown) {
  unread_.answered(":1.1", kNew, 16 * kMiB);
  EXPECT_EQ(unread_.passed(":1.2", user(1000), kMiB), Limit::none);
  unread_.known(":1.1", user(1000));
  EXPECT_EQ(unread_.passed(":1.2", user(1000), kMiB), Limit::uid);
  unread_.known(":1.1", kNew);
  EXPECT_EQ(unread_.passed(":1.2", user(1000), kMiB), Limit::uid) << "it was known once";
  unread_.gone(":1.1");
  EXPECT_EQ(unread_.total(), 0U);
}

// Connections that come one after another, and ask before it is known whose they are, add up.
TEST_F(UnreadTest, NewConnectionsAreNoWayRoundAndASmallWordIsAlwaysHad) {
  for (int i = 0; i < 100; ++i) {
    const auto name = ":1." + std::to_string(i);
    fill(name, kNew);
    EXPECT_LE(unread_.of(name), Unread::kOfNewcomer) << "until it is known whose it is";
    unread_.known(name, user(1000));
  }
  EXPECT_LE(unread_.total(), Unread::kOfUnknown);
  EXPECT_EQ(unread_.passed(":2.1", kNew, kMiB), Limit::unknown);
  EXPECT_EQ(unread_.passed(":2.1", kNew, 1024), Limit::none);
  EXPECT_EQ(fill(":2.1", kNew, 1024), Limit::unknown) << "but not for ever";
  EXPECT_EQ(unread_.passed(":2.2", kRoot, 2 * kMiB), Limit::none);
  for (int i = 0; i < 100; ++i) {
    fill(":3." + std::to_string(i), kNew);
    unread_.known(":3." + std::to_string(i), kRoot);
  }
  EXPECT_LT(unread_.total(), 112 * kMiB);
}

TEST_F(UnreadTest, AListingLargerThanALimitIsHadByWhoHasRead) {
  for (const auto& who : {user(1000), kRoot, kNew})
    EXPECT_EQ(unread_.passed(":1.1", who, 20 * kMiB), Limit::none);
  unread_.answered(":1.1", user(1000), 20 * kMiB);
  EXPECT_EQ(unread_.passed(":1.1", user(1000), 20 * kMiB), Limit::uid);
}

TEST_F(UnreadTest, WhoDoesNotReadIsToldOnceAndWhoDoesEachTime) {
  fill(":1.1", user(1000));
  EXPECT_TRUE(unread_.may_refuse(":1.1"));
  EXPECT_FALSE(unread_.may_refuse(":1.1"));
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(unread_.may_refuse(":1.2")) << "it has nothing unread";
  unread_.answered(":1.2", user(1000), Unread::kAlways);
  EXPECT_TRUE(unread_.may_refuse(":1.2"));
  EXPECT_FALSE(unread_.may_refuse(":1.2"));
  EXPECT_THAT(ask(":1.2", user(1000)), Contains(":1.2"));
  unread_.held(":1.2", 0);
  EXPECT_TRUE(unread_.may_refuse(":1.2"));
}

TEST(UnreadOfABusThatCannotTell, NothingIsCounted) {
  Unread unread;
  unread.answered(":1.1", kNew, 200 * kMiB);
  EXPECT_EQ(unread.passed(":1.1", kNew, kMiB), Limit::none);
  EXPECT_TRUE(unread.to_ask(":1.1", kNew, {}).empty());
  EXPECT_EQ(unread.total(), 0U);
}

}  // namespace
}  // namespace sluice::publish
