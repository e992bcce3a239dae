#include "daemon/publish/words/spelling.hpp"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <cmath>
#include <optional>

namespace sluice::publish {

using std::string;

string bytes_in(double bytes, int digits) {
  static constexpr std::array units{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  std::size_t unit = 0;
  while (std::abs(bytes) >= 1024 && unit + 1 < units.size()) {
    bytes /= 1024;
    ++unit;
  }
  // 1023.96 would print as "1024.0", so the next unit is used.
  if (std::abs(bytes) >= 1023.95 && unit + 1 < units.size()) {
    bytes /= 1024;
    ++unit;
  }
  return unit == 0 || bytes == std::floor(bytes) ? fmt::format("{:.0f} {}", bytes, units[unit])
                                                 : fmt::format("{:.{}f} {}", bytes, digits, units[unit]);
}

string cores_words(double cores) {
  if (cores != 0 && std::abs(cores) < 0.1) return fmt::format("{:.3f} cores", cores);
  return fmt::format("{:.2f} cores", cores);
}

string bytes_words(double bytes) {
  return bytes_in(bytes, 1);
}

string percent_words(double ratio) {
  const double value = ratio * 100;
  return value != 0 && std::abs(value) < 10 ? fmt::format("{:.2g} %", value) : fmt::format("{:.0f} %", value);
}

string duration_words(Nsec duration) {
  const double seconds = in_seconds(duration);
  const double magnitude = std::abs(seconds);
  if (magnitude == 0) return "0 s";
  if (magnitude < 1e-3) return fmt::format("{:.3g} us", seconds * 1e6);
  if (magnitude < 0.9995) return fmt::format("{:.3g} ms", seconds * 1e3);
  if (magnitude < 120) return fmt::format("{:.3g} s", seconds);
  if (magnitude < 7200) return fmt::format("{:.0f} min", seconds / 60);
  if (magnitude < 172'800) return fmt::format("{:.0f} h", seconds / 3600);
  return fmt::format("{:.0f} days", seconds / 86'400);
}

std::string c_escape(std::string_view raw) {
  std::string out;
  out.reserve(raw.size());
  for (const char c : raw) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\\') {
      out += "\\\\";
    } else if (byte >= 0x20 && byte < 0x7f) {
      out += c;
    } else {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", byte);
    }
  }
  return out;
}

namespace {

// The first code point and its length; none if it is malformed or not allowed by D-Bus.
struct Character {
  char32_t code;
  std::size_t length;
};
std::optional<Character> decode(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return Character{lead, 1};
  const std::size_t length = lead >= 0xc2 && lead < 0xe0   ? 2
                             : lead >= 0xe0 && lead < 0xf0 ? 3
                             : lead >= 0xf0 && lead < 0xf5 ? 4
                                                           : 0;
  if (length == 0 || text.size() < length) return std::nullopt;
  char32_t code = lead & (0xffU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return std::nullopt;
    code = code << 6 | (byte(i) & 0x3fU);
  }
  const bool overlong = code < (length == 3 ? 0x800U : length == 4 ? 0x10000U : 0x80U);
  const bool surrogate = code >= 0xd800 && code < 0xe000;
  const bool no_character = code > 0x10ffff || (code >= 0xfdd0 && code < 0xfdf0) || (code & 0xfffe) == 0xfffe;
  if (overlong || surrogate || no_character) return std::nullopt;
  return Character{code, length};
}

// U+0080 .. U+009F are control characters too: some terminals act on them.
bool is_control(char32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0);
}

string printable(std::string_view text, bool keep_line_feeds) {
  string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const auto character = decode(text);
    const bool shown =
        character && (!is_control(character->code) || (keep_line_feeds && text.front() == '\n'));
    const std::size_t length = shown ? character->length : 1;
    if (shown) {
      out += text.substr(0, length);
    } else {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned char>(text.front()));
    }
    text.remove_prefix(length);
  }
  return out;
}

}  // namespace

string printable(std::string_view text) {
  return printable(text, true);
}
string printable_line(std::string_view text) {
  return printable(text, false);
}

bool is_text(std::string_view text) {
  while (!text.empty()) {
    const auto character = decode(text);
    if (!character || character->code == 0) return false;
    text.remove_prefix(character->length);
  }
  return true;
}

string shortened(std::string_view text, std::size_t most) {
  if (text.size() <= most) return string(text);
  const auto inside = [&](std::size_t i) { return (static_cast<unsigned char>(text[i]) & 0xc0) == 0x80; };
  std::size_t end = most;
  while (end > 0 && most - end < 4 && inside(end)) --end;
  return string(text.substr(0, end)) + "…";
}

}  // namespace sluice::publish
