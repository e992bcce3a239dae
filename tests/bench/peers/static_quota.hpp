// static-peak, static-p95: a quota chosen in hindsight and never changed.
#pragma once

#include "tests/bench/peer.hpp"

namespace sluice::bench {

class StaticQuota final : public Peer {
 public:
  explicit StaticQuota(double cores) : cores_(cores) {}
  double decide(const PeerView&) override { return cores_; }

 private:
  double cores_;
};

}  // namespace sluice::bench
