#include "cgroups/escape.hpp"

namespace sluice::cgroups {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";

bool is_plain(char c) {
  return c >= '!' && c <= '~' && c != '\\';
}

std::optional<unsigned char> hex_value(char c) {
  if (const auto at = kHexDigits.find(c); at != std::string_view::npos) return static_cast<unsigned char>(at);
  return std::nullopt;
}

}  // namespace

std::string escape(std::string_view raw) {
  std::string out;
  out.reserve(raw.size());
  for (const char c : raw) {
    if (is_plain(c)) {
      out.push_back(c);
    } else if (c == '\\') {
      out.append("\\\\");
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out.append("\\x");
      out.push_back(kHexDigits[byte >> 4]);
      out.push_back(kHexDigits[byte & 0xf]);
    }
  }
  return out;
}

std::optional<std::string> unescape(std::string_view escaped) {
  std::string out;
  out.reserve(escaped.size());
  for (std::size_t i = 0; i < escaped.size(); ++i) {
    if (is_plain(escaped[i])) {
      out.push_back(escaped[i]);
    } else if (escaped[i] != '\\') {
      return std::nullopt;
    } else if (escaped.substr(i, 2) == "\\\\") {
      out.push_back('\\');
      i += 1;
    } else {
      if (escaped.size() - i < 4 || escaped[i + 1] != 'x') return std::nullopt;
      const auto high = hex_value(escaped[i + 2]);
      const auto low = hex_value(escaped[i + 3]);
      if (!high || !low) return std::nullopt;
      const auto c = static_cast<char>(*high << 4 | *low);
      if (is_plain(c) || c == '\\') return std::nullopt;  // each name has exactly one escaped form
      out.push_back(c);
      i += 3;
    }
  }
  return out;
}

}  // namespace sluice::cgroups
