// Static: memory.max only. MemoryQoS: in addition, written once when the task starts,
//     memory.high = request + f (limit - request), rounded down to pages,  f = 0.8, later 0.9
#pragma once

#include <cmath>

#include "tests/bench/memory/peer.hpp"

namespace sluice::bench {

class StaticMemory final : public MemoryPeer {
 public:
  MemoryAction decide(const MemoryView&) override { return {}; }
};

class MemoryQos final : public MemoryPeer {
 public:
  MemoryQos(double request_bytes, double limit_bytes, double f)
      : high_(std::floor((request_bytes + f * (limit_bytes - request_bytes)) / 4096) * 4096) {}
  MemoryAction decide(const MemoryView&) override {
    if (written_) return {};
    written_ = true;
    return {.high_bytes = high_};
  }

 private:
  double high_;
  bool written_ = false;
};

}  // namespace sluice::bench
