// Values of the cgroup-v2 filesystem, as the kernel's Documentation/admin-guide/cgroup-v2.rst and
// Documentation/accounting/psi.rst name them. Plain data: no I/O, no policy, usable from any thread.
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

// The inode number of the cgroup's directory. Names are recycled; ids are not while the host is up.
struct CgroupId {
  std::uint64_t value = 0;
  auto operator<=>(const CgroupId&) const = default;
};

using Bytes = std::uint64_t;

// cpu.max: "$QUOTA $PERIOD" in microseconds. No quota = "max". Kernel: 1 ms <= period <= 1 s, quota >= 1 ms.
// With it cpu.max.burst, how much unused quota later periods may use: at most the quota, at every moment.
struct CpuMax {
  std::optional<Usec> quota;
  Usec period{100'000};
  std::optional<Usec> burst{};  // none: not known, or the kernel (before 5.14) has no such file
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

// cpu.weight: of the CPU time that siblings contend for. The kernel takes 1 to 10000; an idle cgroup
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
// Whose value it is: each knob has its own type.
constexpr Knob knob_of(const KnobValue& value) {
  return kKnobs[value.index()];
}

// cpu.stat. The bandwidth half exists only where the cpu controller is enabled.
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

// {cpu,memory,io}.pressure, the running totals; avg10 and its kin are derived by the reader of two samples.
struct PressureTotals {
  Usec some{};
  Usec full{};
  bool operator==(const PressureTotals&) const = default;
};

// memory.stat, what the governor uses of it.
struct MemoryStat {
  Bytes anon = 0;
  Bytes file = 0;
  Bytes unreclaimable = 0;  // kernel memory that reclaim cannot free, plus unevictable pages
  std::uint64_t workingset_refault_anon = 0;
  std::uint64_t workingset_refault_file = 0;
  std::uint64_t pgscan = 0;
  std::uint64_t pgsteal = 0;
  Bytes shmem = 0;  // tmpfs and shared memory: counted in `file`, but only swap can free it
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

// In no file: counted by the kernel programs for each governed cgroup. Totals only rise while it
// lives.

// Wall time during which at least one of its run queues stood still because the quota was spent.
struct ThrottleTotals {
  std::uint64_t count = 0;          // onsets: from none stopped to one
  Usec stopped{};                   // the stretch that goes on now included
  std::uint64_t stopped_tasks = 0;  // runnable tasks that the onsets stopped, summed over them
  bool operator==(const ThrottleTotals&) const = default;
};

// Runnable and not running, from the scheduler's own account of each switch; includes throttled time.
struct RunQueueWait {
  static constexpr std::size_t kBuckets = 24;
  Usec total{};
  std::array<std::uint64_t, kBuckets> log2_usec{};  // waits of [2^i, 2^(i+1)) usec; the last takes all above
  bool operator==(const RunQueueWait&) const = default;
};

// Time its tasks spent in direct reclaim, refault or compaction, summed over tasks; and the part of it that
// was the sleep imposed for being above memory.high (the reclaim imposed for it is in `stalled` alone).
struct MemoryStallTotals {
  Usec stalled{};
  Usec high_throttled{};
  bool operator==(const MemoryStallTotals&) const = default;
};

// Its TCP sockets. Bytes of payload. `sockets` and the waiting bytes are now, the rest are totals.
struct SocketFlow {
  std::uint32_t sockets = 0;
  Bytes received = 0;  // arrived in order, read or not
  Bytes sent = 0;      // handed to the kernel by the task
  Bytes unread = 0;    // arrived, and not read by the task
  Bytes unsent = 0;    // handed over, and not acknowledged by the peer
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
