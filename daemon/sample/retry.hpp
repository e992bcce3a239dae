// When to retry after a failure: after one second, two, four … at most a minute. A value; the caller passes
// the time.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cgroups/types.hpp"

namespace sluice::sample {

class Retry {
 public:
  static constexpr auto kFirst = std::chrono::seconds(1);    // most failures are short
  static constexpr auto kLongest = std::chrono::minutes(1);  // a lasting failure costs one attempt per minute

  void failed(MonotonicTime now) {
    if (failures_ == 0) since_ = now;
    due_at_ = now + std::min<Nsec>(kFirst * (std::int64_t{1} << std::min(failures_, 6U)), kLongest);
    ++failures_;
  }
  void worked() { *this = {}; }

  [[nodiscard]] bool due(MonotonicTime now) const { return now >= due_at_; }  // true if nothing failed yet
  [[nodiscard]] std::uint32_t failures() const { return failures_; }          // consecutive
  [[nodiscard]] MonotonicTime since() const { return since_; }                // of the first of them

 private:
  std::uint32_t failures_ = 0;
  MonotonicTime since_{}, due_at_{};
};

}  // namespace sluice::sample
