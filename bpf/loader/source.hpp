// Loads the programs, walks the cgroups, hands over events and counters. Owns every kernel object it makes;
// nothing is pinned, so all of it goes away with the process. One thread at a time.
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
  std::string sentence;  // what was tried, what the kernel or libbpf said
  int os_error = 0;      // errno, or 0
};

struct Options {
  bool iterator = true;
  bool throttle = true;
  bool flow = true;                      // the TCP sockets of governed cgroups
  bool run_queue = true;                 // how long their tasks wait for a CPU, and when none last did
  bool memory_stall = true;              // and for memory
  bool writer = true;                    // who else writes their knobs
  bool own_writes = false;               // reports this process's writes too
  int root_fd = -1;                      // directory of the cgroup to walk below; -1 = the whole hierarchy
  std::uint32_t record_capacity = 1024;  // grows by itself when a walk meets more cgroups
  std::uint32_t governed_capacity = 4096;
  std::uint32_t ring_bytes = 1u << 18;  // power of two, at least a page
  // At most one event for each cgroup in this time; the first always passes. Zero: every throttle.
  std::chrono::nanoseconds event_interval{std::chrono::milliseconds{5}};
  // Of one CPU's time, for passes over the sockets: where they are many, passes are fewer.
  double flow_share = 0.02;
};

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

// A loaded program, as the kernel sees it.
struct Program {
  std::string name;
  std::uint32_t verified_insns = 0;  // how much the verifier checked; 0: this kernel does not say
  std::uint32_t translated_bytes = 0;
};

class Source {
 public:
  // An error only when nothing at all could be loaded. One of the two missing: see why_not().
  static tl::expected<Source, Error> open(const Options& options);

  Source(Source&&) noexcept;
  Source& operator=(Source&&) noexcept;
  ~Source();

  bool has_iterator() const;
  bool has_throttle() const;
  bool has_flow() const;
  bool has_writer() const;
  std::vector<std::string> capabilities() const;  // "bpf-iterator", "bpf-flow", ...: what is loaded
  std::vector<Program> programs() const;
  const std::string& why_not() const;  // sentences about what is missing; empty when nothing is
  const KernelFacts& facts() const;

  // One walk: every cgroup, parents before children. The span is good until the next read().
  tl::expected<std::span<const sluice_record>, Error> read();

  // Readable when events wait; -1 when no program has any. Level-triggered.
  int events_fd() const;
  using EventHandler = std::function<void(const sluice_event&)>;
  using WriteHandler = std::function<void(const sluice_write_event&)>;
  tl::expected<std::size_t, Error> drain(const EventHandler& events, const WriteHandler& writes = {});

  // What was counted for each governed cgroup, by cgroup id; at each tick, for it visits the sockets as well.
  // A program that fails is dropped, and why_not() says so. The span is good until the next counters().
  std::span<const sluice_counters> counters();

  // The last moment, up to `at_ktime_ns`, with no thread of a governed cgroup runnable, after at least
  // SLUICE_IDLE_MIN_NS of it; 0: not known. From mapped memory, for the time of an event that was just
  // drained: who woke at that time, and has not run yet, ended a stretch then.
  std::uint64_t idle_until(std::uint64_t cgroup_id, std::uint64_t at_ktime_ns) const;
  // Threads of a governed cgroup that run, or want to and have run since they woke; 0: not known. From mapped
  // memory.
  std::uint32_t awake_threads(std::uint64_t cgroup_id) const;

  // Only these cgroups emit events and are counted for, with what happens in their descendants. Replaces the
  // earlier set; a cgroup that stays keeps its rate limit and its counters.
  tl::expected<void, Error> set_governed(std::span<const std::uint64_t> cgroup_ids);

  Stats stats() const;

 private:
  struct Impl;
  explicit Source(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::bpf
