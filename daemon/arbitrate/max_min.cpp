#include "daemon/arbitrate/max_min.hpp"

#include <algorithm>
#include <numeric>

namespace sluice {

// Water filling: every claim rises at its weight's pace above its guaranteed part until it is satisfied.
// Sorted by the level at which each is satisfied, one pass finds the level at which the water runs out.
std::vector<double> max_min_share(std::span<const Claim> claims, double capacity) {
  std::vector<double> grants(claims.size());
  double left = capacity, weights = 0;
  for (std::size_t i = 0; i < claims.size(); ++i) {
    grants[i] = claims[i].guaranteed;
    left -= claims[i].guaranteed;
    weights += claims[i].weight;
  }
  if (left <= 0) return grants;

  auto level = [&](std::size_t i) { return (claims[i].wanted - claims[i].guaranteed) / claims[i].weight; };
  std::vector<std::size_t> order(claims.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return level(a) < level(b); });

  for (std::size_t k = 0; k < order.size(); ++k) {
    const auto& claim = claims[order[k]];
    const double extra = claim.wanted - claim.guaranteed;
    const double share = left * claim.weight / weights;
    if (extra <= share) {
      grants[order[k]] = claim.wanted;
      left -= extra;
      weights -= claim.weight;
      continue;
    }
    for (; k < order.size(); ++k) {
      const auto& rest = claims[order[k]];
      grants[order[k]] = rest.guaranteed + left * rest.weight / weights;
    }
  }
  return grants;
}

}  // namespace sluice
