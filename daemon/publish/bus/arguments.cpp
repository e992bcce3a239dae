#include "daemon/publish/bus/arguments.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "daemon/publish/bus/bus_compat.hpp"
#include "daemon/publish/words/names.hpp"

namespace sluice::publish {

namespace {

constexpr std::uint64_t kDayUsec = 86'400'000'000;

sdbus::Error bad(const std::string& message) {
  return compat::error(error_name::invalid_args, message);
}
sdbus::Error out_of_range(const std::string& message) {
  return compat::error(error_name::limit_out_of_range, message);
}

// A key may be 4 KiB of anything: quote it short and printable.
std::string quoted(const std::string& raw) {
  constexpr std::size_t kShown = 60;
  return '\'' + c_escape(raw.substr(0, kShown)) + (raw.size() > kShown ? "...'" : "'");
}

template <class Map>
void check_keys(const Map& options, std::initializer_list<std::string_view> known, const char* what) {
  if (options.size() > kMaxOptions) {
    throw bad(fmt::format("{} {} given; at most {} are allowed", options.size(), what, kMaxOptions));
  }
  for (const auto& [key, value] : options) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      throw bad(fmt::format("unknown key {}; known are {}", quoted(key), fmt::join(known, ", ")));
    }
  }
  if (options.empty())
    throw bad(fmt::format("no {} given; name at least one of {}", what, fmt::join(known, ", ")));
}

std::optional<std::uint64_t> find_unsigned(const Options& options, const char* key) {
  const auto found = options.find(key);
  if (found == options.end()) return std::nullopt;
  const std::string type = compat::value_type(found->second);
  if (type == "t") return found->second.get<std::uint64_t>();
  if (type == "u") return found->second.get<std::uint32_t>();
  throw bad(fmt::format("{} is of D-Bus type '{}'; it must be 't', an unsigned number", key, type));
}

std::optional<double> find_cores(const Options& options, const char* key) {
  const auto usec = find_unsigned(options, key);
  if (!usec) return std::nullopt;
  if (*usec == 0 || *usec == kInfinity) {
    throw out_of_range(
        fmt::format("{} is {}; it must be microseconds of CPU per second, so 1500000 is 1.5 cores", key,
                    *usec == 0 ? "0" : "infinity"));
  }
  return static_cast<double>(*usec) / kUsecPerSec;
}

std::optional<Bytes> find_bytes(const Options& options, const char* key, bool zero_allowed) {
  const auto bytes = find_unsigned(options, key);
  if (!bytes) return std::nullopt;
  if ((*bytes == 0 && !zero_allowed) || *bytes == kInfinity) {
    throw out_of_range(
        fmt::format("{} is {}; it must be a finite number of bytes", key, *bytes == 0 ? "0" : "infinity"));
  }
  return bytes;
}

MonotonicTime after(MonotonicTime now, std::uint64_t ttl_usec) {
  return now + Usec(static_cast<std::int64_t>(ttl_usec));
}

}  // namespace

void check_text(const char* argument, const std::string& text) {
  if (text.size() > kMaxStringBytes) {
    throw bad(
        fmt::format("{} is {} bytes long; at most {} are allowed", argument, text.size(), kMaxStringBytes));
  }
}

PinCommand pin_command(const std::string& task, const Options& limits, std::uint64_t ttl_usec,
                       const std::string& reason, const std::string& sender, MonotonicTime now) {
  check_text("reason", reason);
  check_keys(limits, {"CPUQuotaPerSecUSec", "MemoryHigh"}, "limits");
  PinCommand command;
  command.task = task;
  command.reason = reason;
  command.cpu_cores = find_cores(limits, "CPUQuotaPerSecUSec");
  command.memory_high = find_bytes(limits, "MemoryHigh", false);
  if (ttl_usec == 0) {
    command.owner = sender;
  } else if (ttl_usec != kInfinity) {
    if (ttl_usec > kLongestPinUsec) {
      throw bad(
          fmt::format("ttl_usec is {}; it must be 0 (while the caller stays on the bus), 1 .. {} (a year), "
                      "or {} (until unpinned)",
                      ttl_usec, kLongestPinUsec, kInfinity));
    }
    command.until = after(now, ttl_usec);
  }
  return command;
}

SetBoundsCommand bounds_command(const std::string& task, const Options& bounds) {
  check_keys(bounds, {"CPUMinPerSecUSec", "CPUMaxPerSecUSec", "MemoryMin", "MemoryMax"}, "bounds");
  SetBoundsCommand command;
  command.task = task;
  command.cpu_min_cores = find_cores(bounds, "CPUMinPerSecUSec");
  command.cpu_max_cores = find_cores(bounds, "CPUMaxPerSecUSec");
  command.memory_min = find_bytes(bounds, "MemoryMin", true);
  command.memory_max = find_bytes(bounds, "MemoryMax", false);
  if (command.cpu_min_cores && command.cpu_max_cores && *command.cpu_min_cores > *command.cpu_max_cores) {
    throw out_of_range("CPUMinPerSecUSec is above CPUMaxPerSecUSec");
  }
  if (command.memory_min && command.memory_max && *command.memory_min > *command.memory_max) {
    throw out_of_range("MemoryMin is above MemoryMax");
  }
  return command;
}

ReportLoadCommand load_command(const std::string& task, const std::map<std::string, double>& load,
                               std::uint64_t ttl_usec, MonotonicTime now) {
  check_keys(load, {"lag", "processed", "arrival_rate", "oldest_age_seconds", "backlog_cpu_seconds"},
             "values");
  for (const auto& [key, value] : load) {
    if (!std::isfinite(value) || value < 0) {
      throw bad(fmt::format("{} is {}; it must be a finite number, 0 or more", key, value));
    }
  }
  if (ttl_usec == 0 || ttl_usec > kDayUsec) {
    throw bad(fmt::format("ttl_usec is {}; it must be 1 .. {} (a day)", ttl_usec, kDayUsec));
  }
  const auto find = [&](const char* key) {
    const auto found = load.find(key);
    return found == load.end() ? std::nullopt : std::optional<double>(found->second);
  };
  ReportLoadCommand command;
  command.task = task;
  command.load = {.lag = find("lag"),
                  .processed = find("processed"),
                  .arrival_rate = find("arrival_rate"),
                  .oldest_age_seconds = find("oldest_age_seconds"),
                  .backlog_cpu_seconds = find("backlog_cpu_seconds")};
  command.until = after(now, ttl_usec);
  return command;
}

SetModeCommand mode_command(const std::string& mode) {
  const auto parsed = parse_mode(mode);
  if (!parsed) throw bad(fmt::format("unknown mode {}; known are enforce, dry-run, observe", quoted(mode)));
  return {*parsed};
}

}  // namespace sluice::publish
