// What an administrator asks for, as values. D-Bus makes them, the tick obeys them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "cgroups/types.hpp"
#include "config/config.hpp"

namespace sluice {

// Hold a knob at a value, whatever the load. Unset: that knob stays governed. Lapses at `until`, or when
// the D-Bus connection `owner` goes away (empty owner: never).
struct PinCommand {
  std::string task;
  std::optional<double> cpu_cores;
  std::optional<Bytes> memory_high;
  std::optional<MonotonicTime> until;
  std::string reason;
  std::string owner;
  std::uint32_t uid = 0;  // whose it is
};
struct UnpinCommand {
  std::string task;
};
// Suspend: baseline restored, nothing written until Resume. An empty task means the whole node.
struct SuspendCommand {
  std::string task;
  std::string reason;
  std::uint32_t uid = 0;  // whose it is
};
struct ResumeCommand {
  std::string task;
};
// Overrides the config's bounds until the next reload. Unset fields stay.
struct SetBoundsCommand {
  std::string task;
  std::optional<double> cpu_min_cores, cpu_max_cores;
  std::optional<Bytes> memory_min, memory_max;
};
// The application's own word on its load; every field is optional. Forgotten at `until`.
struct LoadReport {
  std::optional<double> lag;                  // records waiting
  std::optional<double> processed;            // records finished since it started (a counter)
  std::optional<double> arrival_rate;         // records per second
  std::optional<double> oldest_age_seconds;   // age of the oldest waiting record
  std::optional<double> backlog_cpu_seconds;  // work waiting, when the task knows its own cost
};
struct ReportLoadCommand {
  std::string task;
  LoadReport load;
  MonotonicTime until{};
};
struct SetModeCommand {
  config::Mode mode = config::Mode::enforce;
};
// Every baseline back, now; governing goes on in mode observe.
struct RestoreCommand {};
// A bus connection vanished: the pins it owned lapse.
struct OwnerVanishedCommand {
  std::string owner;
};

using Command = std::variant<PinCommand, UnpinCommand, SuspendCommand, ResumeCommand, SetBoundsCommand,
                             ReportLoadCommand, SetModeCommand, RestoreCommand, OwnerVanishedCommand>;

// Why a command cannot be obeyed. Names are those of org.sluice.Governor1.Error.*
struct CommandError {
  enum class Kind { no_such_task, pinned, limit_out_of_range, unsupported };
  Kind kind = Kind::unsupported;
  std::string message;
};

}  // namespace sluice
