// Interface of the programs that count for governed cgroups. Private to this folder.
#pragma once

#include "bpf/loader/governed_set.hpp"
#include "bpf/wire/counters.h"

namespace sluice::bpf {

// Events that did not reach the ring.
struct Swallowed {
  std::uint64_t suppressed = 0;  // by the rate limit
  std::uint64_t lost = 0;        // the ring was full
};

class Counting {
 public:
  Counting() = default;
  Counting(const Counting&) = delete;
  Counting& operator=(const Counting&) = delete;
  virtual ~Counting() = default;

  virtual void restart(GovernedSet::Member member) = 0;  // the cgroup is new in its slot
  // Fills its part of `counters`, whose slot is set, and the valid bits of what it knows.
  virtual void fill(sluice_counters& counters) = 0;
  virtual Swallowed swallowed() const { return {}; }
  virtual bpf_object* object() const = 0;
};

}  // namespace sluice::bpf
