// The heart: one pure function from what is known to what is to be done. No clock, no file, no log, no bus.
// Equal inputs give an equal outcome, byte for byte. Thread: any; the caller owns the state.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "config/config.hpp"
#include "daemon/arbitrate/plan.hpp"
#include "daemon/command.hpp"
#include "daemon/report.hpp"
#include "daemon/sample/snapshot.hpp"

namespace sluice {

// A governed cgroup as it was found, apart from its counters.
struct TaskFacts {
  CgroupId id;
  std::string name;          // unique on the host
  std::string cgroup;        // path below the root, raw bytes
  std::size_t config_index = 0;  // into Config::tasks
  CpuMax cpu_baseline;       // journalled before the first write
  MemoryLimit memory_baseline;
  bool has_cpu = true;       // cpu.max exists
  bool has_memory = true;    // memory.high exists
};

struct Observation {
  TaskFacts facts;
  std::optional<Sample> sample;  // none: reading failed this time
};

struct Input {
  // full: every governed task is listed, and an unlisted one is gone. event: none is; only events count.
  enum class Kind : std::uint8_t { full, event };
  Kind kind = Kind::full;
  MonotonicTime now{};
  NodeFacts node;
  std::vector<Observation> tasks;
  std::vector<ThrottleEvent> events;
  std::vector<Receipt> receipts;
  std::vector<Command> commands;
};

struct TaskState;  // governor_state.hpp
struct State {
  State();
  ~State();
  State(State&&) noexcept;
  State& operator=(State&&) noexcept;
  State(const State&);
  State& operator=(const State&);
  std::map<CgroupId, TaskState> tasks;
  config::Mode mode = config::Mode::enforce;
  bool mode_overridden = false;  // by SetMode: outlives ticks, not a reload
  bool suspended = false;
  std::string suspend_reason;
  bool saturated = false;
  std::uint64_t ticks = 0, writes_total = 0, events_total = 0;
};

struct Outcome {
  State state;
  Plan plan;
  Report report;
};

Outcome tick(const Input& input, const config::Config& config, State state);

// Whether a command could be obeyed given the last report; checked before it is accepted from the bus.
tl::expected<void, CommandError> check_command(const Command& command, const Report& last);

// The plan that gives every task its baseline back: on stop, and on Restore.
Plan restore_plan(const State& state);

}  // namespace sluice
