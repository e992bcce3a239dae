// The set of governed cgroups for all event programs, and the slots of their counters. Private to this
// folder.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "bpf/loader/libbpf.hpp"
#include "bpf/wire/governed.h"

namespace sluice::bpf {

class GovernedSet {
 public:
  struct Member {
    std::uint64_t cgroup_id;
    std::uint32_t slot;
  };
  // Called for a cgroup that takes a slot: its counters start at 0.
  using Restart = std::function<void(Member)>;

  static tl::expected<std::unique_ptr<GovernedSet>, Error> create(std::uint32_t capacity);

  // Makes the maps of governed.bpf.h of an object that is not loaded yet refer to these. Returns 0 or -errno.
  int share_with(bpf_object* object) const;

  // Replaces the set. Remaining members keep slot and counters. A free slot stays unused as long as possible.
  tl::expected<void, Error> replace(std::span<const std::uint64_t> cgroup_ids, const Restart& restart);

  std::span<const Member> members() const { return members_; }  // by cgroup id
  std::uint32_t capacity() const { return capacity_; }

 private:
  explicit GovernedSet(std::uint32_t capacity);
  void announce();

  std::uint32_t capacity_;
  Fd governed_, known_, set_;
  Mapping set_memory_;
  std::vector<Member> members_;
  std::deque<std::uint32_t> free_;  // taken from the front, returned to the end
};

}  // namespace sluice::bpf
