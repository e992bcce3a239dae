// A token bucket for each key: so many a second, and so many at once. Pure; time is handed in.
#pragma once

#include <algorithm>
#include <chrono>
#include <map>
#include <string>

namespace sluice::publish {

class RateLimit {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  // `at_once`: what an idle key has saved up; without it, a second's worth.
  explicit RateLimit(double per_second) : RateLimit(per_second, per_second) {}
  RateLimit(double per_second, double at_once) : per_second_(per_second), at_once_(at_once) {}

  // Whether the key has so much left. What costs more than a whole bucket is had when the bucket is full.
  bool allow(const std::string& key, TimePoint now, double cost = 1) {
    if (buckets_.size() >= kMaxKeys && !buckets_.contains(key)) forget_full(now);
    auto& bucket = buckets_.try_emplace(key, Bucket{at_once_, now}).first->second;
    refill(bucket, now);
    if (bucket.tokens < std::min(cost, at_once_)) return false;
    bucket.tokens -= cost;
    return true;
  }
  [[nodiscard]] std::size_t keys() const { return buckets_.size(); }
  static constexpr std::size_t kMaxKeys = 4096;

 private:
  struct Bucket {
    double tokens;
    TimePoint at;
  };
  void refill(Bucket& bucket, TimePoint now) const {
    const double gained = per_second_ * std::chrono::duration<double>(now - bucket.at).count();
    bucket.tokens = std::min(at_once_, bucket.tokens + gained);
    bucket.at = now;
  }
  // A full bucket remembers nothing. If none is full, all are busy: start over, once in a blue moon.
  void forget_full(TimePoint now) {
    for (auto entry = buckets_.begin(); entry != buckets_.end();) {
      refill(entry->second, now);
      entry = entry->second.tokens >= at_once_ ? buckets_.erase(entry) : std::next(entry);
    }
    if (buckets_.size() >= kMaxKeys) buckets_.clear();
  }

  double per_second_, at_once_;
  std::map<std::string, Bucket> buckets_;
};

}  // namespace sluice::publish
