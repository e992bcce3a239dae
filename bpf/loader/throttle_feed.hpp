// Throttling of governed cgroups: events and durations. Private to this folder.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "bpf/loader/counting.hpp"
#include "bpf/loader/event_ring.hpp"
#include "bpf/loader/shortfall.hpp"
#include "bpf/wire/throttle.h"

struct throttle_bpf;

namespace sluice::bpf {

class ThrottleFeed : public Counting {
 public:
  // `lacks` receives a sentence if events work but durations are unknown.
  static tl::expected<std::unique_ptr<ThrottleFeed>, Error> open(const Options& options,
                                                                 const EventFacts& facts,
                                                                 const GovernedSet& governed,
                                                                 const EventRing& ring, Shortfall& lacks);
  ~ThrottleFeed() override;

  void restart(GovernedSet::Member member) override;
  void fill(sluice_counters& counters) override;
  bpf_object* object() const override;
  Swallowed swallowed() const override;
  std::uint64_t throttles() const;
  bool has_durations() const { return end_link_ != nullptr; }

 private:
  struct SkeletonDeleter {
    void operator()(throttle_bpf* skeleton) const;
  };
  ThrottleFeed() = default;
  sluice_throttle_slot& slot(std::uint32_t index);

  std::uint32_t cpus_ = 1;
  std::unique_ptr<throttle_bpf, SkeletonDeleter> skeleton_;
  Mapping slots_, stopped_;
  Link begin_link_, end_link_;
  std::vector<std::uint64_t> shown_ns_;  // by slot; a total never falls
};

}  // namespace sluice::bpf
