// The sockets of governed cgroups: passes over them, and their totals. Private to this folder.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "bpf/loader/counting.hpp"
#include "bpf/loader/shortfall.hpp"
#include "bpf/wire/flow.h"

struct flow_bpf;

namespace sluice::bpf {

class FlowWatch : public Counting {
 public:
  // `lacks` receives a sentence for each facility that is missing.
  static tl::expected<std::unique_ptr<FlowWatch>, Error> open(const Options& options, const EventFacts& facts,
                                                              const GovernedSet& governed, Shortfall& lacks);
  ~FlowWatch() override;

  void restart(GovernedSet::Member member) override;
  // Visits every socket if a pass is due. Passes use at most a share of one CPU's time.
  tl::expected<void, Error> pass(std::span<const GovernedSet::Member> members);
  void fill(sluice_counters& counters) override;

  std::uint64_t passes() const { return passes_; }
  std::uint64_t pass_ns() const { return pass_ns_; }
  std::uint64_t sockets_met() const;
  std::uint64_t sockets_lost() const;
  bpf_object* object() const override;

 private:
  struct SkeletonDeleter {
    void operator()(flow_bpf* skeleton) const;
  };
  explicit FlowWatch(double share) : share_(share) {}
  sluice_flow_slot& slot(std::uint32_t index);
  tl::expected<void, Error> run(bpf_link* iterator, const char* what) const;

  double share_;
  std::unique_ptr<flow_bpf, SkeletonDeleter> skeleton_;
  Mapping slots_;
  Link state_link_, accept_link_, sockets_link_, tasks_link_;
  std::uint64_t passes_ = 0, pass_ns_ = 0, due_ns_ = 0, look_due_ns_ = 0;
  bool any_restarted_ = false;
};

}  // namespace sluice::bpf
