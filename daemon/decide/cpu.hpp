// The CPU controller: the quota a task needs so that no record waits longer than max_delay because of it.
// Demand, not usage: a throttled task's usage is its quota. Two ways to know what waits:
//   work      the task reports its lag (D-Bus ReportLoad), or its sockets show unread bytes whose cost was
//   learned.
//             Every waiting cohort of work has a deadline, and the quota must finish each in time (earliest
//             deadline first, which for a FIFO is arrival order).
//   kernel    otherwise the time the limit has been binding bounds every record's wait. While that leaves
//   slack,
//             throttling costs nothing; as it is used up the quota rises in stages, and to the bound at the
//             last.
// Downwards it is ski-rental: a cut costs a write, so it is made once the quota left unused has paid for it,
// and the price of a write rises with the share of the budget that is spent. Pure: values in, values out.
// tests/bench judges the constants; how they were found is told there.
#pragma once

#include <optional>

#include "config/config.hpp"
#include "daemon/decide/intent.hpp"
#include "daemon/decide/ring.hpp"
#include "daemon/signal/flow_model.hpp"
#include "daemon/signal/signal.hpp"
#include "daemon/values/command.hpp"
#include "daemon/values/knob_value.hpp"

namespace sluice {

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

  Ring<Rate> arrivals;             // work arriving, over the averaging window
  MonotonicTime observed_since{};  // zero: never
  MonotonicTime raised_at{};
  double surplus_core_seconds = 0;  // quota granted and not used since the last write
  double saving_core_seconds = 0;   // of it, what a smaller quota would have spared: whole steps
  double last_throttled_cores = 0;
  double last_usage_cores = 0;
  double last_throttled_ratio = 0;

  // Kernel signals.
  std::optional<MonotonicTime> oldest_wait_since;  // no record has waited for the limit since before this
  std::optional<MonotonicTime> throttled_since;    // the limit has held something up in every look since
  MonotonicTime idle_distrusted_until{};           // the task sleeps while its work waits elsewhere
  double idle_distrusted_seconds = 0;              // and for how long that is believed
  int stage = 0;                                   // of the raise since oldest_wait_since; 0: none
  double surge_cores = 0;                          // quota under which recent surges ended; 0: not known
  double runnable_threads = 0;                     // of the last sample that told
  double threads_now = 0;                          // ... or throttle event; 0: not known
  double threads_most = 0;                         // recent maximum, decaying; 0: not known
  double margin = 0.15;                            // over the mean arrival; wider after a cut that was wrong

  // Looks, one after another, that found the limit binding and every thread with something to run.
  MonotonicTime busy_since{};
  int busy_looks = 0;
  int busy_looks_unread = 0;  // of them, those that found more unread than an answer in flight

  MonotonicTime unread_at{};                 // the sockets' last byte unread
  double unread_share = 0;                   // of recent samples, those with unread bytes
  MonotonicTime sockets_distrusted_until{};  // a pull consumer: its sockets do not show the backlog

  // Work that waits, as the report or the sockets tell. Unknown: all of it is zero.
  bool backlog_known = false;
  MonotonicTime backlog_at{};
  double backlog_cpu_seconds = 0;
  double in_service_cpu_seconds = 0;  // of it, begun and shared by the threads, so it ends all at once
  double used_since_backlog = 0;
  Ring<Cohort> waiting;  // oldest first; sums up to the backlog
  // Sockets show what was not read, not what was read and is still worked on: arrivals less usage do.
  double account_cpu_seconds = 0;
  double overrun_cpu_seconds = 0;  // used beyond the account: this work costs more than the mean

  // The cost of a reported record.
  std::optional<double> cost_cpu_seconds_per_record;
  std::optional<double> processed_before;
  double usage_since_processed = 0;

  // Undo: what the last cut left, to go back to when it proves wrong.
  std::optional<double> before_cut_cores;
  MonotonicTime cut_at{};
};

struct CpuInput {
  MonotonicTime now{};
  double quota_cores = kUnlimited;  // in force
  double max_cores = 1;             // the bound, at most the node's capacity
  double min_cores = 0;
  double step_cores = 0;  // > 0: what is wanted will be rounded up to multiples
  double node_cores = 1;  // what could run at once, whatever the bounds
  double period_seconds = 0.1;
  double burst_ratio = 0;  // of its quota, which every write brings along as burst
  double max_delay_seconds = 1;
  double budget_spent_ratio = 0;                  // writes of the last minute / budget, 0 .. 1
  const Signals* signals = nullptr;               // absent on an event tick
  std::optional<MonotonicTime> throttled_at;      // a throttle event since the last call
  std::optional<MonotonicTime> idle_until;        // what it knew of the last moment with nothing to run
  std::optional<std::uint32_t> runnable_threads;  // and how many it stopped
  const LoadReport* new_load = nullptr;           // arrived since the last call
  bool load_valid = false;                        // the last report has not expired
  std::uint32_t writes_left = 60;
  std::uint32_t writes_per_minute = 60;
  // The task's time goes into memory stalls or reclaim: memory is the cure, so CPU is given no sooner than
  // the deadline demands.
  bool memory_stalled = false;
  // What the quota is not to be cut below, and is raised to before the load is there; 0: no forecast that
  // acts.
  double forecast_floor_cores = 0;
  double forecast_cores = 0;  // what is expected
  // Work per byte, and from it backlog and arrivals as work; none of it without sockets, or until learned.
  const FlowEstimate* flow = nullptr;
};

// Updates what is known; call once for every tick, then decide.
void observe_cpu(const CpuInput& in, CpuState& state);
// What the task can do with now, whatever its quota: below it, a neighbour's want is no reason to cut it.
double needed_cores(const CpuInput& in, const CpuState& state);
// The task was paused for `length`: all times move by it, so that nothing known ages.
void skip_pause(Nsec length, CpuState& state);
// The quota wanted, or rule none. Does not change state.
Intent decide_cpu(const CpuInput& in, const CpuState& state);
// For how long a record may have waited because of the limit: the age of the oldest work that is known to
// wait, or else of the binding. Zero: nothing waits for it.
double longest_wait_seconds(MonotonicTime now, const CpuState& state);
// On a full tick: the limit binds, and for long its quota was used to the last bit. It is too small then,
// whatever rest and empty sockets say: the task fetches its work, and part of its time it waits for an
// answer.
bool quota_is_used_up(const CpuInput& in, const CpuState& state);
// Since when a record may be waiting that nothing tells of. Without a known backlog: since the limit binds.
// With sockets that are empty, look after look, while every thread is busy: since it is so, for a task that
// fetches its work leaves what waits where it fetches it. None: what waits is known, or nothing does.
std::optional<MonotonicTime> hidden_backlog_since(const CpuInput& in, const CpuState& state);
// Every thread that it has had of late; false where that is not known.
bool all_threads_busy(const CpuState& state);
// Told when an intent became a write, so that margin, surplus and undo follow.
void cpu_written(const CpuInput& in, double old_cores, double new_cores, Rule rule, CpuState& state);

}  // namespace sluice
