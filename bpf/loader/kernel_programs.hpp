// What the daemon asks of loaded programs. Source is the real set; tests have another one. One thread at a
// time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "bpf/wire/counters.h"
#include "bpf/wire/record.h"

namespace sluice::bpf {

struct Error {
  std::string sentence;  // what was tried, and the message of the kernel or libbpf
  int os_error = 0;      // errno, or 0
};

// Whether a call that failed with this errno may succeed later. False for what the kernel lacks, what the
// verifier rejects and what this process is not permitted: that is the same a minute later.
bool may_pass(int os_error);

struct Stats {
  std::uint64_t walks = 0;
  std::uint64_t walk_ns = 0;      // wall time of the last walk, including userspace
  std::uint64_t cgroups = 0;      // found by the last walk
  std::uint64_t reloads = 0;      // walks that were repeated because the map was too small
  std::uint64_t throttles = 0;    // of governed cgroups, since the programs were attached
  std::uint64_t events = 0;       // delivered
  std::uint64_t suppressed = 0;   // dropped by the rate limit
  std::uint64_t lost_events = 0;  // the ring was full
  std::uint64_t flow_passes = 0;  // over the TCP sockets
  std::uint64_t flow_pass_ns = 0;
  std::uint64_t flow_sockets = 0;  // seen by the last pass, of all processes
  std::uint64_t flow_lost = 0;     // sockets whose totals could not be followed, for lack of memory
};

class KernelPrograms {
 public:
  virtual ~KernelPrograms() = default;

  virtual bool has_iterator() const = 0;
  virtual bool has_throttle() const = 0;
  // The names of what is loaded: "bpf-iterator", "bpf-flow", ...
  virtual std::vector<std::string> capabilities() const = 0;
  // Sentences about missing parts; empty: none is missing.
  virtual const std::string& why_not() const = 0;

  // True if a part is missing whose failure may pass. mend() tries only such parts again. It returns true if
  // more is loaded than before: events_fd() may have changed then, and set_governed() must be called again.
  virtual bool incomplete() const = 0;
  virtual bool mend() = 0;

  // One walk: every cgroup, parents before children. The span is valid until the next read().
  virtual tl::expected<std::span<const sluice_record>, Error> read() = 0;

  // Readable while events are waiting; -1 if no program delivers events. Level-triggered.
  virtual int events_fd() const = 0;
  using EventHandler = std::function<void(const sluice_event&)>;
  using WriteHandler = std::function<void(const sluice_write_event&)>;
  virtual tl::expected<std::size_t, Error> drain(const EventHandler& events, const WriteHandler& writes) = 0;

  // The counters of each governed cgroup, by cgroup id. Call it at each tick, because it also visits the
  // sockets. A program that fails is removed, and why_not() reports it. The span is valid until the next
  // counters().
  virtual std::span<const sluice_counters> counters() = 0;

  // The last moment, up to `at_ktime_ns`, with no thread of a governed cgroup runnable for at least
  // SLUICE_IDLE_MIN_NS; 0: unknown. Reads mapped memory. Intended for the time of an event that was just
  // drained: a thread that woke then and has not run yet ends the stretch at that time.
  virtual std::uint64_t idle_until(std::uint64_t cgroup_id, std::uint64_t at_ktime_ns) const = 0;
  // Threads of a governed cgroup that run, or are runnable and have run since they woke; 0: unknown. Reads
  // mapped memory.
  virtual std::uint32_t awake_threads(std::uint64_t cgroup_id) const = 0;

  // Only these cgroups and their descendants emit events and are counted. Replaces the earlier set; a cgroup
  // that stays keeps its rate limit and its counters.
  virtual tl::expected<void, Error> set_governed(std::span<const std::uint64_t> cgroup_ids) = 0;

  virtual Stats stats() const = 0;
};

}  // namespace sluice::bpf
