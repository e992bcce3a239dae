// Loads the programs, walks the cgroups, delivers events and counters. It owns all its kernel objects;
// nothing is pinned, so they end with the process. One thread at a time.
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

// A loaded program, as reported by the kernel.
struct Program {
  std::string name;
  // instructions that the verifier checked; 0: this kernel does not report them
  std::uint32_t verified_insns = 0;
  std::uint32_t translated_bytes = 0;
};

class Source final : public KernelPrograms {
 public:
  // An error only if nothing could be loaded; its errno is a temporary one if there was any. If one part is
  // missing: see why_not().
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
