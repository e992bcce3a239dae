// Why a value was chosen: a rule and its inputs, as numbers. daemon/publish makes the text.
#pragma once

#include <cstdint>
#include <string_view>

#include "daemon/decide/diagnosis.hpp"

namespace sluice {

enum class Rule : std::uint8_t {
  none,
  initial,          // first value, from the configuration
  cpu_deadline,     // raised: the backlog would miss max_delay
  cpu_throttled,    // raised: the limit throttled for too long and the backlog is not known
  cpu_unlimited,    // first finite quota of an unlimited task
  cpu_surplus,      // lowered: the surplus quota justifies the write
  cpu_idle,         // lowered to the minimum: the task is idle
  cpu_undo,         // restored: a recent cut was wrong
  forecast,         // raised: earlier seasons needed more at this time
  memory_probe,     // lowered: pressure is below the target
  memory_pressure,  // raised: pressure is above the target
  memory_refault,   // raised: evicted pages were read back
  memory_growth,    // raised: head-room for a growing task
  memory_room,      // raised: the last cut left too little head-room
  memory_futile,    // lifted to the upper bound: reclaim frees nothing
  memory_floor,     // raised: below anon + unreclaimable
  bound,            // moved into [min, max]
  schedule,         // moved into the bounds of an open schedule window
  burst,            // the quota stays; its burst follows the configuration
  capacity,         // cut: the node's capacity is exceeded
  by_weight,        // raised to the maximum: the node is full, and cpu.weight shares it
  weight,           // cpu.weight: the task's share of a full node
  reasserted,       // written again after an external write
  pinned,           // an administrator pinned the value
  released,         // the baseline is restored
};

// The terms of the kernel documentation, used on D-Bus and in the journal.
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

// Both knobs share these inputs. A field that a rule does not use stays zero.
struct Reason {
  Rule rule = Rule::none;
  Cause cause = Cause::unknown;  // of the task when this was decided
  double wanted = 0;             // before bounds and capacity; cores or bytes
  double demand_cores = 0;       // what the task would have used without the limit
  double usage_cores = 0;
  double backlog_cpu_seconds = 0;
  double binding_seconds = 0;  // how long the limit has been throttling without a break
  double throttled_ratio = 0;  // throttled periods / periods
  double pressure_ratio = 0;   // PSI some of the knob's resource, over the last interval
  double refaults_per_second = 0;
  double steal_scan_ratio = 0;  // pgsteal / pgscan
  bool clamped_min = false;
  bool clamped_max = false;
  bool clamped_capacity = false;
  bool clamped_step = false;      // rounded up to whole steps
  bool clamped_forecast = false;  // raised to the forecast
  bool clamped_rate = false;      // by rate policies or their stabilization window
  bool operator==(const Reason&) const = default;
};

}  // namespace sluice
