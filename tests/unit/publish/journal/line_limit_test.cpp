#include "daemon/publish/journal/line_limit.hpp"

#include <gtest/gtest.h>

namespace sluice::publish {
namespace {

using namespace std::chrono_literals;

constexpr MonotonicTime kStart = since_boot(100s);
const LineLimit::Key kKey{"alpha", 7};

TEST(LineLimit, SoManyOfAKeyAndTheRestIsCounted) {
  LineLimit limit;
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(limit.allow(kKey, 10, "text", kStart + i * 1s));
  for (int i = 10; i < 25; ++i)
    EXPECT_FALSE(limit.allow(kKey, 10, "number " + std::to_string(i), kStart + i * 1s));
  EXPECT_TRUE(limit.allow({"beta", 7}, 10, "text", kStart + 25s)) << "another task";
  EXPECT_TRUE(limit.allow({"alpha", 8}, 10, "text", kStart + 25s)) << "another kind";
  EXPECT_TRUE(limit.ended(kStart + 59s).empty());
  const auto ended = limit.ended(kStart + 60s);
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_EQ(ended[0].key, kKey);
  EXPECT_EQ(ended[0].lines, 15U);
  EXPECT_EQ(ended[0].example, "number 10");
  EXPECT_TRUE(limit.allow(kKey, 10, "text", kStart + 61s));
}

TEST(LineLimit, ACountIsNotForgottenWhenNobodyCollectsIt) {
  LineLimit limit;
  for (int i = 0; i < 3; ++i) static_cast<void>(limit.allow(kKey, 1, "text", kStart));
  EXPECT_FALSE(limit.allow(kKey, 1, "text", kStart + 90s));
  const auto ended = limit.ended(kStart + 91s);
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_EQ(ended[0].lines, 3U);
}

TEST(LineLimit, AWindowThatLeftNothingOutBeginsAnew) {
  LineLimit limit;
  EXPECT_TRUE(limit.allow(kKey, 1, "text", kStart));
  EXPECT_TRUE(limit.allow(kKey, 1, "text", kStart + 60s));
  EXPECT_FALSE(limit.allow(kKey, 1, "text", kStart + 61s));
}

TEST(LineLimit, TasksThatComeAndGoLeaveNothing) {
  LineLimit limit;
  std::size_t most = 0;
  MonotonicTime now = kStart;
  for (int task = 0; task < 100'000; ++task) {
    now += 20ms;
    static_cast<void>(limit.allow({"run-" + std::to_string(task), 0}, 1, "text", now));
    static_cast<void>(limit.ended(now));
    most = std::max(most, limit.keys());
  }
  EXPECT_LE(most, 3100U) << "those of the last minute";
  static_cast<void>(limit.ended(now + 61s));
  EXPECT_EQ(limit.keys(), 0U);
}

TEST(LineLimit, ThereIsALimitOnTheNumberOfKeys) {
  LineLimit limit;
  for (std::size_t task = 0; task < 2 * LineLimit::kMaxKeys; ++task)
    EXPECT_TRUE(limit.allow({std::to_string(task), 0}, 1, "text", kStart));
  EXPECT_EQ(limit.keys(), LineLimit::kMaxKeys);
}

}  // namespace
}  // namespace sluice::publish
