// Sharing a capacity: guaranteed parts first, then by priority and weight.
#include "daemon/arbitrate/max_min.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <numeric>

namespace sluice {
namespace {

double sum(const std::vector<double>& v) {
  return std::accumulate(v.begin(), v.end(), 0.0);
}

rc::Gen<double> number(int low_percent, int high_percent) {
  return rc::gen::map(rc::gen::inRange(low_percent, high_percent), [](int n) { return n / 100.0; });
}

rc::Gen<std::vector<Claim>> claims() {
  return rc::gen::container<std::vector<Claim>>(rc::gen::map(
      rc::gen::tuple(number(0, 200), number(0, 400), number(1, 1000), rc::gen::inRange(-1, 2)),
      [](const auto& t) {
        return Claim{std::get<0>(t), std::get<0>(t) + std::get<1>(t), std::get<2>(t), std::get<3>(t)};
      }));
}

TEST(MaxMin, EveryoneIsSatisfiedWhenThereIsEnough) {
  const std::vector<Claim> c{{1, 2, 1}, {0, 3, 5}};
  EXPECT_EQ(max_min_share(c, 10), (std::vector<double>{2, 3}));
}

TEST(MaxMin, SmallClaimsFirstThenByWeight) {
  const std::vector<Claim> c{{0, 1, 1}, {0, 10, 1}, {0, 10, 3}};
  const auto g = max_min_share(c, 9);
  EXPECT_DOUBLE_EQ(g[0], 1);
  EXPECT_DOUBLE_EQ(g[1], 2);
  EXPECT_DOUBLE_EQ(g[2], 6);
}

TEST(MaxMin, GuaranteesHoldThoughTheyExceedTheCapacity) {
  const std::vector<Claim> c{{3, 5, 1}, {3, 5, 1}};
  EXPECT_EQ(max_min_share(c, 4), (std::vector<double>{3, 3}));
}

TEST(MaxMin, LowerPrioritiesGiveBackFirstButKeepTheirGuarantee) {
  const std::vector<Claim> c{{1, 4, 1, 0}, {0, 5, 1, 10}, {0, 5, 1, -1}};
  EXPECT_EQ(max_min_share(c, 8), (std::vector<double>{3, 5, 0}));
  EXPECT_EQ(max_min_share(c, 3), (std::vector<double>{1, 2, 0}));
}

TEST(MaxMin, Properties) {
  EXPECT_TRUE(rc::check("guaranteed <= grant <= wanted, within capacity, nothing left over", [] {
    const auto c = *claims();
    const double capacity = *number(0, 2000);
    const auto g = max_min_share(c, capacity);
    double guaranteed = 0, wanted = 0;
    for (std::size_t i = 0; i < c.size(); ++i) {
      RC_ASSERT(g[i] >= c[i].guaranteed - 1e-9);
      RC_ASSERT(g[i] <= c[i].wanted + 1e-9);
      guaranteed += c[i].guaranteed;
      wanted += c[i].wanted;
    }
    RC_ASSERT(sum(g) <= std::max(capacity, guaranteed) + 1e-6);
    RC_ASSERT(sum(g) >= std::min(std::max(capacity, guaranteed), wanted) - 1e-6);
  }));
  EXPECT_TRUE(rc::check("the order of the claims does not matter", [] {
    auto c = *claims();
    const double capacity = *number(0, 2000);
    const auto g = max_min_share(c, capacity);
    std::reverse(c.begin(), c.end());
    auto r = max_min_share(c, capacity);
    std::reverse(r.begin(), r.end());
    for (std::size_t i = 0; i < g.size(); ++i) RC_ASSERT(std::abs(g[i] - r[i]) < 1e-6);
  }));
}

}  // namespace
}  // namespace sluice
