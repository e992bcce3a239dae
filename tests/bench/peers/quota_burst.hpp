// Koordinator's CFSQuotaBurst: each second, if throttled, limit *= 1.2, within base .. 3 base. It never
// lowers by itself (the factor 0.8 applies to overloaded nodes, and a single task cannot overload the node).
#pragma once

#include <algorithm>

#include "tests/bench/peers/every.hpp"

namespace sluice::bench {

class QuotaBurst final : public Peer {
 public:
  explicit QuotaBurst(double base_cores) : base_(base_cores) {}

  double decide(const PeerView& view) override {
    const double limit = std::clamp(view.quota_cores, base_, 3 * base_);
    Stretch second;
    if (!second_(view, second) || second.throttled == 0) return limit;
    return std::min(3 * base_, limit * 1.2);
  }

 private:
  double base_;
  Every second_{10};
};

}  // namespace sluice::bench
