// Numbers as short words, for columns.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <optional>
#include <string>

namespace sluice::demo {

inline std::string cores_text(std::optional<double> cores) {
  return cores ? fmt::format("{:.2f}", *cores) : "none";
}
inline std::string bytes_text(double bytes) {
  constexpr double kMib = 1048576;
  return bytes < 10240 * kMib ? fmt::format("{:.0f} MiB", bytes / kMib)
                              : fmt::format("{:.1f} GiB", bytes / kMib / 1024);
}
inline std::string bytes_text(std::optional<std::uint64_t> bytes) {
  return bytes ? bytes_text(static_cast<double>(*bytes)) : "none";
}
inline std::string percent_text(std::optional<double> ratio) {
  if (!ratio) return "-";
  return fmt::format("{:.{}f} %", *ratio * 100, *ratio < 0.0995 ? 1 : 0);
}
inline std::string ms_text(double usec) {
  return usec < 10'000 ? fmt::format("{:.1f}", usec / 1e3) : fmt::format("{:.0f}", usec / 1e3);
}

}  // namespace sluice::demo
