// Weighted max-min fairness with guaranteed minima, priority by priority. Pure; O(n log n); the order of the
// claims does not matter.
#pragma once

#include <span>
#include <vector>

namespace sluice {

struct Claim {
  double guaranteed = 0;  // given first, whatever the capacity
  double wanted = 0;      // at least `guaranteed`; never given more
  double weight = 1;      // > 0; the share of what is left
  int priority = 0;       // what is left goes to the highest first
};

// grants[i] belongs to claims[i]: guaranteed <= grant <= wanted. Their sum is at most `capacity`, unless the
// guaranteed parts alone are more.
std::vector<double> max_min_share(std::span<const Claim> claims, double capacity);

}  // namespace sluice
