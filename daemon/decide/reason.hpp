// Why a value was chosen: a rule and the inputs that led to it, as numbers. Words are made in publish.
#pragma once

#include <cstdint>
#include <string_view>

#include "daemon/decide/diagnosis.hpp"

namespace sluice {

enum class Rule : std::uint8_t {
  none,
  initial,          // first value, from the config
  cpu_deadline,     // raised: waiting work would miss max_delay
  cpu_throttled,    // raised: the limit has been binding for too long, the backlog is not reported
  cpu_unlimited,    // first finite quota for a task that had none
  cpu_surplus,      // lowered: unused quota has paid for the write
  cpu_idle,         // lowered to the minimum: nothing ran
  cpu_undo,         // restored: a recent cut was wrong
  forecast,         // raised: this time of earlier seasons needed more
  memory_probe,     // lowered: pressure under target
  memory_pressure,  // raised: pressure over target
  memory_refault,   // raised: the working set came back
  memory_growth,    // raised: head-room for a growing task
  memory_room,      // raised: room above what is in use, of which the last cut had left too little
  memory_futile,    // lifted: reclaim frees nothing
  memory_floor,     // raised: below anon + unreclaimable
  bound,            // moved into [min, max]
  schedule,         // likewise, into those of an open window of its schedule
  burst,            // the quota stays, its burst follows the configuration
  capacity,         // cut: the node has no more
  by_weight,        // raised to the maximum: the node is full, and cpu.weight shares it
  weight,           // cpu.weight: what the task is to get of a full node
  reasserted,       // written again: another hand undid it
  pinned,           // an administrator holds the value
  released,         // the baseline is restored
};

// The kernel documentation's and CONTROL's terms; used on D-Bus and in the journal.
constexpr std::string_view to_string(Rule rule) {
  switch (rule) {
    case Rule::none:
      return "none";
    case Rule::initial:
      return "initial";
    case Rule::cpu_deadline:
      return "cpu-deadline";
    case Rule::cpu_throttled:
      return "cpu-throttled";
    case Rule::cpu_unlimited:
      return "cpu-unlimited";
    case Rule::cpu_surplus:
      return "cpu-surplus";
    case Rule::cpu_idle:
      return "cpu-idle";
    case Rule::cpu_undo:
      return "cpu-undo";
    case Rule::forecast:
      return "forecast";
    case Rule::memory_probe:
      return "memory-probe";
    case Rule::memory_pressure:
      return "memory-pressure";
    case Rule::memory_refault:
      return "memory-refault";
    case Rule::memory_growth:
      return "memory-growth";
    case Rule::memory_room:
      return "memory-room";
    case Rule::memory_futile:
      return "memory-futile";
    case Rule::memory_floor:
      return "memory-floor";
    case Rule::bound:
      return "bound";
    case Rule::schedule:
      return "schedule";
    case Rule::burst:
      return "burst";
    case Rule::capacity:
      return "capacity";
    case Rule::by_weight:
      return "by-weight";
    case Rule::weight:
      return "weight";
    case Rule::reasserted:
      return "reasserted";
    case Rule::pinned:
      return "pinned";
    case Rule::released:
      return "released";
  }
  return "unknown";
}

// One set of inputs serves both knobs; a field that a rule does not use stays zero.
struct Reason {
  Rule rule = Rule::none;
  Cause cause = Cause::unknown;  // what held the task up when this was decided
  double wanted = 0;             // before bounds and capacity: cores, or bytes
  double demand_cores = 0;       // what the task would have used
  double usage_cores = 0;
  double backlog_cpu_seconds = 0;
  double binding_seconds = 0;  // how long the limit has been binding without a break
  double throttled_ratio = 0;  // throttled periods / periods
  double pressure_ratio = 0;   // PSI some of the knob's resource over the last interval
  double refaults_per_second = 0;
  double steal_scan_ratio = 0;  // pgsteal / pgscan
  bool clamped_min = false;
  bool clamped_max = false;
  bool clamped_capacity = false;
  bool clamped_step = false;      // up to whole steps
  bool clamped_forecast = false;  // up to what a forecast says
  bool clamped_rate = false;      // by the rate policies of its direction, or their stabilization
  bool operator==(const Reason&) const = default;
};

}  // namespace sluice
