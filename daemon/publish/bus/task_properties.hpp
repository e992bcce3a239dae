// The properties of org.sluice.Governor1.Task, each once: name, whether changes are signalled, value.
// As systemd does it, settings and states announce their changes; readings that move all the time do not
// (their EmitsChangedSignal is "false") and are read when somebody looks.
#pragma once

#include <fmt/format.h>

#include <string>

#include "daemon/process/clock.hpp"
#include "daemon/publish/bus/bus_compat.hpp"
#include "daemon/publish/bus/object_context.hpp"
#include "daemon/publish/words/names.hpp"
#include "daemon/publish/words/words.hpp"

namespace sluice::publish {

inline std::string pinned_by(const ObjectContext& context, const TaskReport& task) {
  if (!task.pinned_by.empty()) return c_escape(task.pinned_by);
  const auto* hold = context.model.held(task.name);
  if (hold == nullptr || !hold->pinned) return {};
  return fmt::format("uid {}", hold->uid);
}

// The rule behind the newer of the two knobs' last changes.
inline const Reason& last_reason(const TaskReport& task) {
  const bool memory_is_newer =
      task.memory_changed_at && (!task.cpu_changed_at || *task.memory_changed_at > *task.cpu_changed_at);
  return memory_is_newer ? task.memory_reason : task.cpu_reason;
}

// Calls visit(name, Emits, getter) for each; a getter is Value(const ObjectContext&, const TaskView&).
template <class Visit>
void visit_task_properties(Visit&& visit) {
  using compat::Emits;
  using C = const ObjectContext&;
  using V = const TaskView&;
  using std::string;
  using u64 = std::uint64_t;

  visit("Name", Emits::yes, [](C, V t) { return c_escape(t.report->name); });
  visit("Class", Emits::yes, [](C, V t) { return c_escape(t.report->class_name); });
  visit("ControlGroup", Emits::yes, [](C, V t) { return c_escape(t.report->cgroup); });
  visit("ControlGroupId", Emits::yes, [](C, V t) { return t.report->id.value; });
  visit("Mode", Emits::yes, [](C, V t) { return string(to_string(t.report->mode)); });
  visit("BreakerState", Emits::yes, [](C, V t) { return string(to_string(t.report->breaker)); });
  visit("BreakerCause", Emits::yes, [](C, V t) {
    const bool closed = t.report->breaker == BreakerState::closed;
    return closed ? string() : trip_words(t.report->breaker_trip, t.report->breaker_cause);
  });
  visit("Cause", Emits::yes, [](C, V t) { return string(to_string(t.report->diagnosis.cause)); });
  visit("PinnedBy", Emits::yes, [](C c, V t) { return pinned_by(c, *t.report); });
  visit("HoldReason", Emits::yes, [](C, V t) { return printable_line(t.report->hold_reason); });

  visit("CPUQuotaPerSecUSec", Emits::yes, [](C, V t) { return quota_value(t.report->cpu_max); });
  visit("CPUBaselineQuotaPerSecUSec", Emits::yes, [](C, V t) { return quota_value(t.report->cpu_baseline); });
  // As cpu.max.burst holds it, infinity where the kernel has none.
  visit("CPUBurstUSec", Emits::yes, [](C, V t) { return burst_value(t.report->cpu_max); });
  visit("CPUBaselineBurstUSec", Emits::yes, [](C, V t) { return burst_value(t.report->cpu_baseline); });
  visit("CPUWeight", Emits::yes, [](C, V t) { return u64{t.report->cpu_weight.weight}; });
  visit("CPUBaselineWeight", Emits::yes, [](C, V t) { return u64{t.report->cpu_weight_baseline.weight}; });
  visit("CPUMinPerSecUSec", Emits::yes, [](C, V t) { return usec_value(t.report->cpu_min_cores); });
  visit("CPUMaxPerSecUSec", Emits::yes, [](C, V t) { return usec_value(t.report->cpu_max_cores); });
  visit("MemoryHigh", Emits::yes, [](C, V t) { return limit_value(t.report->memory_high); });
  visit("MemoryBaselineHigh", Emits::yes, [](C, V t) { return limit_value(t.report->memory_baseline); });
  visit("MemoryMin", Emits::yes, [](C, V t) { return u64{t.report->memory_min}; });
  visit("MemoryMax", Emits::yes, [](C, V t) { return u64{t.report->memory_max}; });
  visit("Reason", Emits::yes, [](C, V t) { return string(to_string(last_reason(*t.report).rule)); });
  visit("LastChangeUSec", Emits::yes, [](C, V t) { return t.changed_usec; });
  visit("SampleSource", Emits::yes, [](C, V t) { return string(source_name(t.report->source)); });

  visit("SampleAgeUSec", Emits::no, [](C, V t) {
    const auto age = std::chrono::duration_cast<Usec>(monotonic_now() - t.report->sampled_at).count();
    return age > 0 ? static_cast<u64>(age) : u64{0};
  });
  visit("CPUUsagePerSecUSec", Emits::no, [](C, V t) { return usec_value(t.report->cpu_usage_cores); });
  visit("CPUDemandPerSecUSec", Emits::no, [](C, V t) { return usec_value(t.report->cpu_demand_cores); });
  visit("ThrottledRatio", Emits::no, [](C, V t) { return ratio_value(t.report->cpu_throttled_ratio); });
  visit("CPUPressureRatio", Emits::no, [](C, V t) { return ratio_value(t.report->cpu_pressure_ratio); });
  visit("MemoryPressureRatio", Emits::no,
        [](C, V t) { return ratio_value(t.report->memory_pressure_ratio); });
  visit("MemoryCurrent", Emits::no, [](C, V t) { return u64{t.report->memory_current.value_or(kInfinity)}; });
  visit("BacklogCPUUSec", Emits::no, [](C, V t) { return usec_value(t.report->backlog_cpu_seconds); });
  visit("Lag", Emits::no, [](C, V t) { return ratio_value(t.report->lag); });
  visit("WritesLastMinute", Emits::no, [](C, V t) { return t.report->writes_last_minute; });
  visit("WritesTotal", Emits::no, [](C, V t) { return t.report->writes_total; });
  visit("DriftTotal", Emits::no, [](C, V t) { return t.report->drift_total; });
}

}  // namespace sluice::publish
