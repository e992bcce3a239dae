// How often a task may be heard of about one kind of thing. Pure; time is handed in.
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
  // Of a task and kind, since the first of them.
  static constexpr std::chrono::minutes kWindow{1};
  // So many keys at once; a new one beyond that is not limited. The daemon logs 100 lines a second at most.
  static constexpr std::size_t kMaxKeys = 8192;

  struct Key {
    std::string task;
    int kind = 0;  // the caller's numbers
    auto operator<=>(const Key&) const = default;
  };
  // Whether one more line may be logged. One that may not is counted, and its text is kept as an example.
  bool allow(const Key& key, std::uint32_t most, std::string_view line, MonotonicTime now);

  struct LeftOut {
    Key key;
    std::uint64_t lines = 0;
    std::string example;
  };
  // Of windows that have ended since the last call, those of which lines were left out. At most once a
  // second.
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
