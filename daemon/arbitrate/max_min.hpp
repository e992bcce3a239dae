// Weighted max-min fairness with guaranteed minima, priority by priority. Pure; O(n log n); the order of the
// claims does not matter.
#pragma once

#include <span>
#include <vector>

namespace sluice {

struct Claim {
  double guaranteed = 0;  // granted first, whatever the capacity
  double wanted = 0;      // at least `guaranteed`; upper bound of the grant
  double weight = 1;      // > 0; share of the rest
  int priority = 0;       // the rest goes to the highest first
};

// grants[i] belongs to claims[i]: guaranteed <= grant <= wanted. The sum is at most `capacity`, unless the
// guaranteed parts alone exceed it.
std::vector<double> max_min_share(std::span<const Claim> claims, double capacity);

}  // namespace sluice
