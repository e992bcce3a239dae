// The heart: one pure function from what is known to what is to be done. No clock, no file, no log, no bus.
// Equal inputs give an equal outcome, byte for byte. Thread: any; the caller owns the state.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "config/config.hpp"
#include "daemon/arbitrate/plan.hpp"
#include "daemon/limits/lease_entry.hpp"
#include "daemon/sample/snapshot.hpp"
#include "daemon/tick/state.hpp"
#include "daemon/values/command.hpp"
#include "daemon/values/report.hpp"

namespace sluice {

struct Observation {
  TaskFacts facts;
  std::optional<Sample> sample;  // none: reading failed this time
};

struct Input {
  // full: every governed task is listed, and an unlisted one is gone. event: none is; only events count.
  enum class Kind : std::uint8_t { full, event };
  Kind kind = Kind::full;
  MonotonicTime now{};
  WallClock wall{};  // for schedules and forecasts only; all else goes by `now`
  NodeFacts node;
  std::vector<Observation> tasks;
  std::vector<ThrottleEvent> events;
  std::vector<Receipt> receipts;
  std::vector<Command> commands;
  bool stopping = false;  // every limit is released, whatever configuration and holds say
  // In the first tick: what an earlier process has learned, what it left in the kernel, and what it was
  // ordered.
  std::vector<NamedProfile> profiles{};
  std::vector<LeaseEntry> inherited{};
  Holds holds{};
};

struct Outcome {
  State state;
  Plan plan;
  Report report;
  std::vector<LeaseChange> lease;  // to be on file before the plan is carried out
  std::vector<CgroupId> let_go;    // no rule matches them, and nothing of ours is left in them
};

Outcome tick(const Input& input, const config::Config& config, State state);

// Whether a command could be obeyed given the last report; checked before it is accepted from the bus.
tl::expected<void, CommandError> check_command(const Command& command, const Report& last);

// After a new configuration: overrides made over D-Bus (bounds, mode) give way to it; pins and suspensions
// stay. The next tick has to be a full one, whose facts are of the new configuration.
void config_reloaded(State& state);

// All that was learned for forecasts, of tasks that are there and that are not: to be kept on disk.
std::vector<NamedProfile> profiles_of(const State& state);

// What the lease has to say after this state: every limit of which something of ours may be in force. By (id,
// knob).
std::vector<LeaseEntry> lease_of(const State& state);
// By which path each name that is held was known.
std::map<std::string, std::string, std::less<>> owners_of(const Holds& holds);

}  // namespace sluice
