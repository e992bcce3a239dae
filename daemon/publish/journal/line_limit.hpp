// Limits how many lines of one kind are logged about a task. Pure; the caller passes the time.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cgroups/time.hpp"

namespace sluice::publish {

class LineLimit {
 public:
  // Of one task and kind, from its first line.
  static constexpr std::chrono::minutes kWindow{1};
  // Upper bound of keys; further keys are not limited. The daemon logs at most 100 lines per second.
  static constexpr std::size_t kMaxKeys = 8192;

  struct Key {
    std::string task;
    int kind = 0;  // chosen by the caller
    auto operator<=>(const Key&) const = default;
  };
  // True if one more line may be logged. Otherwise it is counted, and its text is kept as an example.
  bool allow(const Key& key, std::uint32_t most, std::string_view line, MonotonicTime now);

  struct LeftOut {
    Key key;
    std::uint64_t lines = 0;
    std::string example;
  };
  // The windows with omitted lines that ended since the last call. Evaluated at most once a second.
  std::vector<LeftOut> ended(MonotonicTime now);
  [[nodiscard]] std::size_t keys() const { return windows_.size(); }

 private:
  struct Window {
    MonotonicTime begun{};
    std::uint32_t lines = 0;
    std::uint64_t left_out = 0;
    std::string example{};
  };
  std::map<Key, Window> windows_;
  MonotonicTime swept_at_{};
};

}  // namespace sluice::publish
