// The report of one tick, as numbers. daemon/publish makes the text.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/arbitrate/plan.hpp"
#include "daemon/decide/diagnosis.hpp"
#include "daemon/decide/season.hpp"
#include "daemon/sample/snapshot.hpp"
#include "daemon/signal/flow_model.hpp"
#include "daemon/signal/signal.hpp"
#include "daemon/values/command.hpp"
#include "daemon/values/knob_story.hpp"

namespace sluice {

enum class TaskMode : std::uint8_t { governed, pinned, suspended, observed, yielding, leaving };
constexpr std::string_view to_string(TaskMode mode) {
  switch (mode) {
    case TaskMode::governed:
      return "governed";
    case TaskMode::pinned:
      return "pinned";
    case TaskMode::suspended:
      return "suspended";
    case TaskMode::observed:
      return "observed";
    case TaskMode::yielding:
      return "yielding";  // to an external writer
    case TaskMode::leaving:
      return "leaving";  // no rule matches it any more; its limits are being released
  }
  return "unknown";
}

// Closed: governing. Open: governing failed, baseline restored, waiting. Half-open: on trial.
enum class BreakerState : std::uint8_t { closed, open, half_open };
constexpr std::string_view to_string(BreakerState state) {
  switch (state) {
    case BreakerState::closed:
      return "closed";
    case BreakerState::open:
      return "open";
    case BreakerState::half_open:
      return "half-open";
  }
  return "unknown";
}

// What opened a breaker.
enum class BreakerTrip : std::uint8_t { none, write_failed, late, memory_stalled };
constexpr std::string_view to_string(BreakerTrip trip) {
  switch (trip) {
    case BreakerTrip::none:
      return "none";
    case BreakerTrip::write_failed:
      return "write-failed";
    case BreakerTrip::late:
      return "late";  // our quota made it miss max_delay
    case BreakerTrip::memory_stalled:
      return "memory-stalled";  // our memory.high made it stall
  }
  return "unknown";
}

struct TaskReport {
  CgroupId id;
  std::string name;
  std::string class_name;
  std::string cgroup;  // path below the root, raw bytes; may be invalid UTF-8
  TaskMode mode = TaskMode::governed;
  BreakerState breaker = BreakerState::closed;
  BreakerTrip breaker_trip = BreakerTrip::none;
  std::string breaker_cause;  // of a failed write: path and error
  std::optional<MonotonicTime> breaker_retry_at;
  std::string pinned_by, hold_reason;  // who and why, for pins and suspensions

  Diagnosis diagnosis;                      // what holds the task up now
  std::optional<AncestorCpu> ancestor_cpu;  // the smallest cpu.max above it

  // Signals of the last full tick; absent: unknown.
  Signals signals;
  FlowEstimate flow;
  std::optional<double> cpu_usage_cores, cpu_demand_cores, cpu_throttled_ratio, cpu_pressure_ratio;
  std::optional<double> memory_pressure_ratio, refaults_per_second;
  std::optional<Bytes> memory_current, memory_floor;
  std::optional<double> backlog_cpu_seconds, lag;
  std::optional<double> record_cpu_seconds;  // learned cost of a reported record; absent: not learned
  bool pressure_unknown = false;             // its memory pressure could not be read for some time
  SampleSource source = SampleSource::files;
  MonotonicTime sampled_at{};

  // Knobs: the value the kernel is believed to hold, the baseline to be restored, the bounds in force.
  CpuMax cpu_max, cpu_baseline;
  MemoryLimit memory_high, memory_baseline;
  CpuWeight cpu_weight, cpu_weight_baseline;
  double cpu_min_cores = 0, cpu_max_cores = 0;
  Scheduled scheduled;  // the bounds that its schedule sets
  Forecast forecast;
  Bytes memory_min = 0, memory_max = 0;

  KnobStory cpu_story, memory_story, weight_story;  // origin of the values, and what prevents a change
  ProbeOutlook memory_probe;                        // when memory.high may be lowered, or what prevents it
  Reason cpu_reason, memory_reason, weight_reason;  // why each value was set; rule none: not by us
  std::optional<MonotonicTime> cpu_changed_at, memory_changed_at, weight_changed_at;
  // When the controller can change each knob next; absent: only after an action. A kernel event triggers the
  // CPU controller earlier.
  std::optional<MonotonicTime> cpu_looks_again_at, memory_looks_again_at;
  // For lowering; absent: not in the current state.
  std::optional<MonotonicTime> memory_probes_again_at;
  std::uint32_t writes_last_minute = 0;
  std::uint64_t writes_total = 0, drift_total = 0;
};

// One change of one knob that the kernel confirmed, or that dry-run would have made.
struct Adjustment {
  CgroupId id;
  std::string task;
  std::string cgroup;
  Knob knob = Knob::cpu_max;
  KnobValue old_value, new_value;
  Reason reason;
  MonotonicTime at{};
  std::optional<Nsec> reaction;  // from kernel event to write, if an event caused it
  bool dry_run = false;
};

// The process that wrote a knob of ours, as the kernel programs saw it.
struct Writer {
  std::uint32_t pid = 0, uid = 0;
  std::string command;  // name of the thread, at most 15 bytes
  std::string cgroup;   // the end of its path, raw bytes
  bool operator==(const Writer&) const = default;
};

// Other events for the journal.
struct Notice {
  enum class Kind : std::uint8_t {
    task_added,
    task_removed,
    write_failed,
    breaker_opened,
    breaker_closed,
    foreign_write,
    knob_reset,
    saturated,
    unsaturated,
    mode_changed,
    minima_exceed_capacity,
    reading_unknown,
    plan_violation,
    pressure_unknown,  // of `tasks`
    pressure_known,
  };
  Kind kind = Kind::task_added;
  CgroupId id;
  std::string task;
  std::string cgroup;
  std::optional<Receipt> receipt;            // write_failed
  std::optional<KnobValue> expected, found;  // foreign_write, knob_reset
  std::optional<Writer> writer;              // of foreign_write and knob_reset, if kernel programs know it
  BreakerTrip trip = BreakerTrip::none;      // breaker_opened
  std::string_view invariant;                // plan_violation; `expected` is the value that was not written
  std::string_view file;                     // reading_unknown: the file
  std::string_view fault;                    // reading_unknown: what is wrong with it
  double missing_cores = 0;                  // saturated
  Bytes missing_bytes = 0;
  std::size_t tasks = 0;  // pressure_unknown
};

struct NodeReport {
  config::Mode mode = config::Mode::enforce;
  bool suspended = false;
  std::string suspend_reason;
  double cpu_capacity_cores = 0, cpu_allocated_cores = 0, cpu_missing_cores = 0;
  Bytes memory_capacity = 0, memory_allocated = 0, memory_missing = 0;
  bool saturated = false;
  std::size_t pressure_unknown = 0;  // tasks whose memory pressure cannot be read
  std::uint64_t ticks = 0, writes_total = 0, events_total = 0;
};

// A hold on a task, by the task's name; the task need not exist.
struct HoldReport {
  std::string task;
  bool pinned = false, suspended = false;
  std::uint32_t uid = 0;  // user of the pin, or else of the suspension
  std::string owner;      // the bus connection that ends the pin when it closes; empty: none
};

struct Report {
  std::uint64_t tick = 0;
  MonotonicTime now{};
  NodeReport node;
  // True: `tasks` lists all tasks. False: it lists those with an event or a receipt; the earlier rows of the
  // others stay valid.
  bool whole = true;
  std::vector<TaskReport> tasks;  // ordered by name; names are unique
  std::vector<HoldReport> holds;  // all pins and suspensions of tasks, by name
  std::vector<Adjustment> adjustments;
  std::vector<Notice> notices;
};

}  // namespace sluice
