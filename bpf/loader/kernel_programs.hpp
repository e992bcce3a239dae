// What the daemon asks of loaded programs. Source is the real set; tests have others. One thread at a time.
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
  std::string sentence;  // what was tried, what the kernel or libbpf said
  int os_error = 0;      // errno, or 0
};

// Whether what failed so may work later. Not what the kernel does not have, the verifier rejects or this
// process may not do: that is the same a minute later.
bool may_pass(int os_error);

struct Stats {
  std::uint64_t walks = 0;
  std::uint64_t walk_ns = 0;      // the last walk, by the clock, userspace part included
  std::uint64_t cgroups = 0;      // met by the last walk
  std::uint64_t reloads = 0;      // walks that met more cgroups than the map held, and were repeated
  std::uint64_t throttles = 0;    // of governed cgroups, since the programs were attached
  std::uint64_t events = 0;       // delivered
  std::uint64_t suppressed = 0;   // swallowed by the rate limit
  std::uint64_t lost_events = 0;  // the ring was full
  std::uint64_t flow_passes = 0;  // over the TCP sockets
  std::uint64_t flow_pass_ns = 0;
  std::uint64_t flow_sockets = 0;  // met by the last pass, anybody's
  std::uint64_t flow_lost = 0;     // sockets whose totals could not be followed, for want of memory
};

class KernelPrograms {
 public:
  virtual ~KernelPrograms() = default;

  virtual bool has_iterator() const = 0;
  virtual bool has_throttle() const = 0;
  virtual std::vector<std::string> capabilities()
      const = 0;                                   // "bpf-iterator", "bpf-flow", ...: what is loaded
  virtual const std::string& why_not() const = 0;  // sentences about what is missing; empty when nothing is

  // Something is missing that failed in a way that may pass. mend() tries that again, and nothing else; true:
  // more is loaded than before, so events_fd() may be another, and the governed set is to be told again.
  virtual bool incomplete() const = 0;
  virtual bool mend() = 0;

  // One walk: every cgroup, parents before children. The span is good until the next read().
  virtual tl::expected<std::span<const sluice_record>, Error> read() = 0;

  // Readable when events wait; -1 when no program has any. Level-triggered.
  virtual int events_fd() const = 0;
  using EventHandler = std::function<void(const sluice_event&)>;
  using WriteHandler = std::function<void(const sluice_write_event&)>;
  virtual tl::expected<std::size_t, Error> drain(const EventHandler& events, const WriteHandler& writes) = 0;

  // What was counted for each governed cgroup, by cgroup id; at each tick, for it visits the sockets as well.
  // A program that fails is dropped, and why_not() says so. The span is good until the next counters().
  virtual std::span<const sluice_counters> counters() = 0;

  // The last moment, up to `at_ktime_ns`, with no thread of a governed cgroup runnable, after at least
  // SLUICE_IDLE_MIN_NS of it; 0: not known. From mapped memory, for the time of an event that was just
  // drained: who woke at that time, and has not run yet, ended a stretch then.
  virtual std::uint64_t idle_until(std::uint64_t cgroup_id, std::uint64_t at_ktime_ns) const = 0;
  // Threads of a governed cgroup that run, or want to and have run since they woke; 0: not known. From mapped
  // memory.
  virtual std::uint32_t awake_threads(std::uint64_t cgroup_id) const = 0;

  // Only these cgroups emit events and are counted for, with what happens in their descendants. Replaces the
  // earlier set; a cgroup that stays keeps its rate limit and its counters.
  virtual tl::expected<void, Error> set_governed(std::span<const std::uint64_t> cgroup_ids) = 0;

  virtual Stats stats() const = 0;
};

}  // namespace sluice::bpf
