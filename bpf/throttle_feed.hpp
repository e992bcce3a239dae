// Throttle events of governed cgroups, from the ring buffer. Private to this room.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <unordered_set>
#include <vector>

#include "bpf/libbpf.hpp"
#include "bpf/throttle.h"

struct throttle_bpf;
struct ring_buffer;

namespace sluice::bpf {

class ThrottleFeed {
 public:
  static tl::expected<std::unique_ptr<ThrottleFeed>, Error> open(const Options& options);
  ~ThrottleFeed();

  int fd() const;
  tl::expected<std::size_t, Error> drain(const Source::EventHandler& handler);
  tl::expected<void, Error> set_governed(std::span<const std::uint64_t> cgroup_ids);
  sluice_throttle_counts counts() const;
  std::uint64_t delivered() const { return delivered_; }

 private:
  struct SkeletonDeleter {
    void operator()(throttle_bpf* skeleton) const;
  };
  struct RingDeleter {
    void operator()(ring_buffer* ring) const;
  };
  ThrottleFeed() = default;
  static int take(void* self, void* data, std::size_t bytes);

  std::unique_ptr<throttle_bpf, SkeletonDeleter> skeleton_;
  std::unique_ptr<ring_buffer, RingDeleter> ring_;
  Link link_;
  std::unordered_set<std::uint64_t> governed_;
  std::vector<sluice_event> taken_;
  std::uint64_t delivered_ = 0;
};

}  // namespace sluice::bpf
