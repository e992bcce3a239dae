// Compares a ring with a std::deque under arbitrary operations.
#include "daemon/decide/ring.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <deque>
#include <vector>

namespace sluice::testing {
namespace {

RC_GTEST_PROP(Ring, HoldsWhatADequeHolds, (const std::vector<int>& steps)) {
  Ring<int> ring;
  std::deque<int> deque;
  for (const int step : steps) {
    // More pushes than pops, so that it wraps around and grows with entries before its end.
    const int what = ((step % 8) + 8) % 8;
    if (what == 7 && step % 16 == 7) {
      ring.clear();
      deque.clear();
    } else if (what < 5 || deque.empty()) {
      ring.push_back(step);
      deque.push_back(step);
    } else if (what == 5) {
      ring.pop_back();
      deque.pop_back();
    } else {
      ring.pop_front();
      deque.pop_front();
    }
    RC_ASSERT(ring.size() == deque.size());
    RC_ASSERT(ring.empty() == deque.empty());
    std::vector<int> held;
    for (const int value : ring) held.push_back(value);
    RC_ASSERT(held == std::vector<int>(deque.begin(), deque.end()));
    if (deque.empty()) continue;
    RC_ASSERT(ring.front() == deque.front());
    RC_ASSERT(ring.back() == deque.back());
  }
}

// Typical use: as many entries leave as arrive, for much longer than its size.
TEST(Ring, AWindowThatMovesKeepsItsOrder) {
  Ring<int> ring;
  for (int i = 0; i < 1000; ++i) {
    ring.push_back(i);
    if (ring.size() > 7) ring.pop_front();
    int expected = i + 1 - static_cast<int>(ring.size());
    for (const int value : ring) EXPECT_EQ(value, expected++);
  }
}

}  // namespace
}  // namespace sluice::testing
