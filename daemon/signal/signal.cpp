#include "daemon/signal/signal.hpp"

#include <algorithm>

namespace sluice {
namespace {

double seconds(Usec t) {
  return std::chrono::duration<double>(t).count();
}

// How far a rising counter rose; nothing when it ran backwards (a recreated cgroup, a kernel's reset).
std::optional<double> rise(Usec before, Usec after) {
  if (after < before) return std::nullopt;
  return seconds(after - before);
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

// PSI totals are read a moment apart from the timestamp, so the ratio may come out slightly above one.
std::optional<double> ratio(Usec before, Usec after, double interval) {
  const auto stalled = rise(before, after);
  if (!stalled) return std::nullopt;
  return std::min(1.0, *stalled / interval);
}

void derive_cpu(const Sample& a, const Sample& b, Signals& out) {
  const double dt = out.interval_seconds;
  if (a.cpu && b.cpu) out.usage_cores = per_second(rise(a.cpu->usage, b.cpu->usage), dt);
  if (a.bandwidth && b.bandwidth) {
    out.periods = rise(a.bandwidth->nr_periods, b.bandwidth->nr_periods);
    out.throttled_periods = rise(a.bandwidth->nr_throttled, b.bandwidth->nr_throttled);
    out.throttled_cores = per_second(rise(a.bandwidth->throttled, b.bandwidth->throttled), dt);
  }
  if (a.cpu_pressure && b.cpu_pressure) {
    out.cpu_pressure_ratio = ratio(a.cpu_pressure->some, b.cpu_pressure->some, dt);
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
  }
}

}  // namespace

Signals derive_signals(const Sample& previous, const Sample& current) {
  Signals out;
  if (previous.id != current.id || current.read_at <= previous.read_at) return out;
  out.interval_seconds = std::chrono::duration<double>(current.read_at - previous.read_at).count();
  derive_cpu(previous, current, out);
  derive_memory(previous, current, out);
  return out;
}

}  // namespace sluice
