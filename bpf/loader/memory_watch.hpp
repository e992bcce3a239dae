// Memory stalls, memory.high penalties and OOM kills of governed cgroups. Private to this folder.
#pragma once

#include <memory>
#include <string>

#include "bpf/loader/counting.hpp"
#include "bpf/loader/event_ring.hpp"
#include "bpf/loader/shortfall.hpp"
#include "bpf/wire/memstall.h"

struct memstall_bpf;

namespace sluice::bpf {

class MemoryWatch : public Counting {
 public:
  // `lacks` receives a sentence for each of the three that is missing.
  static tl::expected<std::unique_ptr<MemoryWatch>, Error> open(const Options& options,
                                                                const EventFacts& facts,
                                                                const GovernedSet& governed,
                                                                const EventRing& ring, Shortfall& lacks);
  ~MemoryWatch() override;

  void restart(GovernedSet::Member member) override;
  void fill(sluice_counters& counters) override;
  Swallowed swallowed() const override;
  bpf_object* object() const override;

 private:
  struct SkeletonDeleter {
    void operator()(memstall_bpf* skeleton) const;
  };
  MemoryWatch() = default;
  sluice_stall_slot& slot(std::uint32_t index);

  std::uint32_t counted_ = 0;  // enum sluice_counted
  std::unique_ptr<memstall_bpf, SkeletonDeleter> skeleton_;
  Mapping slots_;
  Link stall_, stall_end_, penalty_, penalty_end_, oom_;
};

}  // namespace sluice::bpf
