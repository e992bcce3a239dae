// What the governor remembers between ticks. Values only; copied and compared freely.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "config/config.hpp"
#include "daemon/arbitrate/plan.hpp"
#include "daemon/arbitrate/rate_policy.hpp"
#include "daemon/decide/cause.hpp"
#include "daemon/decide/cpu.hpp"
#include "daemon/decide/forecast.hpp"
#include "daemon/decide/memory.hpp"
#include "daemon/decide/ring.hpp"
#include "daemon/signal/signal.hpp"
#include "daemon/values/command.hpp"
#include "daemon/values/report.hpp"

namespace sluice {

// A governed cgroup as it was found, apart from its counters.
struct TaskFacts {
  CgroupId id;
  std::string name;              // unique on the host
  std::string cgroup;            // path below the root, raw bytes
  std::size_t config_index = 0;  // into Config::tasks
  CpuMax cpu_baseline;           // journalled before the first write
  MemoryLimit memory_baseline;
  bool has_cpu = true;     // cpu.max exists
  bool has_memory = true;  // memory.high exists
  bool operator==(const TaskFacts&) const = default;
};

// The write budget's minute, and a second more: a write is carried out a little after it was planned, and no
// minute of the kernel's time may see more of them than the budget says.
inline constexpr MonotonicTime kBudgetWindow = std::chrono::seconds(61);

// One knob of one task.
struct KnobState {
  bool present = false;  // the file exists and the config governs it
  KnobValue holds;       // what the kernel is believed to hold (in dry-run: what it would)
  KnobValue baseline;
  bool touched = false;    // written for real since the baseline was taken: there is something to restore
  bool in_flight = false;  // a write is out, its receipt is not in
  KnobValue asked;         // by that write
  Reason asked_reason;
  MonotonicTime confirmed_at{};  // of the last receipt; older samples say nothing about drift
  MonotonicTime release_retry_at{};
  std::optional<KnobValue> reassert;  // undone by another hand, to be written again
  Reason reason;                      // of the last confirmed change
  std::optional<MonotonicTime> changed_at;
  Ring<MonotonicTime> writes;  // of the last minute: the budget
  RateHistory rates;           // empty without rate policies
};

// Whether governing makes a task worse: see breaker.cpp.
struct Harm {
  double late_seconds = 0, stalled_seconds = 0;  // net: harmed time less the time without harm
  Ring<MonotonicTime> undos;                     // cuts of the last minute that proved wrong
};

struct Breaker {
  BreakerState state = BreakerState::closed;
  BreakerTrip trip = BreakerTrip::none;
  std::string cause;
  std::uint32_t failures = 0;  // in a row: each doubles the wait
  MonotonicTime retry_at{};
  MonotonicTime trial_until{};  // half-open after harm: closed when there was none until then
};

struct TaskState {
  TaskFacts facts;
  std::size_t place = 0;          // among all tasks by name: where the report has it
  std::uint64_t listed_tick = 0;  // the last full tick that listed it
  KnobState cpu, memory;
  CpuState cpu_control;
  MemoryState memory_control;

  std::optional<Sample> sample;  // the last good one
  Signals signals;               // of the last full tick
  bool fresh = false;            // signals belong to this tick
  FlowModel flow_model;
  FlowEstimate flow;
  CauseState cause;

  std::optional<PinCommand> pin;
  bool suspended = false;
  std::string suspend_reason;
  SetBoundsCommand bounds;                           // overrides
  Scheduled scheduled;                               // the bounds that its schedule sets now
  std::optional<std::chrono::seconds> scheduled_at;  // the wall clock's second that this is of
  std::optional<Intent> cpu_unmet;  // wanted and not given for lack of capacity: given when there is some
  std::optional<LoadReport> load;
  MonotonicTime load_until{};
  bool load_new = false;

  Breaker breaker;
  Harm harm;
  bool memory_write_blocked = false;
  MonotonicTime yield_until{};  // to a foreign writer
  Ring<MonotonicTime> resets;   // the baseline came back by another hand
  std::uint64_t writes_total = 0, drift_total = 0;
  std::optional<Forecaster> forecaster;  // none: its policy wants none
};

struct State {
  std::map<CgroupId, TaskState> tasks;
  std::map<std::string, SeasonProfile, std::less<>> profiles;  // of tasks that are not there, by name
  std::optional<config::Mode> mode;                            // by SetMode; none: the config's
  config::Mode mode_before = config::Mode::enforce;
  bool suspended = false;
  std::string suspend_reason;
  Bytes memory_allocated = 0, memory_missing = 0;  // of the last full tick
  bool saturated = false;
  MonotonicTime saturated_until{};  // it is over when nothing was missing for a while
  double missing_cores = 0;         // the most in that while
  Bytes missing_bytes = 0;
  bool minima_exceed = false;
  std::uint64_t ticks = 0, writes_total = 0, events_total = 0;
};

}  // namespace sluice
