// What the governor remembers between ticks. Values only; copied and compared freely.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "config/config.hpp"
#include "daemon/arbitrate/plan.hpp"
#include "daemon/arbitrate/rate_policy.hpp"
#include "daemon/arbitrate/recent_use.hpp"
#include "daemon/decide/cause.hpp"
#include "daemon/decide/cpu.hpp"
#include "daemon/decide/forecast.hpp"
#include "daemon/decide/memory.hpp"
#include "daemon/decide/ring.hpp"
#include "daemon/limits/managed_limit.hpp"
#include "daemon/signal/plausible.hpp"
#include "daemon/signal/signal.hpp"
#include "daemon/values/holds.hpp"
#include "daemon/values/report.hpp"

namespace sluice {

// A governed cgroup as it was found, apart from its counters.
struct TaskFacts {
  CgroupId id;
  std::string name;    // unique on the host
  std::string cgroup;  // path below the root, raw bytes
  std::optional<std::size_t>
      config_index;  // into Config::tasks; none: no rule matches, so its limits are released
  bool operator==(const TaskFacts&) const = default;
};

// The rule that governs a task; without one, a rule that governs neither knob.
const config::Task& rule_of(const TaskFacts& facts, const config::Config& config);

// The write budget's minute, and a second more: a write is carried out a little after it was planned, and no
// minute of the kernel's time may see more of them than the budget says.
inline constexpr Nsec kBudgetWindow = std::chrono::seconds(61);

// One knob of one task: its limit, and what the controllers' wishes are measured against.
struct KnobState {
  ManagedLimit limit;
  std::uint32_t leased_revision = 0;           // of the limit, as the lease was last given it
  bool leased = false;                         // the lease was given an entry
  std::optional<KnobValue> reassert;           // reset by another writer, to be written again
  bool not_tried = false;                      // the last order went nowhere, and that was reported
  Ring<MonotonicTime> writes;                  // of the last minute: the budget
  RateHistory rates;                           // empty without rate policies
  std::optional<MonotonicTime> outside_since;  // above its maximum, and seen to be
};

// Whether governing makes a task worse: see breaker.cpp.
struct Harm {
  double late_debt_seconds = 0, stalled_seconds = 0;  // net: harmed time less the time without harm
  Ring<MonotonicTime> undos;                          // cuts of the last minute that proved wrong
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
  KnobState cpu, memory, weight;  // weight: cpu.weight
  CpuState cpu_control;
  MemoryState memory_control;

  std::optional<Sample> sample;  // the last good one
  Signals signals;               // of the last full tick
  bool fresh = false;            // signals belong to this tick
  MonotonicTime frozen_at{};     // while the last sample is of a frozen task: since when
  RecentUse use;
  Unknowns unknowns;          // what of the samples was not believed
  double cpu_need_cores = 0;  // by its controller, when it was last asked
  FlowModel flow_model;
  FlowEstimate flow;
  CauseState cause;

  [[nodiscard]] KnobState& knob(Knob which) {
    return which == Knob::cpu_max ? cpu : which == Knob::memory_high ? memory : weight;
  }
  [[nodiscard]] const KnobState& knob(Knob which) const {
    return which == Knob::cpu_max ? cpu : which == Knob::memory_high ? memory : weight;
  }

  const Hold* hold = nullptr;  // its own of State::holds, in this tick: set anew at the start of each
  Scheduled scheduled;         // the bounds that its schedule sets now
  std::optional<std::chrono::seconds> schedule_evaluated_at;  // the wall clock's second that this is of
  std::optional<Intent>
      deferred_cpu_intent;  // wanted and not given for lack of capacity: given when there is some
  std::optional<LoadReport> load;
  MonotonicTime load_until{};
  bool load_new = false;

  std::optional<MonotonicTime> pressure_unknown_since;  // its memory pressure cannot be read

  Breaker breaker;
  Harm harm;
  bool memory_write_blocked = false;
  MonotonicTime yield_until{};      // to a foreign writer
  Ring<MonotonicTime> reset_times;  // an external writer brought the baseline back
  std::uint64_t writes_total = 0, drift_total = 0;
  std::optional<Forecaster> forecaster;  // none: its policy wants none
};

struct State {
  std::map<CgroupId, TaskState> tasks;
  std::map<std::string, SeasonProfile, std::less<>> profiles;  // of tasks that are not there, by name
  Holds holds;
  config::Mode mode_before = config::Mode::enforce;
  bool stopping = false;                           // the last tick was told to release everything
  Bytes memory_allocated = 0, memory_missing = 0;  // of the last full tick
  bool weighs = false;                             // the node was full: cpu.weight is as it is due ever since
  bool cpu_full = false;  // more was needed than there is, and cpu.weight shares it: full_node.hpp
  bool saturated = false;
  MonotonicTime saturated_until{};  // it is over when nothing was missing for a while
  double missing_cores = 0;         // the most in that while
  Bytes missing_bytes = 0;
  bool minima_exceed = false;
  bool pressure_unknown = false;  // of some task, and that was reported
  std::uint64_t ticks = 0, writes_total = 0, events_total = 0;
  std::optional<NodeFacts> node;  // the last that can be
  bool node_unknown = false;      // what is there now cannot be, and that was reported
};

}  // namespace sluice
