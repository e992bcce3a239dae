#include "daemon/publish/bus/task_entries.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "daemon/publish/words/names.hpp"
#include "daemon/publish/words/words.hpp"

namespace sluice::publish {

namespace {

using std::string;
using std::uint64_t;

// A dictionary in the making. Values keep the interface's conventions: usec and bytes are 't', the rest 'd'.
class Entries {
 public:
  template <class Value>
  void add(const char* key, const Value& value) {
    map_.insert(compat::entry(key, value));
  }
  void ratio(const char* key, const std::optional<double>& value) {
    if (value) add(key, *value);
  }
  void usec(const char* key, const std::optional<double>& seconds) {
    if (seconds) add(key, usec_value(*seconds));
  }
  void bytes(const char* key, const std::optional<double>& value) {
    if (value) add(key, static_cast<uint64_t>(std::max(0.0, *value)));
  }
  void count(const char* key, const std::optional<uint64_t>& value) {
    if (value) add(key, *value);
  }
  // How long until then; absent: not before somebody acts.
  void until(const char* key, const std::optional<MonotonicTime>& at, MonotonicTime now) {
    if (at) add(key, usec_value(in_seconds(std::max(*at - now, Nsec{}))));
  }
  compat::Dictionary take() { return std::move(map_); }

 private:
  compat::Dictionary map_;
};

string clamp_names(const Reason& reason) {
  std::vector<const char*> names;
  if (reason.clamped_min) names.push_back("min");
  if (reason.clamped_max) names.push_back("max");
  if (reason.clamped_capacity) names.push_back("capacity");
  if (reason.clamped_step) names.push_back("step");
  if (reason.clamped_forecast) names.push_back("forecast");
  if (reason.clamped_rate) names.push_back("rate");
  return fmt::format("{}", fmt::join(names, ","));
}

uint64_t bytes_value(double bytes) {
  return bytes > 0 && bytes < 1.8e19 ? static_cast<uint64_t>(bytes) : 0;
}

compat::Dictionary cause_inputs(const CauseInput& in) {
  Entries e;
  e.usec("CPUUsagePerSecUSec", in.usage_cores);
  e.ratio("SystemRatio", in.system_share);
  e.ratio("ThrottledRatio", in.throttled_share);
  e.ratio("WaitRatio", in.wait_share);
  e.ratio("MemoryStallRatio", in.memory_stall_share);
  e.ratio("IOStallRatio", in.io_stall_share);
  e.ratio("PageScansPerSec", in.pgscan_per_second);
  e.ratio("RefaultsPerSec", in.refaults_per_second);
  e.ratio("ServedRatio", in.served_share);
  e.usec("BacklogUSec", in.backlog_seconds);
  e.bytes("UnsentBytes", in.unsent_bytes);
  e.usec("UnsentUSec", in.unsent_seconds);
  e.ratio("RunnableThreads", in.runnable_threads);
  return e.take();
}

void add_scheduler(const Signals& g, Entries& e) {
  e.usec("CPUSystemPerSecUSec", g.system_cores);
  e.usec("ThrottledPerSecUSec", g.throttled_cores);
  e.count("Periods", g.periods);
  e.count("ThrottledPeriods", g.throttled_periods);
  e.ratio("ThrottledWallRatio", g.throttled_wall_ratio);
  e.ratio("StoppedTasksPerThrottle", g.stopped_tasks_per_throttle);
  e.usec("RunQueueWaitPerSecUSec", g.run_queue_wait_per_second);
  e.bytes("RunQueueWaitP99USec", g.run_queue_wait_p99_usec);
  e.ratio("RunnableThreads", g.runnable_threads);
  if (g.idle_until) {
    e.count("IdleTimestampMonotonic",
            static_cast<std::uint64_t>(
                std::chrono::duration_cast<Usec>(g.idle_until->time_since_epoch()).count()));
  }
  e.ratio("IOPressureRatio", g.io_pressure_ratio);
}

void add_memory(const Signals& g, Entries& e) {
  e.ratio("MemoryFullPressureRatio", g.memory_full_pressure_ratio);
  e.usec("MemoryStallPerSecUSec", g.memory_stall_per_second);
  e.ratio("MemoryHighThrottledRatio", g.memory_high_throttled_ratio);
  e.ratio("PageScansPerSec", g.pgscan_per_second);
  e.ratio("PageStealsPerSec", g.pgsteal_per_second);
  e.ratio("AnonGrowthBytesPerSec", g.anon_growth_bytes_per_second);
  e.ratio("MemoryGrowthBytesPerSec", g.memory_growth_bytes_per_second);
  e.count("MemoryHighEvents", g.high_events);
  e.count("OOMKills", g.oom_kills);
}

void add_stream(const Signals& g, const FlowEstimate& flow, Entries& e) {
  e.ratio("ArrivalBytesPerSec", g.arrival_bytes_per_second);
  e.ratio("ServiceBytesPerSec", g.service_bytes_per_second);
  e.bytes("BacklogBytes", g.backlog_bytes);
  e.ratio("BacklogGrowthBytesPerSec", g.backlog_growth_bytes_per_second);
  e.ratio("OutputBytesPerSec", g.output_bytes_per_second);
  e.bytes("UnsentBytes", g.unsent_bytes);
  e.ratio("UnsentGrowthBytesPerSec", g.unsent_growth_bytes_per_second);
  e.ratio("ZeroWindowRatio", g.zero_window_ratio);
  e.usec("CPUPerMiBUSec", flow.cpu_seconds_per_mib);
  if (flow.cpu_seconds_per_mib) e.add("CPUPerMiBConfidenceRatio", flow.confidence);
  e.usec("SocketBacklogCPUUSec", flow.backlog_cpu_seconds);
  e.usec("ArrivalCPUPerSecUSec", flow.arrival_cores);
  e.usec("DrainUSec", flow.drain_seconds);
}

// When it ends: as systemd's timestamps, microseconds since the epoch.
void add_schedule(const Scheduled& s, Entries& e) {
  const auto until = [](const Scheduled::Bound& b) {
    return static_cast<uint64_t>(std::max(Usec{0}, Usec{b.until}).count());
  };
  if (s.min) {
    e.add("ScheduledCPUMinPerSecUSec", usec_value(s.min->cores));
    e.add("ScheduledCPUMinUntilUSec", until(*s.min));
  }
  if (s.max) {
    e.add("ScheduledCPUMaxPerSecUSec", usec_value(s.max->cores));
    e.add("ScheduledCPUMaxUntilUSec", until(*s.max));
  }
}

void add_forecast(const Forecast& f, Entries& e) {
  if (f.mode == config::ForecastMode::off) return;
  e.add("ForecastTrust", string(to_string(f.trust)));
  e.add("ForecastActs", f.acts());
  e.add("ForecastSeasons", f.seasons);
  if (f.seasons == 0) return;
  e.add("ForecastCPUPerSecUSec", usec_value(f.cores));
  e.add("ForecastCPUFloorPerSecUSec", usec_value(f.floor_cores));
  e.add("ForecastErrorRatio", f.error_ratio);
}

}  // namespace

compat::Dictionary explanation_entries(const TaskReport& task, MonotonicTime now) {
  const Reason& cpu = task.cpu_reason;
  const Reason& memory = task.memory_reason;
  Entries e;
  e.add("Text", explanation(task, now));
  e.add("Mode", string(to_string(task.mode)));
  e.add("HoldReason", printable_line(task.hold_reason));
  e.add("BreakerState", string(to_string(task.breaker)));
  e.add("BreakerTrip", string(to_string(task.breaker_trip)));
  e.add("BreakerCause", c_escape(task.breaker_cause));
  e.until("BreakerRetryUSec", task.breaker_retry_at, now);

  e.add("Cause", string(to_string(task.diagnosis.cause)));
  e.add("CauseText", cause_words(task.diagnosis));
  e.add("CauseInputs", cause_inputs(task.diagnosis.inputs));
  if (task.diagnosis.since != MonotonicTime{})
    e.usec("CauseSinceUSec", in_seconds(now - task.diagnosis.since));

  e.add("CPURule", string(to_string(cpu.rule)));
  e.add("CPUCause", string(to_string(cpu.cause)));
  e.add("CPUText", origin_words(Knob::cpu_max, task.cpu_story, cpu, task.cpu_changed_at, now));
  e.add("CPUWantedPerSecUSec", usec_value(cpu.wanted));
  e.add("CPUClampedBy", clamp_names(cpu));
  e.add("CPUDemandPerSecUSec", usec_value(cpu.demand_cores));
  e.add("CPUUsagePerSecUSec", usec_value(cpu.usage_cores));
  e.add("CPUBacklogUSec", usec_value(cpu.backlog_cpu_seconds));
  e.add("CPUBindingUSec", usec_value(cpu.binding_seconds));
  e.add("CPUThrottledRatio", cpu.throttled_ratio);
  e.add("CPUPressureRatio", cpu.pressure_ratio);
  e.until("CPUNextLookUSec", task.cpu_looks_again_at, now);
  add_schedule(task.scheduled, e);
  add_forecast(task.forecast, e);

  e.add("WeightRule", string(to_string(task.weight_reason.rule)));
  e.add("WeightText",
        origin_words(Knob::cpu_weight, task.weight_story, task.weight_reason, task.weight_changed_at, now));

  e.add("MemoryRule", string(to_string(memory.rule)));
  e.add("MemoryCause", string(to_string(memory.cause)));
  e.add("MemoryText",
        origin_words(Knob::memory_high, task.memory_story, memory, task.memory_changed_at, now));
  e.add("MemoryWanted", bytes_value(memory.wanted));
  e.add("MemoryClampedBy", clamp_names(memory));
  e.add("MemoryPressureRatio", memory.pressure_ratio);
  e.add("MemoryRefaultsPerSec", memory.refaults_per_second);
  e.add("MemoryReclaimRatio", memory.steal_scan_ratio);
  e.until("MemoryNextLookUSec", task.memory_looks_again_at, now);
  e.until("MemoryNextProbeUSec", task.memory_probes_again_at, now);
  if (task.memory_floor) e.add("MemoryFloor", uint64_t{*task.memory_floor});
  return e.take();
}

compat::Dictionary statistics_entries(const TaskReport& task, MonotonicTime now) {
  Entries e;
  e.add("WritesLastMinute", task.writes_last_minute);
  e.add("WritesTotal", task.writes_total);
  e.add("DriftTotal", task.drift_total);
  e.add("Cause", string(to_string(task.diagnosis.cause)));
  if (task.sampled_at == MonotonicTime{}) return e.take();  // never seen: no signals, and no source of them
  e.add("SampleSource", string(source_name(task.source)));
  e.usec("SampleAgeUSec", in_seconds(std::max(now - task.sampled_at, Nsec{})));
  if (task.signals.interval_seconds > 0) e.usec("IntervalUSec", task.signals.interval_seconds);
  e.usec("CPUUsagePerSecUSec", task.cpu_usage_cores);
  e.usec("CPUDemandPerSecUSec", task.cpu_demand_cores);
  e.usec("BacklogCPUUSec", task.backlog_cpu_seconds);
  e.ratio("ThrottledRatio", task.cpu_throttled_ratio);
  e.ratio("CPUPressureRatio", task.cpu_pressure_ratio);
  e.ratio("MemoryPressureRatio", task.memory_pressure_ratio);
  e.ratio("MemoryRefaultsPerSec", task.refaults_per_second);
  e.count("MemoryCurrent", task.memory_current);
  e.count("MemoryFloor", task.memory_floor);
  e.ratio("Lag", task.lag);
  e.usec("CPUPerRecordUSec", task.record_cpu_seconds);
  add_scheduler(task.signals, e);
  add_memory(task.signals, e);
  add_stream(task.signals, task.flow, e);
  return e.take();
}

}  // namespace sluice::publish
