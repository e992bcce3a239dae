// Commands of administrators and tasks, as values. The bus makes them, the tick executes them.
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

// Holds a knob at a value, whatever the load. An unset knob stays governed. Ends at `until`, or when the
// D-Bus connection `owner` closes (empty owner: never).
struct PinCommand {
  std::string task;
  std::optional<double> cpu_cores;
  std::optional<Bytes> memory_high;
  std::optional<MonotonicTime> until;
  std::string reason;
  std::string owner;
  std::uint32_t uid = 0;  // user who ordered it
};
struct UnpinCommand {
  std::string task;
};
// Suspend: the baseline is restored, and nothing is written until Resume. An empty task means the whole node.
struct SuspendCommand {
  std::string task;
  std::string reason;
  std::uint32_t uid = 0;  // user who ordered it
};
struct ResumeCommand {
  std::string task;
};
// Overrides the configured bounds until the next reload. Unset fields keep the earlier override.
struct SetBoundsCommand {
  std::string task;
  std::optional<double> cpu_min_cores, cpu_max_cores;
  std::optional<Bytes> memory_min, memory_max;
};
// A task's own report of its load, for the CPU controller. Every field is optional. Valid until
// ReportLoadCommand::until.
struct LoadReport {
  std::optional<double> lag;                  // records waiting
  std::optional<double> processed;            // records finished since it started (a counter)
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
// Restores every baseline now; the mode becomes `observe`.
struct RestoreCommand {};
// A bus connection closed: the pins that it owned end.
struct OwnerVanishedCommand {
  std::string owner;
};

using Command = std::variant<PinCommand, UnpinCommand, SuspendCommand, ResumeCommand, SetBoundsCommand,
                             ReportLoadCommand, SetModeCommand, RestoreCommand, OwnerVanishedCommand>;

// Why a command is rejected. Names are those of org.sluice.Governor1.Error.*
struct CommandError {
  enum class Kind { no_such_task, pinned, limit_out_of_range, unsupported };
  Kind kind = Kind::unsupported;
  std::string message;
};

}  // namespace sluice
