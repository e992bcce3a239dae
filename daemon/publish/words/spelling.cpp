#include "daemon/publish/words/spelling.hpp"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <cmath>

namespace sluice::publish {

using std::string;

string bytes_in(double bytes, int digits) {
  static constexpr std::array units{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  std::size_t unit = 0;
  while (std::abs(bytes) >= 1024 && unit + 1 < units.size()) {
    bytes /= 1024;
    ++unit;
  }
  // 1023.96 would print as "1024.0": the next unit's 1.0.
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
  const double seconds = std::chrono::duration<double>(duration).count();
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

}  // namespace sluice::publish
