// senpai as of 2019. Each second, with the integral I of `some` since the last change and the permitted
// pressure P:
//     I > P, at once:                limit *= 1 + min(((I / P) / 20)^2, 1)
//     at the end of an interval:     limit *= 1 - min(((P / I) / 10)^2 0.01, 0.01)
// within 100 MiB .. 100 GiB. The first limit is the memory in use.
#pragma once

#include <algorithm>

#include "tests/bench/memory/peer.hpp"

namespace sluice::bench {

class Senpai final : public MemoryPeer {
 public:
  struct Setting {
    double pressure_usec = 10'000;
    unsigned interval_s = 6;
  };
  explicit Senpai(const Setting& setting) : setting_(setting), grace_(setting.interval_s) {}

  MemoryAction decide(const MemoryView& view) override {
    if (limit_ == 0) return change(view.current_bytes);
    integral_ += view.some_usec;
    if (integral_ > setting_.pressure_usec) {
      const double over = integral_ / setting_.pressure_usec / 20;
      return change(limit_ * (1 + std::min(over * over, 1.0)));
    }
    if (--grace_ > 0) return {};
    const double under = setting_.pressure_usec / std::max(integral_, 1.0) / 10;
    return change(limit_ * (1 - std::min(under * under * 0.01, 0.01)));
  }

 private:
  MemoryAction change(double bytes) {
    constexpr double kMiB = 1 << 20;
    limit_ = std::clamp(bytes, 100 * kMiB, 100 * 1024 * kMiB);
    integral_ = 0;
    grace_ = setting_.interval_s;
    return {.high_bytes = limit_};
  }

  Setting setting_;
  double limit_ = 0;
  double integral_ = 0;
  unsigned grace_;
};

}  // namespace sluice::bench
