// TMO: no limit; every 6 s, from outside,
//     reclaim = current x 0.0005 x max(0, 1 - some / 0.1 %)
#pragma once

#include <algorithm>

#include "tests/bench/memory/peer.hpp"

namespace sluice::bench {

class Tmo final : public MemoryPeer {
 public:
  struct Setting {
    double ratio = 0.0005;
    double target = 0.001;
    unsigned interval_s = 6;
  };
  explicit Tmo(const Setting& setting) : setting_(setting) {}

  MemoryAction decide(const MemoryView& view) override {
    some_usec_ += view.some_usec;
    if (++seconds_ < setting_.interval_s) return {};
    const double some = some_usec_ / (1e6 * seconds_);
    seconds_ = 0;
    some_usec_ = 0;
    return {.high_bytes = {},
            .reclaim_bytes = view.current_bytes * setting_.ratio * std::max(0.0, 1 - some / setting_.target)};
  }

 private:
  Setting setting_;
  unsigned seconds_ = 0;
  double some_usec_ = 0;
};

}  // namespace sluice::bench
