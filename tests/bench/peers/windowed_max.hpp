// K8s-CPU and K8s-CPU-fast:  limit = max usage in the last `window` / target utilisation,  every `interval`.
// K8s-CPU: 300 s, every 15 s. Fast: 20 s, every 1 s. Usage in means of one second.
#pragma once

#include <algorithm>
#include <deque>

#include "tests/bench/peers/every.hpp"

namespace sluice::bench {

class WindowedMax final : public Peer {
 public:
  WindowedMax(std::size_t window_s, unsigned interval_s, double utilisation)
      : window_s_(window_s), interval_s_(interval_s), utilisation_(utilisation) {}

  double decide(const PeerView& view) override {
    Stretch second;
    if (!second_(view, second)) return view.quota_cores;
    usage_.push_back(second.usage_cores);
    if (usage_.size() > window_s_) usage_.pop_front();
    if (++seconds_ % interval_s_ != 0) return view.quota_cores;
    return *std::max_element(usage_.begin(), usage_.end()) / utilisation_;
  }

 private:
  std::size_t window_s_;
  unsigned interval_s_;
  double utilisation_;
  Every second_{10};
  unsigned seconds_ = 0;
  std::deque<double> usage_;
};

}  // namespace sluice::bench
