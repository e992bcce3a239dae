// How long tasks of governed cgroups wait for a CPU, and when none of them was last runnable. Private to this
// folder.
#pragma once

#include <cstdint>
#include <memory>

#include "bpf/loader/counting.hpp"
#include "bpf/wire/idle.h"

struct runqueue_bpf;

namespace sluice::bpf {

class RunQueueWatch : public Counting {
 public:
  static tl::expected<std::unique_ptr<RunQueueWatch>, Error> open(const GovernedSet& governed);
  ~RunQueueWatch() override;

  void restart(GovernedSet::Member member) override;
  void fill(sluice_counters& counters) override;
  bpf_object* object() const override;

  // As Source::idle_until().
  std::uint64_t idle_until(std::uint32_t slot, std::uint64_t at_ktime_ns) const;
  std::uint32_t awake_threads(std::uint32_t slot) const;

 private:
  struct SkeletonDeleter {
    void operator()(runqueue_bpf* skeleton) const;
  };
  RunQueueWatch() = default;
  std::span<sluice_run_queue_wait> stripes_of(std::uint32_t slot);

  const sluice_idle_slot& idle_slot(std::uint32_t index) const;

  std::uint32_t stripes_ = 1;
  std::unique_ptr<runqueue_bpf, SkeletonDeleter> skeleton_;
  Mapping waits_;
  Mapping idles_;
  Link link_;
};

}  // namespace sluice::bpf
