// What a reader gets from a recording's bytes: complete ticks, the end, and problems.
#pragma once

#include <unistd.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/record/lines.hpp"

namespace sluice::testing {

struct Recorded {
  std::vector<record::TickEntry> ticks;
  std::optional<std::string> end;
  std::string wrong;  // empty: nothing
};

inline Recorded recorded(std::string_view text) {
  Recorded found;
  record::LineReader in;
  for (bool first = true; !text.empty(); first = false) {
    const auto newline = text.find('\n');
    if (newline == std::string_view::npos) {
      found.wrong = "a torn line";
      return found;
    }
    const auto line = text.substr(0, newline);
    text.remove_prefix(newline + 1);
    if (first) {
      if (const auto header = in.header(line); !header) found.wrong = header.error();
    } else if (auto entry = in.entry(line); !entry) {
      found.wrong = entry.error();
    } else if (auto* tick = std::get_if<record::TickEntry>(&*entry)) {
      found.ticks.push_back(std::move(*tick));
    } else if (const auto* end = std::get_if<record::EndEntry>(&*entry)) {
      found.end = end->reason;
    }
    if (!found.wrong.empty()) return found;
  }
  return found;
}

// Waits for another thread: true as soon as the condition holds; false after a time that only a failure
// needs.
inline bool comes_true(const std::function<bool()>& it) {
  for (int i = 0; i < 30'000; ++i) {
    if (it()) return true;
    ::usleep(1'000);
  }
  return false;
}

}  // namespace sluice::testing
