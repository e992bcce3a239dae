// Loads the programs, walks the cgroups, delivers events and counters. It owns all its kernel objects;
// nothing is pinned, so they end with the process. One thread at a time.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <tl/expected.hpp>

#include "bpf/loader/facts.hpp"
#include "bpf/wire/counters.h"
#include "bpf/wire/record.h"

namespace sluice::bpf {

struct Error {
  std::string sentence;  // what was tried, and the message of the kernel or libbpf
  int os_error = 0;      // errno, or 0
};

struct Options {
  bool iterator = true;
  bool throttle = true;
  bool flow = true;          // the TCP sockets of governed cgroups
  bool run_queue = true;     // how long their tasks wait for a CPU, and when none last was runnable
  bool memory_stall = true;  // how long their tasks wait for memory
  bool writer = true;        // external writers of their knobs
  bool own_writes = false;   // also reports writes of this process
  int root_fd = -1;          // directory of the cgroup to walk below; -1 = the whole hierarchy
  std::uint32_t record_capacity = 1024;  // grows if a walk finds more cgroups
  std::uint32_t governed_capacity = 4096;
  std::uint32_t ring_bytes = 1u << 18;  // power of two, at least a page
  // At most one event per cgroup in this time; the first always passes. Zero: every throttle.
  std::chrono::nanoseconds event_interval{std::chrono::milliseconds{5}};
  // Share of one CPU's time for passes over the sockets. With many sockets there are fewer passes.
  double flow_share = 0.02;
};

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
  std::uint64_t flow_lost = 0;     // sockets whose totals could not be followed for lack of memory
};

// A loaded program, as reported by the kernel.
struct Program {
  std::string name;
  // instructions that the verifier checked; 0: this kernel does not report them
  std::uint32_t verified_insns = 0;
  std::uint32_t translated_bytes = 0;
};

class Source {
 public:
  // An error only if nothing could be loaded. If one part is missing: see why_not().
  static tl::expected<Source, Error> open(const Options& options);

  Source(Source&&) noexcept;
  Source& operator=(Source&&) noexcept;
  ~Source();

  bool has_iterator() const;
  bool has_throttle() const;
  bool has_flow() const;
  bool has_writer() const;
  std::vector<std::string> capabilities() const;  // names of what is loaded: "bpf-iterator", "bpf-flow", ...
  std::vector<Program> programs() const;
  const std::string& why_not() const;  // sentences about missing parts; empty: none
  const KernelFacts& facts() const;

  // One walk: every cgroup, parents before children. The span is valid until the next read().
  tl::expected<std::span<const sluice_record>, Error> read();

  // Readable while events are waiting; -1 if no program delivers events. Level-triggered.
  int events_fd() const;
  using EventHandler = std::function<void(const sluice_event&)>;
  using WriteHandler = std::function<void(const sluice_write_event&)>;
  tl::expected<std::size_t, Error> drain(const EventHandler& events, const WriteHandler& writes = {});

  // The counters of each governed cgroup, by cgroup id. Call it at each tick, because it also visits the
  // sockets. A program that fails is removed, and why_not() reports it. The span is valid until the next
  // counters().
  std::span<const sluice_counters> counters();

  // The last moment, up to `at_ktime_ns`, with no thread of a governed cgroup runnable for at least
  // SLUICE_IDLE_MIN_NS; 0: unknown. Reads mapped memory. Intended for the time of an event that was just
  // drained: a thread that woke then and has not run yet ends the stretch at that time.
  std::uint64_t idle_until(std::uint64_t cgroup_id, std::uint64_t at_ktime_ns) const;
  // Threads of a governed cgroup that run, or are runnable and have run since they woke; 0: unknown. Reads
  // mapped memory.
  std::uint32_t awake_threads(std::uint64_t cgroup_id) const;

  // Only these cgroups and their descendants emit events and are counted. Replaces the earlier set; a cgroup
  // that stays keeps its rate limit and its counters.
  tl::expected<void, Error> set_governed(std::span<const std::uint64_t> cgroup_ids);

  Stats stats() const;

 private:
  struct Impl;
  explicit Source(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::bpf
