// External writers of governed knobs. Private to this folder.
#pragma once

#include <memory>

#include "bpf/loader/counting.hpp"
#include "bpf/loader/event_ring.hpp"
#include "bpf/wire/writer.h"

struct writer_bpf;

namespace sluice::bpf {

class WriterWatch : public Counting {
 public:
  static tl::expected<std::unique_ptr<WriterWatch>, Error> open(const Options& options,
                                                                const GovernedSet& governed,
                                                                const EventRing& ring);
  ~WriterWatch() override;

  void restart(GovernedSet::Member member) override;
  void fill(sluice_counters&) override {}
  Swallowed swallowed() const override;
  bpf_object* object() const override;

 private:
  struct SkeletonDeleter {
    void operator()(writer_bpf* skeleton) const;
  };
  WriterWatch() = default;

  std::unique_ptr<writer_bpf, SkeletonDeleter> skeleton_;
  Mapping slots_;
  Link link_;
};

}  // namespace sluice::bpf
