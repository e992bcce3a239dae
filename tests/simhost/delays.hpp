// Delivery delays of records, in a histogram of about 1 % resolution: quantiles without storing every record.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

namespace sluice::simhost {

class Delays {
 public:
  void add(double delay_usec, double deadline_usec) {
    ++counts_[bucket(delay_usec)];
    ++count_;
    sum_ += delay_usec;
    worst_ = std::max(worst_, delay_usec);
    if (delay_usec > deadline_usec) ++late_;
  }
  std::uint64_t count() const { return count_; }
  std::uint64_t late() const { return late_; }
  double worst_usec() const { return worst_; }
  double mean_usec() const { return count_ == 0 ? 0 : sum_ / static_cast<double>(count_); }

  double quantile_usec(double q) const {
    if (count_ == 0) return 0;
    const auto rank = static_cast<std::uint64_t>(std::ceil(q * static_cast<double>(count_)));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen >= std::max<std::uint64_t>(rank, 1))
        return std::min(worst_, std::exp2(double(i + 1) / kPerOctave));
    }
    return worst_;
  }
  // Number of finished records later than `usec`, to about 1 %; for a deadline that was unknown when they
  // were counted.
  std::uint64_t later_than(double usec) const {
    std::uint64_t out = 0;
    for (std::size_t i = bucket(usec) + 1; i < counts_.size(); ++i) out += counts_[i];
    return out;
  }

 private:
  static constexpr double kPerOctave = 64;
  static std::size_t bucket(double usec) {
    if (usec <= 1) return 0;
    return std::min<std::size_t>(kBuckets - 1, static_cast<std::size_t>(std::log2(usec) * kPerOctave));
  }
  static constexpr std::size_t kBuckets = 40 * 64;  // 2^40 us, twelve days

  std::array<std::uint64_t, kBuckets> counts_{};
  std::uint64_t count_ = 0;
  std::uint64_t late_ = 0;
  double sum_ = 0;
  double worst_ = 0;
};

}  // namespace sluice::simhost
