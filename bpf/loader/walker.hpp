// The cgroup iterator with its map: one walk() fills the records. Private to this folder.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "bpf/loader/fresh.hpp"
#include "bpf/loader/libbpf.hpp"
#include "bpf/loader/shortfall.hpp"
#include "bpf/loader/walk_layout.hpp"

struct walk_bpf;

namespace sluice::bpf {

class Walker {
 public:
  // `lacks` receives a sentence if the walk works, but something is missing.
  static tl::expected<std::unique_ptr<Walker>, Error> open(const Options& options, const KernelFacts& facts,
                                                           Shortfall& lacks);
  ~Walker();

  tl::expected<std::span<const sluice_record>, Error> walk();
  std::uint64_t reloads() const { return reloads_; }
  void append_programs(std::vector<Program>& programs) const;  // includes what ran only at start

 private:
  struct SkeletonDeleter {
    void operator()(walk_bpf* skeleton) const;
  };

  Walker(const Options& options, const KernelFacts& facts);
  tl::expected<void, Error> load(std::uint32_t capacity, bool with_pressure);
  tl::expected<std::uint64_t, Error> run();  // one pass; returns the number of cgroups

  KernelFacts facts_;
  std::optional<StatLayout> layout_;
  std::vector<Program> programs_at_start_;
  int root_fd_;
  std::uint32_t cpus_;
  std::size_t tail_bytes_;
  std::uint32_t capacity_ = 0;
  bool with_pressure_ = true;
  std::uint64_t reloads_ = 0;

  std::unique_ptr<walk_bpf, SkeletonDeleter> skeleton_;
  Mapping records_;  // completed in place
  Mapping tails_;
  Link link_;
  Freshener freshener_;
};

}  // namespace sluice::bpf
