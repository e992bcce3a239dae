// Waiting times of records: quantiles and the late share.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace sluice::load {

class Ages {
 public:
  void add(std::int64_t usec) { usec_.push_back(usec); }
  void add(const Ages& other) { usec_.insert(usec_.end(), other.usec_.begin(), other.usec_.end()); }
  [[nodiscard]] std::size_t count() const { return usec_.size(); }

  // Nearest rank: the smallest age that is not exceeded by at least `share` of all; 0 if there are none.
  [[nodiscard]] double quantile_ms(double share) const {
    if (usec_.empty()) return 0;
    auto sorted = usec_;
    std::sort(sorted.begin(), sorted.end());
    const double rank = std::ceil(share * static_cast<double>(sorted.size()));
    return static_cast<double>(sorted[static_cast<std::size_t>(std::max(rank, 1.0)) - 1]) / 1000;
  }
  [[nodiscard]] double late_ratio(double deadline_ms) const {
    if (usec_.empty()) return 0;
    const auto late = std::count_if(usec_.begin(), usec_.end(),
                                    [&](auto age) { return static_cast<double>(age) > deadline_ms * 1000; });
    return static_cast<double>(late) / static_cast<double>(usec_.size());
  }

 private:
  std::vector<std::int64_t> usec_;
};

}  // namespace sluice::load
