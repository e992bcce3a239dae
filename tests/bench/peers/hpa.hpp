// The HPA's target tracking, on the quota of one task instead of a number of pods (here a pod is 0.1 core).
// Every 15 s
//     desired = ceil(current x utilisation / target),  no change within a tolerance of 0.1
// Up: at once, at most max(100 %, 4 pods) in 15 s. Down: to the largest desired value of the last 300 s.
#pragma once

#include <algorithm>
#include <cmath>
#include <deque>

#include "tests/bench/peers/every.hpp"

namespace sluice::bench {

class Hpa final : public Peer {
 public:
  struct Setting {
    double target = 0.8;
    double stabilisation_s = 300;  // for cuts
  };
  static constexpr double kPodCores = 0.1;
  explicit Hpa(const Setting& setting) : setting_(setting) {}

  double decide(const PeerView& view) override {
    Stretch interval;
    if (!interval_(view, interval)) return view.quota_cores;
    const double current = std::max(1.0, std::round(view.quota_cores / kPodCores));
    const double ratio = interval.usage_cores / (current * kPodCores) / setting_.target;
    double desired = std::abs(ratio - 1) <= 0.1 ? current : std::ceil(current * ratio - 1e-9);
    desired = std::max(1.0, desired);
    wanted_.push_back({view.now_s, desired});
    while (view.now_s - wanted_.front().at_s > setting_.stabilisation_s) wanted_.pop_front();
    if (desired < current) {
      for (const auto& w : wanted_) desired = std::max(desired, w.pods);
      desired = std::min(desired, current);
    }
    return std::min(desired, std::max(2 * current, current + 4)) * kPodCores;
  }

 private:
  struct Wanted {
    double at_s = 0;
    double pods = 0;
  };
  Setting setting_;
  Every interval_{150};
  std::deque<Wanted> wanted_;
};

}  // namespace sluice::bench
