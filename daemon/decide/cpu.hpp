// The CPU controller: the quota a task needs so that no record waits longer than max_delay because of it.
// Demand, not usage: a throttled task's usage is its quota. Two sources of backlog:
//   reported  the task tells its lag (D-Bus ReportLoad); every waiting cohort of work has a deadline, and
//             the quota must finish each in time (earliest deadline first, which for a FIFO is arrival order)
//   kernel    otherwise the time the limit has been binding without a break bounds every record's wait:
//             while that leaves slack, throttling costs nothing; when it does not, the quota jumps
// Downwards it is ski-rental: a cut costs a write, so it is made once the quota left unused has paid for it.
// Pure: values in, values out. The constants were tried on the simulated host (tests/scenario); they are no
// law.
#pragma once

#include <deque>
#include <limits>
#include <optional>

#include "config/config.hpp"
#include "daemon/command.hpp"
#include "daemon/decide/intent.hpp"
#include "daemon/signal/flow_model.hpp"
#include "daemon/signal/signal.hpp"

namespace sluice {

inline constexpr double kUnlimited = std::numeric_limits<double>::infinity();

struct CpuState {
  struct Cohort {
    MonotonicTime arrived{};
    double cpu_seconds = 0;
  };
  struct Rate {
    MonotonicTime at{};
    double interval_seconds = 0;
    double cores = 0;
  };

  std::optional<MonotonicTime> binding_since;  // the limit has been reached in every period since
  std::deque<Rate> arrivals;                   // work arriving, over the averaging window
  MonotonicTime observed_since{};              // zero: never
  double unused_core_seconds = 0;              // quota granted and not used since the last write
  double margin = 0.15;                        // learned: over the mean arrival, kernel signals only
  double last_throttled_cores = 0;
  double last_usage_cores = 0;
  double last_throttled_ratio = 0;

  // Reported load.
  std::deque<Cohort> waiting;
  double backlog_cpu_seconds = 0;  // smoothed
  std::optional<double> cost_cpu_seconds_per_record;
  std::optional<double> processed_before;
  double usage_since_processed = 0;
  MonotonicTime load_at{};  // when the last report came, zero: none

  // Undo: what the last cut left, to go back to when it proves wrong.
  std::optional<double> before_cut_cores;
  MonotonicTime cut_at{};
};

struct CpuInput {
  MonotonicTime now{};
  double quota_cores = kUnlimited;  // in force
  double max_cores = 1;             // the bound, at most the node's capacity
  double min_cores = 0;
  double node_cores = 1;  // what could run at once, whatever the bounds
  double period_seconds = 0.1;
  double max_delay_seconds = 1;
  double budget_spent_ratio = 0;              // writes of the last minute / budget, 0 .. 1
  const Signals* signals = nullptr;           // absent on an event tick
  std::optional<MonotonicTime> throttled_at;  // a throttle event since the last call
  const LoadReport* new_load = nullptr;       // arrived since the last call
  bool load_valid = false;                    // the last report has not expired
  std::uint32_t writes_left = 60;
  // The hook for CONTROL's "know the cause": the kernel says that the task's time goes into memory stalls or
  // reclaim, so CPU must not be given for that reason alone. Not read yet.
  bool memory_stalled = false;
  // Work per byte, and from it backlog and arrivals as work; none of it without sockets, or until learned.
  const FlowEstimate* flow = nullptr;
};

// Updates what is known; call once for every tick, then decide.
void observe_cpu(const CpuInput& in, CpuState& state);
// The quota wanted, or rule none. Does not change state.
Intent decide_cpu(const CpuInput& in, const CpuState& state);
// Told when an intent became a write, so that margin, surplus and undo follow.
void cpu_written(const CpuInput& in, double old_cores, double new_cores, Rule rule, CpuState& state);

}  // namespace sluice
