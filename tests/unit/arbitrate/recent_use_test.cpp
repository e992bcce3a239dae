// The CPU usage that counts for a task: it rises faster than it falls, is the whole limit while that
// throttles, and expires.
#include "daemon/arbitrate/recent_use.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "daemon/signal/signal.hpp"

namespace sluice {
namespace {

using namespace std::chrono_literals;

constexpr double kNoLimit = std::numeric_limits<double>::infinity();

// One task, sampled every tenth of a second.
struct Watched {
  MonotonicTime now{100s};
  RecentUse use;

  void look(double cores, int times = 1, std::uint64_t throttled = 0) {
    Signals g;
    g.interval_seconds = 0.1;
    g.usage_cores = cores;
    g.throttled_periods = throttled;
    for (int i = 0; i < times; ++i) observe_use(g, now += 100ms, use);
  }
  std::optional<double> used(double limit = kNoLimit, Room room = Room::none) const {
    return used_cores(use, limit, now, room);
  }
};

TEST(RecentUse, TheFirstLookCountsWhole) {
  Watched w;
  EXPECT_FALSE(w.used()) << "nothing was seen";
  w.look(2);
  EXPECT_DOUBLE_EQ(w.used().value(), 2);
}

TEST(RecentUse, RisesSoonerThanItFalls) {
  Watched up, down;
  up.look(0);
  down.look(2);
  up.look(2, 3);
  down.look(0, 3);
  EXPECT_GT(up.used().value(), 1);
  EXPECT_GT(down.used().value(), 1) << "a moment without work is no rest";
  down.look(0, 30);
  EXPECT_LT(down.used().value(), 0.2);
}

TEST(RecentUse, WhoIsThrottledMayWantAllOfItsLimitForASecond) {
  Watched w;
  w.look(0.5, 5, 1);
  EXPECT_DOUBLE_EQ(w.used(2).value(), 2);
  EXPECT_DOUBLE_EQ(w.used().value(), 0.5) << "without a limit nothing stops it";
  w.look(0.5, 12);
  EXPECT_DOUBLE_EQ(w.used(2).value(), 0.5);
}

TEST(RecentUse, IsNoEvidenceAfterTwoSeconds) {
  Watched w;
  w.look(2);
  w.now += 1900ms;
  EXPECT_TRUE(w.used());
  w.now += 200ms;
  EXPECT_FALSE(w.used());
  w.look(1);
  EXPECT_DOUBLE_EQ(w.used().value(), 1) << "and it begins anew";
}

TEST(RecentUse, IsNeverMoreThanTheLimitAndAGuessHasRoom) {
  Watched w;
  w.look(2);
  EXPECT_DOUBLE_EQ(w.used(1.5).value(), 1.5) << "the limit was cut since";
  EXPECT_DOUBLE_EQ(w.used(2.2, Room::guessed).value(), 2.2);
  EXPECT_GT(w.used(kNoLimit, Room::guessed).value(), 2.2);
}

}  // namespace
}  // namespace sluice
