// The typed configuration: the TOML files after parsing, merging and validation. Plain data with defaults;
// load.hpp loads it. Units are in the types. Keys are those of sluice.toml(5).
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sluice::config {

using namespace std::chrono_literals;
using Duration = std::chrono::microseconds;

enum class Mode : std::uint8_t {
  enforce,  // decide and write
  dry_run,  // decide and publish, write nothing
  observe,  // sample and publish, decide nothing
};
enum class Sampling : std::uint8_t { automatic, bpf, files };
enum class OnForeignWrite : std::uint8_t { yield, override_it };
// How a node with less CPU than its tasks need is shared. By weight: quotas go to their maxima, and the
// kernel shares by cpu.weight. By quota: quotas add up to the node, and cpu.weight is never written.
enum class ShareBy : std::uint8_t { weight, quota };

struct Node {
  Mode mode = Mode::enforce;
  Duration tick = 100ms;                    // 10 ms .. 10 s
  Duration discovery = 1s;                  // interval between walks for new tasks, 100 ms .. 60 s
  Sampling sampling = Sampling::automatic;  // automatic: BPF if the kernel has it, otherwise files
  double cpu_reserve_cores = 0.5;           // left to the rest of the host, never granted
  std::uint64_t memory_reserve_bytes = 1ULL << 30;
  OnForeignWrite on_foreign_write = OnForeignWrite::yield;
  ShareBy share_by = ShareBy::weight;
};

// How fast a knob may move, and on what evidence, as in the `behavior` of the HPA. Without policies there is
// no limit.
enum class ChangeType : std::uint8_t {
  percent,
  absolute
};  // of the value at the period's start; cores or bytes
enum class SelectPolicy : std::uint8_t { max, min, disabled };  // the largest change, the smallest, none
struct ScalingPolicy {
  ChangeType type = ChangeType::percent;
  double value = 100;
  Duration period = 15s;  // sliding, 100 ms .. 30 min
  bool operator==(const ScalingPolicy&) const = default;
};
struct ScalingRules {
  Duration stabilization{};  // 0 .. 1 h: a cut uses the largest value wanted in it, a raise the smallest
  std::vector<ScalingPolicy> policies{};
  SelectPolicy select_policy = SelectPolicy::max;
  bool none() const {
    return stabilization.count() == 0 && policies.empty() && select_policy != SelectPolicy::disabled;
  }
  bool operator==(const ScalingRules&) const = default;
};
struct Scaling {
  ScalingRules up, down;
  bool none() const { return up.none() && down.none(); }
  bool operator==(const Scaling&) const = default;
};

// Rounds up to multiples of `step`; 0: unchanged.
inline double whole_steps_up(double value, double step) {
  return step > 0 ? std::ceil(value / step - 1e-9) * step : value;
}

struct Cpu {
  bool enabled = true;
  double min_cores = 0.05;              // >= 0.01
  std::optional<double> max_cores;      // none: the node's capacity less its reserve
  std::optional<double> initial_cores;  // none: start with the value of cpu.max
  double step_cores = 0;              // > 0: quotas are whole multiples or max, for runtimes that count cores
  std::optional<double> burst_ratio;  // cpu.max.burst / quota, 0 .. 1; none: the task's own, up to the quota
  double tolerance = 0.10;            // no write for a smaller relative change, 0 <= x < 0.5
  std::uint32_t writes_per_minute = 60;  // hard budget, 1 .. 600
  Scaling scaling{};                     // scale_up, scale_down

  // The minimum that is guaranteed, in whole steps.
  double least_cores(double min, double max) const { return std::min(whole_steps_up(min, step_cores), max); }
};

struct Memory {
  bool enabled = true;
  std::uint64_t min_bytes = 64ULL << 20;   // >= 1 MiB
  std::optional<std::uint64_t> max_bytes;  // none: the node's memory less its reserve
  double pressure_target = 0.001;          // PSI some, as a ratio of time, 0.00001 .. 0.5
  Duration interval = 2s;                  // between probes, 500 ms .. 10 min
  double tolerance = 0.01;                 // no write for a smaller relative change
  std::uint32_t writes_per_minute = 60;
  Scaling scaling{};
};

// Start times in the syntax of systemd.time(7): all times whose parts are each in their set. Bit n of a set
// stands for n; weekdays begin with Monday.
struct Calendar {
  std::uint8_t weekdays = 0x7f;
  std::vector<std::uint16_t> years{};  // empty: any
  std::uint16_t months = 0x1ffe;
  std::uint32_t days = 0xffff'fffe;
  std::uint32_t hours = 1;
  std::uint64_t minutes = 1, seconds = 1;
  bool utc = false;  // false: local time of the host
  bool operator==(const Calendar&) const = default;
};

// At each time of the calendar a window opens, for `length` of wall-clock time. While it is open these bounds
// replace the task's own.
struct ScheduleEntry {
  Calendar calendar;
  std::chrono::seconds length{};  // "for", 1 s .. 31 days
  std::optional<double> min_cores, max_cores;
  bool operator==(const ScheduleEntry&) const = default;
};

// Forecasts from the same time in earlier seasons. "on" raises the quota in advance.
enum class ForecastMode : std::uint8_t { off, forecast_only, on };
struct Forecast {
  ForecastMode mode = ForecastMode::off;
  Duration season = 24h;  // period of the load, 10 min .. 7 days
  bool operator==(const Forecast&) const = default;
};

// Settings that a task may inherit from its class; unset fields have the built-in default.
struct TaskPolicy {
  double weight = 100;      // as cpu.weight, 1 .. 10000
  int priority = 0;         // higher priorities give back later, -1000 .. 1000
  Duration max_delay = 1s;  // longest wait of a record because of the limits, 10 ms .. 10 min
  Cpu cpu;
  Memory memory;
  std::vector<ScheduleEntry> schedule{};  // at most 64
  Forecast forecast{};
};

struct Task {
  // Exactly one of these is set. Globs as in fnmatch(3); '*' does not match '/' in match_cgroup.
  std::optional<std::string> match_unit;    // "flink-taskmanager@*.service": the unit, wherever its cgroup is
  std::optional<std::string> match_cgroup;  // "/nomad.slice/*/*": an absolute path below the cgroup root
  std::string name;                         // empty: derived from the unit or the path
  std::string class_name;                   // empty: none
  TaskPolicy policy;                        // with class and defaults merged in
  std::string origin;                       // "file:line", for messages
};

// A size from a file, to be compared with the node's.
struct Stated {
  std::string file, key;
  std::uint32_t line = 0, column = 0;
  std::optional<double> cores;
  std::optional<std::uint64_t> bytes;
  bool reserve = false;  // it is reserved from the node
  bool operator==(const Stated&) const = default;
};

struct Config {
  Node node;
  std::vector<Task> tasks;       // the first one that matches a cgroup governs it
  std::vector<Stated> stated{};  // in the order of the files
};

}  // namespace sluice::config
