// Loads the programs, walks the cgroups, hands over events and counters. Owns every kernel object it makes;
// nothing is pinned, so all of it goes away with the process. One thread at a time.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "bpf/loader/facts.hpp"
#include "bpf/loader/kernel_programs.hpp"

namespace sluice::bpf {

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

// A loaded program, as the kernel sees it.
struct Program {
  std::string name;
  std::uint32_t verified_insns = 0;  // how much the verifier checked; 0: this kernel does not say
  std::uint32_t translated_bytes = 0;
};

class Source final : public KernelPrograms {
 public:
  // An error only when nothing at all could be loaded. Something missing: see why_not(). The error's errno is
  // one that may pass if there was any.
  static tl::expected<Source, Error> open(const Options& options);

  Source(Source&&) noexcept;
  Source& operator=(Source&&) noexcept;
  ~Source() override;

  bool has_iterator() const override;
  bool has_throttle() const override;
  bool has_flow() const;
  bool has_writer() const;
  std::vector<std::string> capabilities() const override;
  std::vector<Program> programs() const;
  const std::string& why_not() const override;
  const KernelFacts& facts() const;

  bool incomplete() const override;
  bool mend() override;

  tl::expected<std::span<const sluice_record>, Error> read() override;
  int events_fd() const override;
  tl::expected<std::size_t, Error> drain(const EventHandler& events,
                                         const WriteHandler& writes = {}) override;
  std::span<const sluice_counters> counters() override;
  std::uint64_t idle_until(std::uint64_t cgroup_id, std::uint64_t at_ktime_ns) const override;
  std::uint32_t awake_threads(std::uint64_t cgroup_id) const override;
  tl::expected<void, Error> set_governed(std::span<const std::uint64_t> cgroup_ids) override;
  Stats stats() const override;

 private:
  struct Impl;
  explicit Source(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::bpf
