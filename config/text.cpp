#include "config/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <vector>

namespace sluice::config {
namespace {

// Levenshtein distance, one row at a time.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const auto replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string in_quotes(std::string_view text) {
  constexpr std::size_t kLongest = 60;
  bool cut = false;
  if (text.size() > kLongest) {
    std::size_t end = kLongest;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80)
      --end;  // not inside a character
    text = text.substr(0, end);
    cut = true;
  }
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      out += fmt::format("\\u{:04X}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + (cut ? "…\"" : "\"");
}

std::string listed(std::span<const std::string_view> names, char quote, std::string_view last) {
  std::string out;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) out += i + 1 == names.size() ? fmt::format(" {} ", last) : ", ";
    if (quote != 0) out += quote;
    out += names[i];
    if (quote != 0) out += quote;
  }
  return out;
}

std::string suggestion(std::string_view wrong, std::span<const std::string_view> known, char quote) {
  constexpr std::size_t kLongestTypo = 64;  // longer words are not compared: the cost is quadratic
  const std::string_view* best = nullptr;
  if (wrong.size() <= kLongestTypo) {
    std::size_t least = wrong.size() / 2 + 1;  // at least half must be right to count as a typo
    for (const auto& name : known) {
      if (const auto d = edit_distance(wrong, name); d < least) {
        least = d;
        best = &name;
      }
    }
  }
  if (best != nullptr) return fmt::format("did you mean {0}{1}{0}?", quote, *best);
  return fmt::format("known {} {}", known.size() == 1 ? "is only" : "are", listed(known, quote, "and"));
}

}  // namespace sluice::config
