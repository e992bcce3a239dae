// The VPA recommender, 1.7: a histogram of usage in buckets that grow by 5 %, each sample weighted by 2^(t /
// half-life), one sample and one decision per minute.
//     target = p90 + 15 %,  bounds = p50 and p95 + 15 %,  minimum 0.025 core
// It acts if the limit is outside the bounds, or after 12 h if the target differs by more than 10 %.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/bench/peers/every.hpp"

namespace sluice::bench {

class Vpa final : public Peer {
 public:
  struct Setting {
    double percentile = 0.9;
    double margin = 0.15;
    double half_life_s = 24 * 3'600;
  };
  explicit Vpa(const Setting& setting) : setting_(setting) {}

  double decide(const PeerView& view) override {
    Stretch minute;
    if (!minute_(view, minute)) return view.quota_cores;
    add(view.now_s, minute.usage_cores);
    const double target = bound(setting_.percentile);
    const bool outside = view.quota_cores < bound(std::min(0.5, setting_.percentile)) ||
                         view.quota_cores > bound(std::max(0.95, setting_.percentile));
    const bool old = view.now_s - acted_s_ > 12 * 3'600 && std::abs(target / view.quota_cores - 1) > 0.1;
    if (!outside && !old) return view.quota_cores;
    acted_s_ = view.now_s;
    return target;
  }

 private:
  static constexpr double kFirstBucket = 0.01;
  static constexpr double kGrowth = 1.05;
  static constexpr double kFloor = 0.025;

  static double start_of(std::size_t bucket) {
    return kFirstBucket * (std::pow(kGrowth, static_cast<double>(bucket)) - 1) / (kGrowth - 1);
  }
  void add(double now_s, double usage) {
    std::size_t bucket = 0;
    while (start_of(bucket + 1) <= usage) ++bucket;
    if (weights_.size() <= bucket) weights_.resize(bucket + 1, 0);
    weights_[bucket] += std::exp2(now_s / setting_.half_life_s);
  }
  // The end of the bucket that contains this percentile of the weight.
  double bound(double percentile) const {
    double total = 0;
    for (const double w : weights_) total += w;
    double below = 0;
    std::size_t bucket = 0;
    for (; bucket + 1 < weights_.size(); ++bucket) {
      below += weights_[bucket];
      if (below >= percentile * total) break;
    }
    return std::max(kFloor, start_of(bucket + 1)) * (1 + setting_.margin);
  }

  Setting setting_;
  Every minute_{600};
  std::vector<double> weights_;
  double acted_s_ = 0;
};

}  // namespace sluice::bench
