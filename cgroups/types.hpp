// Values of the cgroup-v2 filesystem, named as in the kernel's Documentation/admin-guide/cgroup-v2.rst and
// Documentation/accounting/psi.rst. Plain data: no I/O, no policy, usable from any thread.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <variant>

#include "cgroups/time.hpp"

namespace sluice {

// The inode number of the cgroup's directory. Names are reused; ids are not until a reboot.
struct CgroupId {
  std::uint64_t value = 0;
  auto operator<=>(const CgroupId&) const = default;
};

using Bytes = std::uint64_t;

// cpu.max: "$QUOTA $PERIOD" in microseconds. No quota = "max". Kernel: 1 ms <= period <= 1 s, quota >= 1 ms.
// `burst` is cpu.max.burst: how much unused quota later periods may use; never above the quota.
struct CpuMax {
  std::optional<Usec> quota;
  Usec period{100'000};
  std::optional<Usec> burst{};  // none: unknown, or the kernel (before 5.14) has no such file
  bool operator==(const CpuMax&) const = default;
};
inline constexpr Usec kCpuQuotaMin{1'000};
inline constexpr Usec kCpuPeriodMin{1'000};
inline constexpr Usec kCpuPeriodMax{1'000'000};

// memory.high and memory.max. No bytes = "max". The kernel rounds down to pages.
struct MemoryLimit {
  std::optional<Bytes> bytes;
  bool operator==(const MemoryLimit&) const = default;
};

// cpu.weight: share of the CPU time that siblings compete for. The kernel accepts 1 to 10000; an idle cgroup
// (cpu.idle) shows 0.
struct CpuWeight {
  std::uint32_t weight = 100;
  bool operator==(const CpuWeight&) const = default;
};
inline constexpr std::uint32_t kCpuWeightMin = 1, kCpuWeightMax = 10'000;

enum class Knob : std::uint8_t { cpu_max, memory_high, cpu_weight };
inline constexpr std::array kKnobs{Knob::cpu_max, Knob::memory_high, Knob::cpu_weight};
constexpr std::string_view file_name(Knob knob) {
  switch (knob) {
    case Knob::cpu_max:
      return "cpu.max";
    case Knob::memory_high:
      return "memory.high";
    case Knob::cpu_weight:
      return "cpu.weight";
  }
  return "unknown";
}

using KnobValue = std::variant<CpuMax, MemoryLimit, CpuWeight>;
// The knob of a value: each knob has its own type.
constexpr Knob knob_of(const KnobValue& value) {
  return kKnobs[value.index()];
}

// cpu.stat. The bandwidth part exists only if the cpu controller is enabled.
struct CpuUsage {
  Usec usage{};
  Usec user{};
  Usec system{};
  bool operator==(const CpuUsage&) const = default;
};
struct CpuBandwidth {
  std::uint64_t nr_periods = 0;
  std::uint64_t nr_throttled = 0;
  Usec throttled{};  // summed over CPUs: two throttled run queues count twice
  bool operator==(const CpuBandwidth&) const = default;
};

// The totals of {cpu,memory,io}.pressure. Averages such as avg10 can be computed from two samples.
struct PressureTotals {
  Usec some{};
  Usec full{};
  bool operator==(const PressureTotals&) const = default;
};

// The parts of memory.stat that the governor uses.
struct MemoryStat {
  Bytes anon = 0;
  Bytes file = 0;
  Bytes unreclaimable = 0;  // kernel memory that reclaim cannot free, plus unevictable pages
  std::uint64_t workingset_refault_anon = 0;
  std::uint64_t workingset_refault_file = 0;
  std::uint64_t pgscan = 0;
  std::uint64_t pgsteal = 0;
  Bytes shmem = 0;  // tmpfs and shared memory: part of `file`, but only swap can free it
  bool operator==(const MemoryStat&) const = default;
};

// memory.events
struct MemoryEvents {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  std::uint64_t max = 0;
  std::uint64_t oom = 0;
  std::uint64_t oom_kill = 0;
  bool operator==(const MemoryEvents&) const = default;
};

// The types below are in no file. The kernel programs count them for each governed cgroup. Totals never fall
// while the cgroup exists.

// Wall time in which at least one run queue of the cgroup was throttled because its quota was used up.
struct ThrottleTotals {
  std::uint64_t count = 0;          // throttle onsets: from no throttled run queue to one
  Usec stopped{};                   // includes the current stretch
  std::uint64_t stopped_tasks = 0;  // runnable tasks that the onsets stopped, summed
  bool operator==(const ThrottleTotals&) const = default;
};

// Time runnable but not running, from the scheduler's accounting of each switch; includes throttled time.
struct RunQueueWait {
  static constexpr std::size_t kBuckets = 24;
  Usec total{};
  std::array<std::uint64_t, kBuckets> log2_usec{};  // waits of [2^i, 2^(i+1)) usec; the last bucket is open
  bool operator==(const RunQueueWait&) const = default;
};

// `stalled`: time that tasks spent in direct reclaim, refaults or compaction, summed over tasks.
// `high_throttled`: the part of it slept as penalty for exceeding memory.high; reclaim at memory.high is in
// `stalled` only.
struct MemoryStallTotals {
  Usec stalled{};
  Usec high_throttled{};
  bool operator==(const MemoryStallTotals&) const = default;
};

// The cgroup's TCP sockets, in bytes of payload. `sockets`, `unread` and `unsent` are current values, the
// rest are totals.
struct SocketFlow {
  std::uint32_t sockets = 0;
  Bytes received = 0;  // arrived in order, read or not
  Bytes sent = 0;      // passed to the kernel by the task
  Bytes unread = 0;    // arrived, not read by the task
  Bytes unsent = 0;    // passed to the kernel, not acknowledged by the peer
  Usec zero_window{};  // socket time with a closed receive window: senders held back by this task
  MonotonicTime at{};  // when its sockets were visited, if not with the rest of the sample
  bool operator==(const SocketFlow&) const = default;
};

}  // namespace sluice

template <>
struct std::hash<sluice::CgroupId> {
  std::size_t operator()(const sluice::CgroupId& id) const noexcept {
    return std::hash<std::uint64_t>{}(id.value);
  }
};
