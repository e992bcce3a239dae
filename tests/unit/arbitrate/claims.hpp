// Claims on a node for tests, and the results.
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

#include "daemon/arbitrate/arbitrate.hpp"
#include "daemon/decide/cpu.hpp"

namespace sluice {

// A task between `min` and 4 cores that uses all of its limit, which is ours if it has one. `wanted` zero: it
// has no intent.
inline KnobClaim claim(double current, double wanted = 0, double min = 0.1) {
  KnobClaim c;
  c.current = current;
  c.ours = !std::isinf(current);
  if (c.ours) c.use = current;
  c.min = min;
  c.max = 4;
  if (wanted > 0) c.intent = {wanted, Reason{.rule = Rule::cpu_throttled, .wanted = wanted}};
  return c;
}

inline KnobClaim stepped(double current, double wanted, double max = 4) {
  auto c = claim(current, wanted, 1);
  c.step = 1;
  c.max = max;
  return c;
}

inline KnobClaim rated(double current, double wanted, double lowest, double highest) {
  auto c = claim(current, wanted);
  c.rate = {lowest, highest};
  return c;
}

inline KnobClaim using_(double use, KnobClaim c) {
  c.use = use;
  return c;
}

// The value of a claim after the grants.
inline double after(const std::vector<KnobClaim>& c, const Share& s, std::size_t claim) {
  for (const auto& g : s.grants) {
    if (g.claim == claim) return g.value;
  }
  return c[claim].current;
}

}  // namespace sluice
