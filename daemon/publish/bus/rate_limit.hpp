// A token bucket for each key: `rate` calls a second, a second's worth at once. Pure; time is handed in.
#pragma once

#include <algorithm>
#include <chrono>
#include <map>
#include <string>

namespace sluice::publish {

class RateLimit {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  explicit RateLimit(double per_second) : per_second_(per_second) {}

  bool allow(const std::string& key, TimePoint now) {
    if (buckets_.size() >= kMaxKeys && !buckets_.contains(key)) forget_full(now);
    auto& bucket = buckets_.try_emplace(key, Bucket{per_second_, now}).first->second;
    bucket.refill(per_second_, now);
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }
  [[nodiscard]] std::size_t keys() const { return buckets_.size(); }

 private:
  static constexpr std::size_t kMaxKeys = 4096;
  struct Bucket {
    double tokens;
    TimePoint at;
    void refill(double per_second, TimePoint now) {
      tokens = std::min(per_second, tokens + per_second * std::chrono::duration<double>(now - at).count());
      at = now;
    }
  };
  // A full bucket remembers nothing. If none is full, all are busy: start over, once in a blue moon.
  void forget_full(TimePoint now) {
    for (auto entry = buckets_.begin(); entry != buckets_.end();) {
      entry->second.refill(per_second_, now);
      entry = entry->second.tokens >= per_second_ ? buckets_.erase(entry) : std::next(entry);
    }
    if (buckets_.size() >= kMaxKeys) buckets_.clear();
  }

  double per_second_;
  std::map<std::string, Bucket> buckets_;
};

}  // namespace sluice::publish
