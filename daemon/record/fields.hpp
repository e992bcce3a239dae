// All fields of each recorded value, listed once for writing and reading. A structured binding names all of
// them, so a field that is added elsewhere does not compile until it is added here. Then increase
// kFormatVersion (entry.hpp), because older files lack the field.
#pragma once

#include <concepts>
#include <type_traits>

#include "daemon/tick/tick.hpp"

namespace sluice::record {

template <class T, class U>
concept Is = std::same_as<std::remove_const_t<T>, U>;

// ---- the filesystem's values ----------------------------------------------------------------------------

void fields(auto& archive, Is<CgroupId> auto& v) {
  auto& [value] = v;
  archive(value);
}
void fields(auto& archive, Is<CpuMax> auto& v) {
  auto& [quota, period, burst] = v;
  archive(quota, period, burst);
}
void fields(auto& archive, Is<CpuWeight> auto& v) {
  auto& [weight] = v;
  archive(weight);
}
void fields(auto& archive, Is<MemoryLimit> auto& v) {
  auto& [bytes] = v;
  archive(bytes);
}
void fields(auto& archive, Is<CpuUsage> auto& v) {
  auto& [usage, user, system] = v;
  archive(usage, user, system);
}
void fields(auto& archive, Is<CpuBandwidth> auto& v) {
  auto& [nr_periods, nr_throttled, throttled] = v;
  archive(nr_periods, nr_throttled, throttled);
}
void fields(auto& archive, Is<PressureTotals> auto& v) {
  auto& [some, full] = v;
  archive(some, full);
}
void fields(auto& archive, Is<MemoryStat> auto& v) {
  auto& [anon, file, unreclaimable, refault_anon, refault_file, pgscan, pgsteal, shmem] = v;
  archive(anon, file, unreclaimable, refault_anon, refault_file, pgscan, pgsteal, shmem);
}
void fields(auto& archive, Is<MemoryEvents> auto& v) {
  auto& [low, high, max, oom, oom_kill] = v;
  archive(low, high, max, oom, oom_kill);
}
void fields(auto& archive, Is<ThrottleTotals> auto& v) {
  auto& [count, stopped, stopped_tasks] = v;
  archive(count, stopped, stopped_tasks);
}
void fields(auto& archive, Is<RunQueueWait> auto& v) {
  auto& [total, log2_usec] = v;
  archive(total, log2_usec);
}
void fields(auto& archive, Is<MemoryStallTotals> auto& v) {
  auto& [stalled, high_throttled] = v;
  archive(stalled, high_throttled);
}
void fields(auto& archive, Is<SocketFlow> auto& v) {
  auto& [sockets, received, sent, unread, unsent, zero_window, at] = v;
  archive(sockets, received, sent, unread, unsent, zero_window, at);
}

// ---- a tick's input -------------------------------------------------------------------------------------

void fields(auto& archive, Is<AncestorCpu> auto& v) {
  auto& [max_cores, path, periods, throttled_periods] = v;
  archive(max_cores, path, periods, throttled_periods);
}
void fields(auto& archive, Is<Sample> auto& v) {
  auto& [id, read_at, source, cpu, bandwidth, cpu_pressure, memory_pressure, memory_current, memory_stat,
         memory_events, swap_free, io_pressure, runnable_threads, throttle, run_queue, idle_until,
         memory_stall, flow, cpu_max, memory_high, memory_max, cpu_weight, cpu_max_absent, memory_high_absent,
         cpu_weight_absent, ancestor_cpu, ancestor_memory, frozen, unreadable] = v;
  archive(id, read_at, source, cpu, bandwidth, cpu_pressure, memory_pressure, memory_current, memory_stat,
          memory_events, swap_free, io_pressure, runnable_threads, throttle, run_queue, idle_until,
          memory_stall, flow, cpu_max, memory_high, memory_max, cpu_weight, cpu_max_absent,
          memory_high_absent, cpu_weight_absent, ancestor_cpu, ancestor_memory, frozen, unreadable);
}
void fields(auto& archive, Is<TaskFacts> auto& v) {
  auto& [id, name, cgroup, config_index] = v;
  archive(id, name, cgroup, config_index);
}
void fields(auto& archive, Is<ThrottleEvent> auto& v) {
  auto& [id, at, cpu, runnable_threads, idle_until] = v;
  archive(id, at, cpu, runnable_threads, idle_until);
}
void fields(auto& archive, Is<NodeFacts> auto& v) {
  auto& [cpu_capacity_cores, memory_capacity, page_bytes] = v;
  archive(cpu_capacity_cores, memory_capacity, page_bytes);
}
void fields(auto& archive, Is<WallClock> auto& v) {
  auto& [since_epoch, utc_offset] = v;
  archive(since_epoch, utc_offset);
}
void fields(auto& archive, Is<SeasonProfile::Bucket> auto& v) {
  auto& [mean_cores, spread_cores, seasons] = v;
  archive(mean_cores, spread_cores, seasons);
}
void fields(auto& archive, Is<SeasonProfile> auto& v) {
  auto& [season, buckets, error_ratio, compared, seen_at] = v;
  archive(season, buckets, error_ratio, compared, seen_at);
}
void fields(auto& archive, Is<NamedProfile> auto& v) {
  auto& [task, profile] = v;
  archive(task, profile);
}
void fields(auto& archive, Is<Receipt> auto& v) {
  auto& [id, knob, asked, holds, result, may_land, interrupted, error_number, path, started_at, written_at,
         finished_at, caused_at] = v;
  archive(id, knob, asked, holds, result, may_land, interrupted, error_number, path, started_at, written_at,
          finished_at, caused_at);
}

// ---- commands -------------------------------------------------------------------------------------------

void fields(auto& archive, Is<PinCommand> auto& v) {
  auto& [task, cpu_cores, memory_high, until, reason, owner, uid] = v;
  archive(task, cpu_cores, memory_high, until, reason, owner, uid);
}
void fields(auto& archive, Is<UnpinCommand> auto& v) {
  auto& [task] = v;
  archive(task);
}
void fields(auto& archive, Is<SuspendCommand> auto& v) {
  auto& [task, reason, uid] = v;
  archive(task, reason, uid);
}
void fields(auto& archive, Is<ResumeCommand> auto& v) {
  auto& [task] = v;
  archive(task);
}
void fields(auto& archive, Is<SetBoundsCommand> auto& v) {
  auto& [task, cpu_min_cores, cpu_max_cores, memory_min, memory_max] = v;
  archive(task, cpu_min_cores, cpu_max_cores, memory_min, memory_max);
}
void fields(auto& archive, Is<LoadReport> auto& v) {
  auto& [lag, processed, oldest_age_seconds, backlog_cpu_seconds] = v;
  archive(lag, processed, oldest_age_seconds, backlog_cpu_seconds);
}
void fields(auto& archive, Is<ReportLoadCommand> auto& v) {
  auto& [task, load, until] = v;
  archive(task, load, until);
}
void fields(auto& archive, Is<SetModeCommand> auto& v) {
  auto& [mode] = v;
  archive(mode);
}
void fields(auto&, Is<RestoreCommand> auto&) {}
void fields(auto& archive, Is<OwnerVanishedCommand> auto& v) {
  auto& [owner] = v;
  archive(owner);
}

// ---- state of an earlier process -------------------------------------------------------------------------

void fields(auto& archive, Is<LeaseEntry> auto& v) {
  auto& [id, path, knob, baseline, ours] = v;
  archive(id, path, knob, baseline, ours);
}
void fields(auto& archive, Is<Suspension> auto& v) {
  auto& [reason, uid] = v;
  archive(reason, uid);
}
void fields(auto& archive, Is<Hold> auto& v) {
  auto& [pin, suspension, bounds, cgroup] = v;
  archive(pin, suspension, bounds, cgroup);
}
void fields(auto& archive, Is<Holds> auto& v) {
  auto& [tasks, node, mode, revision] = v;
  archive(tasks, node, mode, revision);
}

// ---- configuration --------------------------------------------------------------------------------------

void fields(auto& archive, Is<config::Node> auto& v) {
  auto& [mode, tick, discovery, sampling, cpu_reserve_cores, memory_reserve_bytes, on_foreign_write,
         share_by] = v;
  archive(mode, tick, discovery, sampling, cpu_reserve_cores, memory_reserve_bytes, on_foreign_write,
          share_by);
}
void fields(auto& archive, Is<config::ScalingPolicy> auto& v) {
  auto& [type, value, period] = v;
  archive(type, value, period);
}
void fields(auto& archive, Is<config::ScalingRules> auto& v) {
  auto& [stabilization, policies, select_policy] = v;
  archive(stabilization, policies, select_policy);
}
void fields(auto& archive, Is<config::Scaling> auto& v) {
  auto& [up, down] = v;
  archive(up, down);
}
void fields(auto& archive, Is<config::Cpu> auto& v) {
  auto& [enabled, min_cores, max_cores, initial_cores, step_cores, burst_ratio, tolerance, writes_per_minute,
         scaling] = v;
  archive(enabled, min_cores, max_cores, initial_cores, step_cores, burst_ratio, tolerance, writes_per_minute,
          scaling);
}
void fields(auto& archive, Is<config::Memory> auto& v) {
  auto& [enabled, min_bytes, max_bytes, pressure_target, interval, tolerance, writes_per_minute, scaling] = v;
  archive(enabled, min_bytes, max_bytes, pressure_target, interval, tolerance, writes_per_minute, scaling);
}
void fields(auto& archive, Is<config::Calendar> auto& v) {
  auto& [weekdays, years, months, days, hours, minutes, seconds, utc] = v;
  archive(weekdays, years, months, days, hours, minutes, seconds, utc);
}
void fields(auto& archive, Is<config::ScheduleEntry> auto& v) {
  auto& [calendar, length, min_cores, max_cores] = v;
  archive(calendar, length, min_cores, max_cores);
}
void fields(auto& archive, Is<config::Forecast> auto& v) {
  auto& [mode, season] = v;
  archive(mode, season);
}
void fields(auto& archive, Is<config::TaskPolicy> auto& v) {
  auto& [weight, priority, max_delay, cpu, memory, schedule, forecast] = v;
  archive(weight, priority, max_delay, cpu, memory, schedule, forecast);
}
void fields(auto& archive, Is<config::Task> auto& v) {
  auto& [match_unit, match_cgroup, name, class_name, policy, origin] = v;
  archive(match_unit, match_cgroup, name, class_name, policy, origin);
}
void fields(auto& archive, Is<config::Config> auto& v) {
  auto& [node, tasks, stated] = v;
  (void)stated;  // only for warnings at load time
  archive(node, tasks);
}

// ---- results ---------------------------------------------------------------------------------------------

void fields(auto& archive, Is<Reason> auto& v) {
  auto& [rule, cause, wanted, demand_cores, usage_cores, backlog_cpu_seconds, binding_seconds,
         throttled_ratio, pressure_ratio, refaults_per_second, steal_scan_ratio, clamped_min, clamped_max,
         clamped_capacity, clamped_step, clamped_forecast, clamped_rate] = v;
  archive(rule, cause, wanted, demand_cores, usage_cores, backlog_cpu_seconds, binding_seconds,
          throttled_ratio, pressure_ratio, refaults_per_second, steal_scan_ratio, clamped_min, clamped_max,
          clamped_capacity, clamped_step, clamped_forecast, clamped_rate);
}
void fields(auto& archive, Is<Write> auto& v) {
  auto& [id, knob, value, reason, caused_at] = v;
  archive(id, knob, value, reason, caused_at);
}
void fields(auto& archive, Is<Plan> auto& v) {
  auto& [writes, dry_run] = v;
  archive(writes, dry_run);
}

}  // namespace sluice::record
