// The core: one pure function from the known facts to the writes. No clock, file, log or bus. Equal inputs
// give byte-identical outcomes. Thread: any; the caller owns the state.
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
  // full: every governed task is listed; an unlisted one is gone. event: no task is listed; only events
  // count.
  enum class Kind : std::uint8_t { full, event };
  Kind kind = Kind::full;
  MonotonicTime now{};
  WallClock wall{};  // for schedules and forecasts only; everything else uses `now`
  NodeFacts node;
  std::vector<Observation> tasks;
  std::vector<ThrottleEvent> events;
  std::vector<Receipt> receipts;
  std::vector<Command> commands;
  bool stopping = false;  // every limit is released, whatever configuration and holds are
  // In the first tick only: an earlier process's profiles, the limits that it left in the kernel, and its
  // holds.
  std::vector<NamedProfile> profiles{};
  std::vector<LeaseEntry> inherited{};
  Holds holds{};
};

struct Outcome {
  State state;
  Plan plan;
  Report report;
  std::vector<LeaseChange> lease;  // must be in the lease before the plan is carried out
  std::vector<CgroupId> let_go;    // cgroups without a rule and without any value of ours
};

Outcome tick(const Input& input, const config::Config& config, State state);

// Whether a command is valid, given the last report. Checked before the bus accepts it.
tl::expected<void, CommandError> check_command(const Command& command, const Report& last);

// Applies a new configuration: overrides made over D-Bus (bounds, mode) end; pins and suspensions stay. The
// next tick must be full, with facts of the new configuration.
void config_reloaded(State& state);

// All season profiles, of present and absent tasks, to be saved on disk.
std::vector<NamedProfile> profiles_of(const State& state);

// The lease entries of this state: all limits of which a value of ours may be in force. Sorted by (id, knob).
std::vector<LeaseEntry> lease_of(const State& state);
// The cgroup path of each name with a hold.
std::map<std::string, std::string, std::less<>> owners_of(const Holds& holds);

}  // namespace sluice
