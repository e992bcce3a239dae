#include "daemon/arbitrate/max_min.hpp"

#include <algorithm>
#include <numeric>

namespace sluice {

namespace {

// Water filling among claims of one priority: every claim rises above its guaranteed part in proportion to
// its weight until it is satisfied. Sorted by the level at which each is satisfied, one pass finds the final
// level. Returns what is left for the next priority.
double fill(std::span<const Claim> claims, std::span<std::size_t> group, double left,
            std::vector<double>& grants) {
  auto level = [&](std::size_t i) { return (claims[i].wanted - claims[i].guaranteed) / claims[i].weight; };
  std::stable_sort(group.begin(), group.end(), [&](auto a, auto b) { return level(a) < level(b); });
  double weights = 0;
  for (const auto i : group) weights += claims[i].weight;
  for (std::size_t k = 0; k < group.size(); ++k) {
    const auto& claim = claims[group[k]];
    const double extra = claim.wanted - claim.guaranteed;
    if (extra <= left * claim.weight / weights) {
      grants[group[k]] = claim.wanted;
      left -= extra;
      weights -= claim.weight;
      continue;
    }
    for (; k < group.size(); ++k) grants[group[k]] += left * claims[group[k]].weight / weights;
    return 0;
  }
  return left;
}

}  // namespace

std::vector<double> max_min_share(std::span<const Claim> claims, double capacity) {
  std::vector<double> grants(claims.size());
  // Usually there is enough for all, and no sorting is needed. Not used within rounding of the capacity.
  constexpr double kRounding = 1e-9;
  double all = 0;
  for (const auto& c : claims) all += c.wanted;
  if (all < capacity * (1 - kRounding)) {
    for (std::size_t i = 0; i < claims.size(); ++i) grants[i] = claims[i].wanted;
    return grants;
  }
  double left = capacity;
  for (std::size_t i = 0; i < claims.size(); ++i) {
    grants[i] = claims[i].guaranteed;
    left -= claims[i].guaranteed;
  }
  std::vector<std::size_t> order(claims.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](auto a, auto b) { return claims[a].priority > claims[b].priority; });
  for (std::size_t first = 0; first < order.size() && left > 0;) {
    std::size_t last = first;
    while (last < order.size() && claims[order[last]].priority == claims[order[first]].priority) ++last;
    left = fill(claims, std::span(order).subspan(first, last - first), left, grants);
    first = last;
  }
  return grants;
}

}  // namespace sluice
