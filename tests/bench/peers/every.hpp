// Means over intervals longer than the 100 ms between calls of a peer.
#pragma once

#include <cstdint>

#include "tests/bench/peer.hpp"

namespace sluice::bench {

struct Stretch {
  double usage_cores = 0;  // mean
  std::uint64_t periods = 0;
  std::uint64_t throttled = 0;
  double throttle_ratio() const {
    return periods == 0 ? 0 : static_cast<double>(throttled) / static_cast<double>(periods);
  }
};

// Collects views; returns true after every `views` of them, with `out` filled in.
class Every {
 public:
  explicit Every(unsigned views) : views_(views) {}
  bool operator()(const PeerView& view, Stretch& out) {
    sum_.usage_cores += view.usage_cores;
    sum_.periods += view.periods;
    sum_.throttled += view.throttled;
    if (++seen_ < views_) return false;
    out = sum_;
    out.usage_cores /= seen_;
    sum_ = {};
    seen_ = 0;
    return true;
  }

 private:
  unsigned views_;
  unsigned seen_ = 0;
  Stretch sum_;
};

}  // namespace sluice::bench
