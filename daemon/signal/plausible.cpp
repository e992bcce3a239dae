#include "daemon/signal/plausible.hpp"

#include <algorithm>
#include <cmath>

namespace sluice {
namespace {

// Readings may be slightly apart from their timestamps, and CPUs may be hot-plugged.
constexpr double kSlackSeconds = 1, kSlackFactor = 2;
// The kernel updates a cgroup's pressure every two seconds or when it is read.
constexpr double kPressureSlackSeconds = 10;
constexpr Nsec kForgetAfter = std::chrono::minutes(10);

constexpr double kCpusMost = 65536;
constexpr Bytes kMemoryLeast = Bytes{1} << 20, kMemoryMost = Bytes{1} << 56;

using std::string_view;

// What is wrong; empty: nothing.
string_view judge(const CpuUsage* before, const CpuUsage& now, double elapsed, const NodeFacts& node) {
  if (now.usage < Usec{0} || now.user < Usec{0} || now.system < Usec{0}) return "it is below zero";
  if (!before) return {};
  if (now.usage < before->usage) return "usage_usec ran backwards";
  if (in_seconds(now.usage - before->usage) >
      kSlackFactor * node.cpu_capacity_cores * (elapsed + kSlackSeconds))
    return "usage_usec rose faster than the CPUs can run";
  return {};
}

string_view judge(const CpuBandwidth* before, const CpuBandwidth& now, double elapsed, const NodeFacts&) {
  if (now.throttled < Usec{0}) return "it is below zero";
  if (now.nr_throttled > now.nr_periods) return "more periods were throttled than there were";
  if (!before) return {};
  if (now.nr_periods < before->nr_periods || now.nr_throttled < before->nr_throttled ||
      now.throttled < before->throttled)
    return "its counters ran backwards";
  constexpr double kPeriodsPerSecond = 1000;  // with the shortest period
  if (static_cast<double>(now.nr_periods - before->nr_periods) >
      kSlackFactor * kPeriodsPerSecond * (elapsed + kSlackSeconds))
    return "nr_periods rose faster than periods end";
  return {};
}

string_view judge(const PressureTotals* before, const PressureTotals& now, double elapsed, const NodeFacts&) {
  if (now.some < Usec{0} || now.full < Usec{0}) return "it is below zero";
  if (!before) return {};
  if (now.some < before->some || now.full < before->full) return "its totals ran backwards";
  if (std::max(in_seconds(now.some - before->some), in_seconds(now.full - before->full)) >
      elapsed + kPressureSlackSeconds)
    return "its totals rose faster than time goes";
  return {};
}

string_view judge(const Bytes* /*before*/, const Bytes& now, double /*elapsed*/, const NodeFacts& node) {
  return now > node.memory_capacity ? "it is more than the node's memory" : string_view{};
}

string_view judge(const MemoryStat* before, const MemoryStat& now, double, const NodeFacts& node) {
  for (const Bytes part : {now.anon, now.file, now.shmem, now.unreclaimable}) {
    if (part > node.memory_capacity) return "a part is more than the node's memory";
  }
  if (!before) return {};
  if (now.pgscan < before->pgscan || now.pgsteal < before->pgsteal ||
      now.workingset_refault_anon < before->workingset_refault_anon ||
      now.workingset_refault_file < before->workingset_refault_file)
    return "its counters ran backwards";
  return {};
}

string_view judge(const MemoryEvents* before, const MemoryEvents& now, double, const NodeFacts&) {
  if (before && (now.high < before->high || now.oom_kill < before->oom_kill))
    return "its counters ran backwards";
  return {};
}

struct Judge {
  const Sample* before;
  const NodeFacts& node;
  Sample& now;
  std::vector<Unknown>& found;

  template <class T>
  void operator()(StatFile file, std::optional<T> Sample::*field) const {
    auto& value = now.*field;
    if (!value) return;
    const double elapsed = before ? std::max(0.0, in_seconds(now.read_at - before->read_at)) : 0;
    const T* earlier = before && before->*field ? &*(before->*field) : nullptr;
    const auto fault = judge(earlier, *value, elapsed, node);
    if (fault.empty()) return;
    value.reset();
    found.push_back({file, fault});
  }
};

}  // namespace

string_view file_name(StatFile file) {
  switch (file) {
    case StatFile::cpu_stat:
      return "cpu.stat";
    case StatFile::cpu_pressure:
      return "cpu.pressure";
    case StatFile::memory_current:
      return "memory.current";
    case StatFile::memory_events:
      return "memory.events";
    case StatFile::memory_pressure:
      return "memory.pressure";
    case StatFile::memory_stat:
      return "memory.stat";
    case StatFile::memory_swap:
      return "memory.swap.current";
    case StatFile::io_pressure:
      return "io.pressure";
  }
  return "unknown";
}

std::vector<Unknown> drop_implausible(const Sample* before, const NodeFacts& node, Sample& now) {
  std::vector<Unknown> found;
  if (now.unreadable != 0) {
    for (unsigned i = 0; i <= static_cast<unsigned>(StatFile::io_pressure); ++i) {
      if (now.unreadable >> i & 1U) found.push_back({static_cast<StatFile>(i), "it could not be read"});
    }
  }
  if (before && before->id != now.id) before = nullptr;
  const Judge check{before, node, now, found};
  check(StatFile::cpu_stat, &Sample::cpu);
  check(StatFile::cpu_stat, &Sample::bandwidth);
  check(StatFile::cpu_pressure, &Sample::cpu_pressure);
  check(StatFile::memory_pressure, &Sample::memory_pressure);
  check(StatFile::io_pressure, &Sample::io_pressure);
  check(StatFile::memory_current, &Sample::memory_current);
  check(StatFile::memory_stat, &Sample::memory_stat);
  check(StatFile::memory_events, &Sample::memory_events);
  return found;
}

std::vector<Unknown> Unknowns::add(const std::vector<Unknown>& found, MonotonicTime now) {
  std::vector<Unknown> news;
  if (found.empty() && seen_.empty()) return news;
  std::erase_if(seen_, [&](const Seen& s) { return now - s.last > kForgetAfter; });
  for (const auto& each : found) {
    const auto known =
        std::find_if(seen_.begin(), seen_.end(), [&](const Seen& s) { return s.what.file == each.file; });
    if (known != seen_.end()) {
      known->last = now;
      continue;
    }
    seen_.push_back({each, now});
    news.push_back(each);
  }
  return news;
}

bool plausible(const NodeFacts& node) {
  return std::isfinite(node.cpu_capacity_cores) && node.cpu_capacity_cores > 0 &&
         node.cpu_capacity_cores <= kCpusMost && node.memory_capacity >= kMemoryLeast &&
         node.memory_capacity <= kMemoryMost && node.page_bytes > 0 &&
         node.page_bytes <= node.memory_capacity;
}

}  // namespace sluice
