// Autothrottle's Captain. Each second, with the throttle ratio r of its ten periods and the last 50 usages u
// (5 s):
//     margin = max(0, margin + r - target)
//     r > 3 target:  limit *= 1 + r - 3 target
//     else:          proposed = max(u) + stdev(u) margin
//                    proposed <= 0.9 limit:  limit = max(limit / 2, proposed)
// After a cut, every 100 ms:  r > 3 target:  limit = 2 last - limit,  margin += r - target.
#pragma once

#include <algorithm>
#include <cmath>
#include <deque>

#include "tests/bench/peer.hpp"

namespace sluice::bench {

class Captain final : public Peer {
 public:
  explicit Captain(double target) : target_(target) {}

  double decide(const PeerView& view) override {
    usage_.push_back(view.usage_cores);
    if (usage_.size() > 50) usage_.pop_front();
    periods_ += view.periods;
    throttled_ += view.throttled;
    const double ratio = periods_ == 0 ? 0 : static_cast<double>(throttled_) / static_cast<double>(periods_);
    const double limit = view.quota_cores;
    if (++samples_ < 10) {
      if (before_cut_ == 0 || ratio <= 3 * target_) return limit;
      const double undone = 2 * before_cut_ - limit;
      margin_ += ratio - target_;
      before_cut_ = 0;
      return undone;
    }
    samples_ = 0;
    periods_ = throttled_ = 0;
    before_cut_ = 0;
    margin_ = std::max(0.0, margin_ + ratio - target_);
    if (ratio > 3 * target_) return limit * (1 + ratio - 3 * target_);
    const double proposed = *std::max_element(usage_.begin(), usage_.end()) + deviation() * margin_;
    if (proposed > 0.9 * limit) return limit;
    before_cut_ = limit;
    return std::max(0.5 * limit, proposed);
  }
  double margin() const { return margin_; }

 private:
  double deviation() const {
    double mean = 0;
    for (const double u : usage_) mean += u / static_cast<double>(usage_.size());
    double square = 0;
    for (const double u : usage_) square += (u - mean) * (u - mean) / static_cast<double>(usage_.size());
    return std::sqrt(square);
  }

  double target_;
  double margin_ = 3;
  double before_cut_ = 0;  // the limit before a cut of the last second; 0: none
  unsigned samples_ = 0;
  std::uint64_t periods_ = 0;
  std::uint64_t throttled_ = 0;
  std::deque<double> usage_;
};

}  // namespace sluice::bench
