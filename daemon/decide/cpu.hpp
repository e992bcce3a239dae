// The CPU controller. It computes the quota that a task needs so that no record waits longer than max_delay
// because of the limit. It works from demand, not from usage: the usage of a throttled task equals its quota.
//
// There are two ways to know the demand:
//   backlog   The task reports its lag (D-Bus ReportLoad), or its sockets show unread bytes whose CPU cost
//   was
//             learned. Each cohort of waiting work has a deadline. The quota must finish every cohort in time
//             (earliest deadline first; in a FIFO queue that is the order of arrival).
//   throttled Otherwise the time since the limit began to throttle is an upper bound of every record's wait.
//             While this time is short, throttling does no harm. As it grows the quota rises in stages; the
//             last stage is the upper bound.
//
// Cuts follow the ski-rental rule. A cut costs one write, so it is made when the surplus quota since the last
// write exceeds the price of a write. The price rises as the write budget is spent.
//
// Pure: values in, values out. tests/bench evaluates the constants; its README says how they were found.
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

  Ring<Rate> arrivals;             // work that arrived, over the averaging window
  MonotonicTime observed_since{};  // zero: never observed
  MonotonicTime raised_at{};
  double surplus_core_seconds = 0;  // core-seconds of quota granted and not used since the last write
  double saving_core_seconds = 0;   // core-seconds that a smaller quota (in whole steps) would have saved
  double last_throttled_cores = 0;
  double last_usage_cores = 0;
  double last_throttled_ratio = 0;

  // Kernel signals.
  // no record has waited for the limit since before this time
  std::optional<MonotonicTime> oldest_wait_since;
  std::optional<MonotonicTime> throttled_since;  // every sample since then found the limit throttling
  MonotonicTime idle_distrusted_until{};  // until then the task's idle time is no evidence that nothing waits
  double idle_distrusted_seconds = 0;     // seconds; length of the last distrust, doubled at each repetition
  int stage = 0;                          // raise stage reached since oldest_wait_since; 0: none
  double surge_cores = 0;                 // quota under which recent surges ended; 0: unknown
  double runnable_threads = 0;            // of the last sample that had this signal
  double threads_now = 0;                 // of the last sample or throttle event; 0: unknown
  double threads_most = 0;                // recent maximum, decaying; 0: unknown
  double margin = 0.15;                   // ratio over the mean arrival; raised after a wrong cut

  // Consecutive samples that found the limit throttling and every thread busy.
  MonotonicTime busy_since{};
  int busy_looks = 0;
  int busy_looks_unread = 0;  // those of busy_looks with more unread bytes than one reply in flight

  MonotonicTime unread_at{};  // when the sockets last had unread bytes
  double unread_share = 0;    // share of recent samples with unread bytes
  // until then: a pull consumer, whose sockets do not show the backlog
  MonotonicTime sockets_distrusted_until{};

  // The backlog, from reports or sockets. All fields are zero if it is not known.
  bool backlog_known = false;
  MonotonicTime backlog_at{};
  double backlog_cpu_seconds = 0;
  double in_service_cpu_seconds = 0;  // started and shared by the threads, so all of it ends at once
  double used_since_backlog = 0;
  Ring<Cohort> waiting;  // oldest first; the sum is the backlog
  // Sockets show unread bytes only. Work that was read and not finished is arrivals less usage.
  double account_cpu_seconds = 0;
  double overrun_cpu_seconds = 0;  // CPU used beyond the account: this work costs more than the mean

  // Learned CPU cost of a reported record.
  std::optional<double> cost_cpu_seconds_per_record;
  std::optional<double> processed_before;
  double usage_since_processed = 0;

  // The quota before the last cut, to return to if the cut proves wrong.
  std::optional<double> before_cut_cores;
  MonotonicTime cut_at{};
};

struct CpuInput {
  MonotonicTime now{};
  double quota_cores = kUnlimited;  // the quota in force
  double max_cores = 1;             // upper bound, at most the node's capacity
  double min_cores = 0;
  double step_cores = 0;  // > 0: the result is rounded up to a multiple
  double node_cores = 1;  // CPUs of the node, whatever the bounds
  double period_seconds = 0.1;
  double burst_ratio = 0;  // cpu.max.burst that each write sets, as a ratio of the quota
  double max_delay_seconds = 1;
  double budget_spent_ratio = 0;              // writes of the last minute / budget, 0 .. 1
  const Signals* signals = nullptr;           // null on an event tick
  std::optional<MonotonicTime> throttled_at;  // a throttle event since the last call
  std::optional<MonotonicTime> idle_until;    // when the task last had nothing to run, as that event reports
  std::optional<std::uint32_t> runnable_threads;  // number of threads that the event throttled
  const LoadReport* new_load = nullptr;           // arrived since the last call
  bool load_valid = false;                        // the last report has not expired
  std::uint32_t writes_left = 60;
  std::uint32_t writes_per_minute = 60;
  // The task loses its time to memory stalls or reclaim. Memory is the cure, so CPU is added only when the
  // deadline requires it.
  bool memory_stalled = false;
  // The forecast's lower bound: no cut goes below it, and the quota is raised to it in advance. 0: no
  // forecast acts.
  double forecast_floor_cores = 0;
  double forecast_cores = 0;  // expected demand
  // Learned cost of a byte, which turns socket bytes into work. Null without sockets.
  const FlowEstimate* flow = nullptr;
};

// Updates the state. Call it once per tick, before decide_cpu.
void observe_cpu(const CpuInput& in, CpuState& state);
// The cores that the task can use now, whatever its quota. Other tasks' demand cannot cut it below this.
double needed_cores(const CpuInput& in, const CpuState& state);
// The task was frozen for `length`: shifts all times by it, so that no knowledge ages meanwhile.
void skip_pause(Nsec length, CpuState& state);
// The quota wanted, or Rule::none. Does not change the state.
Intent decide_cpu(const CpuInput& in, const CpuState& state);
// How long a record may have waited because of the limit: the age of the oldest known backlog, or, if the
// backlog is not known, the time since the limit began to throttle. 0: nothing waits.
double longest_wait_seconds(MonotonicTime now, const CpuState& state);
// For full ticks. True if the limit throttles and the quota was used up completely for some seconds. The
// quota is too small then, even if the task has idle time and empty sockets: a pull consumer waits for
// replies part of its time.
bool quota_is_used_up(const CpuInput& in, const CpuState& state);
// Since when records may wait that no signal shows. If the backlog is not known: since the limit began to
// throttle. If sockets stay empty while every thread is busy: since then, because a pull consumer leaves its
// backlog in the broker. None: the backlog is known, or nothing waits.
std::optional<MonotonicTime> hidden_backlog_since(const CpuInput& in, const CpuState& state);
// True if nearly all threads of the recent maximum are runnable; false if the number is unknown.
bool all_threads_busy(const CpuState& state);
// To be called when an intent was written. Updates margin, surplus and undo state.
void cpu_written(const CpuInput& in, double old_cores, double new_cores, Rule rule, CpuState& state);

}  // namespace sluice
