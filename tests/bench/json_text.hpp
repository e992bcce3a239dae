// JSON as text, member by member.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::bench {

inline std::string json_quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out + '"';
}

class JsonObject {
 public:
  JsonObject& text(std::string_view key, std::string_view value) { return raw(key, json_quoted(value)); }
  JsonObject& number(std::string_view key, double value) {
    return raw(key, std::isfinite(value) ? fmt::format("{:.6g}", value) : "null");
  }
  JsonObject& whole(std::string_view key, std::uint64_t value) { return raw(key, fmt::format("{}", value)); }
  JsonObject& flag(std::string_view key, bool value) { return raw(key, value ? "true" : "false"); }
  JsonObject& raw(std::string_view key, std::string_view value) {
    text_ += fmt::format("{}{}: {}", text_.empty() ? "" : ", ", json_quoted(key), value);
    return *this;
  }
  std::string done() const { return "{" + text_ + "}"; }

 private:
  std::string text_;
};

template <typename T, typename F>
std::string json_array(const std::vector<T>& items, F to_text) {
  std::string out = "[";
  for (const T& item : items) out += (out.size() == 1 ? "\n  " : ",\n  ") + to_text(item);
  return out + "\n]";
}

}  // namespace sluice::bench
