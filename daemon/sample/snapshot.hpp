// What the kernel shows, with the time it was read. Facts only: no rates, nothing derived. An absent optional
// means "not read or not reliable this time", never zero.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cgroups/types.hpp"

namespace sluice {

enum class SampleSource : std::uint8_t { files, bpf };

// The files whose numbers are facts of a sample; knobs are not among them.
enum class StatFile : std::uint8_t {
  cpu_stat,
  cpu_pressure,
  memory_current,
  memory_events,
  memory_pressure,
  memory_stat,
  memory_swap,
  io_pressure,
};
inline constexpr std::uint32_t bit(StatFile file) {
  return 1U << static_cast<unsigned>(file);
}

// The smallest cpu.max above a task. It bounds the task whatever its own quota, and is shared with its
// siblings.
struct AncestorCpu {
  double max_cores = 0;
  std::string path;  // below the cgroup root, raw bytes
  // Between the last two readings, about a second apart.
  std::uint64_t periods = 0, throttled_periods = 0;
  bool operator==(const AncestorCpu&) const = default;
};

struct Sample {
  CgroupId id;
  MonotonicTime read_at{};
  SampleSource source = SampleSource::files;

  std::optional<CpuUsage> cpu;
  std::optional<CpuBandwidth> bandwidth;
  std::optional<PressureTotals> cpu_pressure;
  std::optional<PressureTotals> memory_pressure;
  std::optional<Bytes> memory_current;
  std::optional<MemoryStat> memory_stat;
  std::optional<MemoryEvents> memory_events;
  std::optional<Bytes> swap_free;  // ancestors' limits included; 0: the cgroup cannot swap
  std::optional<PressureTotals> io_pressure;

  // From kernel programs only.
  std::optional<std::uint32_t> runnable_threads;  // running or runnable, throttled ones included
  std::optional<ThrottleTotals> throttle;
  std::optional<RunQueueWait> run_queue;
  std::optional<MonotonicTime> idle_until;  // the last moment with nothing to run for 2 ms or more
  std::optional<MemoryStallTotals> memory_stall;
  std::optional<SocketFlow> flow;  // present but empty: it has no sockets; absent: unknown

  // Values of the knobs, to detect external writes.
  std::optional<CpuMax> cpu_max;
  std::optional<MemoryLimit> memory_high;
  std::optional<MemoryLimit> memory_max;
  std::optional<CpuWeight> cpu_weight;  // read about once a second, otherwise absent
  // True: the file does not exist, because its controller is off. False without a value: it could not be
  // read.
  bool cpu_max_absent = false, memory_high_absent = false, cpu_weight_absent = false;

  // Limits of ancestors. None: no limit, or unknown.
  std::optional<AncestorCpu> ancestor_cpu;
  std::optional<Bytes> ancestor_memory;  // the smallest memory.high or memory.max

  bool frozen = false;  // by its own or an ancestor's cgroup.freeze: nothing in it runs

  std::uint32_t unreadable = 0;  // bits of StatFile: files that exist but could not be read or parsed
};

// The kernel throttled a cgroup on one CPU because its quota was used up. From BPF (fexit throttle_cfs_rq).
struct ThrottleEvent {
  CgroupId id;
  MonotonicTime at{};  // CLOCK_MONOTONIC, when the throttle began
  std::uint32_t cpu = 0;
  std::optional<std::uint32_t> runnable_threads{};  // at that time
  std::optional<MonotonicTime> idle_until{};        // as in Sample, at that time
};

struct NodeFacts {
  double cpu_capacity_cores = 1;
  Bytes memory_capacity = 0;
  Bytes page_bytes = 4096;  // of this kernel; memory limits are rounded down to pages
};

// CLOCK_REALTIME and the host's time zone, for schedules and seasons. The clock may be set forwards or back.
struct WallClock {
  std::chrono::seconds since_epoch{};
  std::chrono::seconds utc_offset{};  // local time less UTC, at that time
};

// The bounds that a task's schedule sets at a time; none: unchanged.
struct Scheduled {
  struct Bound {
    double cores = 0;
    std::chrono::seconds until{};  // since the epoch; the end of the window that sets the bound
    bool operator==(const Bound&) const = default;
  };
  std::optional<Bound> min, max;
  std::chrono::seconds utc_offset{};  // to show `until` in the host's local time
  bool operator==(const Scheduled&) const = default;
};

}  // namespace sluice
