// The state between ticks. Values only; copied and compared freely.
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

// A governed cgroup as the registry found it, without its counters.
struct TaskFacts {
  CgroupId id;
  std::string name;    // unique on the host
  std::string cgroup;  // path below the root, raw bytes
  std::optional<std::size_t>
      config_index;  // index into Config::tasks; none: no rule matches, so its limits are released
  bool operator==(const TaskFacts&) const = default;
};

// The rule that governs a task; without one, a rule that governs no knob.
const config::Task& rule_of(const TaskFacts& facts, const config::Config& config);

// The write budget's minute plus one second. A write happens a little after it was planned, and no minute of
// real time may have more writes than the budget allows.
inline constexpr Nsec kBudgetWindow = std::chrono::seconds(61);

// One knob of one task: its limit, and the history that its changes are judged by.
struct KnobState {
  ManagedLimit limit;
  std::uint32_t leased_revision = 0;           // revision of the limit that the lease has
  bool leased = false;                         // the lease has an entry
  std::optional<KnobValue> reassert;           // an external writer removed it; to be written again
  bool not_tried = false;                      // the last order was not tried, and that was reported
  Ring<MonotonicTime> writes;                  // writes of the last minute, for the budget
  RateHistory rates;                           // empty without rate policies
  std::optional<MonotonicTime> outside_since;  // since when the value is above its maximum
};

// Evidence that governing makes a task worse: see breaker.cpp.
struct Harm {
  double late_debt_seconds = 0, stalled_seconds = 0;  // harmed time less time without harm
  Ring<MonotonicTime> undos;                          // undone cuts of the last minute
};

struct Breaker {
  BreakerState state = BreakerState::closed;
  BreakerTrip trip = BreakerTrip::none;
  std::string cause;
  std::uint32_t failures = 0;  // consecutive; each doubles the wait
  MonotonicTime retry_at{};
  MonotonicTime trial_until{};  // half-open after harm: closes at this time if there was no harm
};

struct TaskState {
  TaskFacts facts;
  std::size_t place = 0;          // index among all tasks by name, as in the report
  std::uint64_t listed_tick = 0;  // the last full tick with this task
  KnobState cpu, memory, weight;  // weight: cpu.weight
  CpuState cpu_control;
  MemoryState memory_control;

  std::optional<Sample> sample;  // the last good one
  Signals signals;               // of the last full tick
  bool fresh = false;            // signals are of this tick
  MonotonicTime frozen_at{};     // since when the task is frozen; valid if the last sample is frozen
  RecentUse use;
  Unknowns unknowns;          // implausible readings in its samples
  double cpu_need_cores = 0;  // by its controller's last decision
  FlowModel flow_model;
  FlowEstimate flow;
  CauseState cause;

  [[nodiscard]] KnobState& knob(Knob which) {
    return which == Knob::cpu_max ? cpu : which == Knob::memory_high ? memory : weight;
  }
  [[nodiscard]] const KnobState& knob(Knob which) const {
    return which == Knob::cpu_max ? cpu : which == Knob::memory_high ? memory : weight;
  }

  const Hold* hold = nullptr;  // its entry in State::holds; set at the start of each tick
  Scheduled scheduled;         // bounds that its schedule sets now
  std::optional<std::chrono::seconds> schedule_evaluated_at;  // wall-clock second of `scheduled`
  std::optional<Intent> deferred_cpu_intent;  // not granted for lack of capacity; granted when there is some
  std::optional<LoadReport> load;
  MonotonicTime load_until{};
  bool load_new = false;

  std::optional<MonotonicTime> pressure_unknown_since;  // since when its memory pressure cannot be read

  Breaker breaker;
  Harm harm;
  bool memory_write_blocked = false;
  MonotonicTime yield_until{};      // until then we yield to an external writer
  Ring<MonotonicTime> reset_times;  // when external writers restored the baseline
  std::uint64_t writes_total = 0, drift_total = 0;
  std::optional<Forecaster> forecaster;  // none: its policy has no forecast
};

struct State {
  std::map<CgroupId, TaskState> tasks;
  std::map<std::string, SeasonProfile, std::less<>> profiles;  // of absent tasks, by name
  Holds holds;
  config::Mode mode_before = config::Mode::enforce;
  bool stopping = false;                           // the last input was `stopping`
  Bytes memory_allocated = 0, memory_missing = 0;  // of the last full tick
  bool weighs = false;    // the node was full once: cpu.weight is set as due since then
  bool cpu_full = false;  // demand exceeds capacity, so cpu.weight shares it: full_node.hpp
  bool saturated = false;
  MonotonicTime saturated_until{};  // ends when nothing was missing for a while
  double missing_cores = 0;         // maximum of that time
  Bytes missing_bytes = 0;
  bool minima_exceed = false;
  bool pressure_unknown = false;  // of some task; it was reported
  std::uint64_t ticks = 0, writes_total = 0, events_total = 0;
  std::optional<NodeFacts> node;  // the last plausible facts
  bool node_unknown = false;      // the current facts are implausible; it was reported
};

}  // namespace sluice
