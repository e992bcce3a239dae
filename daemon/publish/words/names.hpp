// Limits of the D-Bus interface, and its conventions for values: microseconds of CPU per second, bytes,
// UINT64_MAX for "infinity" and for "unknown" (t), NaN for "unknown" (d).
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "cgroups/types.hpp"
#include "config/config.hpp"
#include "daemon/publish/bus/bus_names.hpp"
#include "daemon/publish/words/spelling.hpp"
#include "daemon/sample/snapshot.hpp"

namespace sluice::publish {

inline constexpr std::size_t kMaxStringBytes = 4096;
inline constexpr std::size_t kMaxOptions = 64;
inline constexpr std::size_t kMaxKeyBytes = 255;
inline constexpr std::size_t kMaxHolds = 64;
inline constexpr std::size_t kMaxPendingCalls = 128;
inline constexpr std::size_t kMaxPendingCallsOfOne = 32;  // per connection
inline constexpr double kCallsPerSecond = 20;
inline constexpr std::size_t kHistoryPerTask = 128;

inline constexpr std::uint64_t kInfinity = std::numeric_limits<std::uint64_t>::max();
inline constexpr double kUsecPerSec = 1e6;

inline std::uint64_t usec_value(double seconds) {
  const double usec = std::round(seconds * kUsecPerSec);
  if (!(usec > 0)) return 0;
  return usec >= 1.8e19 ? kInfinity : static_cast<std::uint64_t>(usec);
}
inline std::uint64_t usec_value(std::optional<double> seconds) {
  return seconds ? usec_value(*seconds) : kInfinity;
}
inline std::uint64_t quota_value(const CpuMax& cpu) {
  if (!cpu.quota || cpu.period.count() <= 0) return kInfinity;
  return usec_value(static_cast<double>(cpu.quota->count()) / static_cast<double>(cpu.period.count()));
}
inline std::uint64_t burst_value(const CpuMax& cpu) {
  return cpu.burst ? static_cast<std::uint64_t>(cpu.burst->count()) : kInfinity;
}
inline std::uint64_t limit_value(const MemoryLimit& limit) {
  return limit.bytes.value_or(kInfinity);
}
inline std::uint64_t knob_value(const KnobValue& value) {
  if (const auto* cpu = std::get_if<CpuMax>(&value)) return quota_value(*cpu);
  if (const auto* weight = std::get_if<CpuWeight>(&value)) return weight->weight;
  return limit_value(std::get<MemoryLimit>(value));
}
inline double ratio_value(std::optional<double> ratio) {
  return ratio.value_or(std::numeric_limits<double>::quiet_NaN());
}

constexpr std::string_view mode_name(config::Mode mode) {
  switch (mode) {
    case config::Mode::enforce:
      return "enforce";
    case config::Mode::dry_run:
      return "dry-run";
    case config::Mode::observe:
      return "observe";
  }
  return "unknown";
}
constexpr std::optional<config::Mode> parse_mode(std::string_view name) {
  for (const auto mode : {config::Mode::enforce, config::Mode::dry_run, config::Mode::observe}) {
    if (mode_name(mode) == name) return mode;
  }
  return std::nullopt;
}

constexpr std::string_view source_name(SampleSource source) {
  return source == SampleSource::bpf ? "bpf" : "files";
}

// The object path of a task with any name, and the reverse; none if it is no such path.
std::string task_path(std::string_view name);
std::optional<std::string> task_of_path(const std::string& path);

}  // namespace sluice::publish
