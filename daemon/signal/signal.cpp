#include "daemon/signal/signal.hpp"

#include <algorithm>
#include <array>

namespace sluice {
namespace {

// The increase of a counter; none if it fell (the cgroup was recreated, or the kernel reset it).
std::optional<double> rise(Usec before, Usec after) {
  if (after < before) return std::nullopt;
  return in_seconds(after - before);
}
std::optional<std::uint64_t> rise(std::uint64_t before, std::uint64_t after) {
  if (after < before) return std::nullopt;
  return after - before;
}

template <class T>
std::optional<double> per_second(const std::optional<T>& amount, double interval) {
  if (!amount) return std::nullopt;
  return static_cast<double>(*amount) / interval;
}

// PSI totals and the timestamp are read at slightly different times, so the ratio is capped at one.
std::optional<double> ratio(Usec before, Usec after, double interval) {
  const auto stalled = rise(before, after);
  if (!stalled) return std::nullopt;
  return std::min(1.0, *stalled / interval);
}

void derive_cpu(const Sample& a, const Sample& b, Signals& out) {
  const double dt = out.interval_seconds;
  if (a.cpu && b.cpu) {
    out.usage_cores = per_second(rise(a.cpu->usage, b.cpu->usage), dt);
    out.system_cores = per_second(rise(a.cpu->system, b.cpu->system), dt);
  }
  if (a.bandwidth && b.bandwidth) {
    out.periods = rise(a.bandwidth->nr_periods, b.bandwidth->nr_periods);
    out.throttled_periods = rise(a.bandwidth->nr_throttled, b.bandwidth->nr_throttled);
    out.throttled_cores = per_second(rise(a.bandwidth->throttled, b.bandwidth->throttled), dt);
  }
  if (b.ancestor_cpu) {
    const auto& above = *b.ancestor_cpu;
    out.ancestor_throttled_ratio = above.periods == 0
                                       ? 0
                                       : std::min(1.0, static_cast<double>(above.throttled_periods) /
                                                           static_cast<double>(above.periods));
  }
  if (a.cpu_pressure && b.cpu_pressure) {
    out.cpu_pressure_ratio = ratio(a.cpu_pressure->some, b.cpu_pressure->some, dt);
  }
  if (a.io_pressure && b.io_pressure) {
    out.io_pressure_ratio = ratio(a.io_pressure->some, b.io_pressure->some, dt);
  }
}

void derive_memory(const Sample& a, const Sample& b, Signals& out) {
  const double dt = out.interval_seconds;
  if (a.memory_pressure && b.memory_pressure) {
    out.memory_pressure_ratio = ratio(a.memory_pressure->some, b.memory_pressure->some, dt);
    out.memory_full_pressure_ratio = ratio(a.memory_pressure->full, b.memory_pressure->full, dt);
  }
  if (a.memory_stat && b.memory_stat) {
    const auto& m = *a.memory_stat;
    const auto& n = *b.memory_stat;
    out.refaults_per_second = per_second(rise(m.workingset_refault_anon + m.workingset_refault_file,
                                              n.workingset_refault_anon + n.workingset_refault_file),
                                         dt);
    out.pgscan_per_second = per_second(rise(m.pgscan, n.pgscan), dt);
    out.pgsteal_per_second = per_second(rise(m.pgsteal, n.pgsteal), dt);
    out.anon_growth_bytes_per_second = (static_cast<double>(n.anon) - static_cast<double>(m.anon)) / dt;
  }
  if (a.memory_current && b.memory_current) {
    out.memory_growth_bytes_per_second =
        (static_cast<double>(*b.memory_current) - static_cast<double>(*a.memory_current)) / dt;
  }
  if (a.memory_events && b.memory_events) {
    out.high_events = rise(a.memory_events->high, b.memory_events->high);
    out.oom_kills = rise(a.memory_events->oom_kill, b.memory_events->oom_kill);
  }
}

std::optional<double> wait_p99_usec(const RunQueueWait& a, const RunQueueWait& b) {
  std::array<std::uint64_t, RunQueueWait::kBuckets> waits{};
  std::uint64_t all = 0;
  for (std::size_t i = 0; i < waits.size(); ++i) {
    const auto rose = rise(a.log2_usec[i], b.log2_usec[i]);
    if (!rose) return std::nullopt;
    all += waits[i] = *rose;
  }
  if (all == 0) return 0.0;
  std::uint64_t above = all / 100;  // waits that may be above the quantile
  std::size_t i = waits.size();
  while (i-- > 1) {
    if (waits[i] > above) break;
    above -= waits[i];
  }
  return static_cast<double>(2ULL << i);
}

void derive_scheduler(const Sample& a, const Sample& b, Signals& out) {
  const double dt = out.interval_seconds;
  if (a.throttle && b.throttle) {
    out.throttled_wall_ratio = ratio(a.throttle->stopped, b.throttle->stopped, dt);
    const auto count = rise(a.throttle->count, b.throttle->count);
    const auto tasks = rise(a.throttle->stopped_tasks, b.throttle->stopped_tasks);
    if (count && tasks) {
      out.stopped_tasks_per_throttle =
          *count > 0 ? static_cast<double>(*tasks) / static_cast<double>(*count) : 0;
    }
  }
  if (a.run_queue && b.run_queue) {
    out.run_queue_wait_per_second = per_second(rise(a.run_queue->total, b.run_queue->total), dt);
    out.run_queue_wait_p99_usec = wait_p99_usec(*a.run_queue, *b.run_queue);
  }
  out.idle_until = b.idle_until;
  if (b.runnable_threads) out.runnable_threads = *b.runnable_threads;
  if (a.memory_stall && b.memory_stall) {
    const auto stalled = rise(a.memory_stall->stalled, b.memory_stall->stalled);
    const auto high = rise(a.memory_stall->high_throttled, b.memory_stall->high_throttled);
    out.memory_stall_per_second = per_second(stalled, dt);
    if (stalled && high) out.memory_high_throttled_ratio = *stalled > 0 ? std::min(1.0, *high / *stalled) : 0;
  }
}

// A task that never had a socket has no stream data: absent, not zero.
void derive_flow(const Sample& a, const Sample& b, Signals& out) {
  if (!a.flow || !b.flow) return;
  const SocketFlow& m = *a.flow;
  const SocketFlow& n = *b.flow;
  if (n.sockets == 0 && m.sockets == 0 && n.received == m.received && n.sent == m.sent) return;
  const double growth = static_cast<double>(n.unread) - static_cast<double>(m.unread);
  out.backlog_bytes = static_cast<double>(n.unread);
  out.unsent_bytes = static_cast<double>(n.unsent);
  // Sockets may be visited less often than samples are taken. Without a new visit there is nothing new.
  if (n.at < m.at || (n.at == m.at && n.at != MonotonicTime{})) return;
  const double dt = m.at != MonotonicTime{} ? in_seconds(n.at - m.at) : out.interval_seconds;
  out.backlog_growth_bytes_per_second = growth / dt;
  out.unsent_growth_bytes_per_second = (static_cast<double>(n.unsent) - static_cast<double>(m.unsent)) / dt;
  out.output_bytes_per_second = per_second(rise(m.sent, n.sent), dt);
  out.arrival_bytes_per_second = per_second(rise(m.received, n.received), dt);
  if (out.arrival_bytes_per_second) {
    out.service_bytes_per_second = std::max(0.0, *out.arrival_bytes_per_second - growth / dt);
  }
  const auto closed = rise(m.zero_window, n.zero_window);
  if (closed) out.zero_window_ratio = std::min(1.0, *closed / dt / std::max(1U, n.sockets));
}

}  // namespace

Signals derive_signals(const Sample& previous, const Sample& current) {
  Signals out;
  if (previous.id != current.id || current.read_at <= previous.read_at) return out;
  out.interval_seconds = in_seconds(current.read_at - previous.read_at);
  derive_cpu(previous, current, out);
  derive_memory(previous, current, out);
  derive_scheduler(previous, current, out);
  derive_flow(previous, current, out);
  return out;
}

}  // namespace sluice
