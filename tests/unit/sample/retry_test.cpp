#include "daemon/sample/retry.hpp"

#include <gtest/gtest.h>

namespace sluice::sample {
namespace {

using namespace std::chrono_literals;

TEST(Retry, WaitsLongerEachTimeAndNeverForGood) {
  Retry retry;
  MonotonicTime now{1000s};
  EXPECT_TRUE(retry.due(now));
  for (const Nsec wait : {1s, 2s, 4s, 8s, 16s, 32s, 60s, 60s, 60s}) {
    retry.failed(now);
    EXPECT_FALSE(retry.due(now + wait - 1ns));
    EXPECT_TRUE(retry.due(now + wait));
    now += wait;
  }
  EXPECT_EQ(retry.since(), MonotonicTime{1000s});
  for (int i = 0; i < 1000; ++i) retry.failed(now);
  EXPECT_TRUE(retry.due(now + 60s));
}

TEST(Retry, BeginsAnewAfterASuccess) {
  Retry retry;
  for (int i = 0; i < 5; ++i) retry.failed(MonotonicTime{1000s});
  retry.worked();
  EXPECT_EQ(retry.failures(), 0U);
  retry.failed(MonotonicTime{2000s});
  EXPECT_TRUE(retry.due(MonotonicTime{2001s}));
  EXPECT_EQ(retry.since(), MonotonicTime{2000s});
}

}  // namespace
}  // namespace sluice::sample
