// The memory of one task: what it needs resident, what reclaim can free, and the cost of that.
#pragma once

#include <optional>

#include "cgroups/types.hpp"
#include "tests/simhost/load.hpp"

namespace sluice::simhost {

inline constexpr double kPage = 4096;

struct MemorySpec {
  Bytes anon = 64ULL << 20;            // in use from the start
  std::optional<Load> anon_mib;        // replaces `anon`: the level over time (leak, jump, …)
  Bytes kernel = 4ULL << 20;           // unreclaimable: slab, stacks, sockets
  Bytes file_hot = 0;                  // read again and again
  Bytes file_cold = 0;                 // read once, present from the start
  double cold_growth_bytes_per_s = 0;  // written by a log or a sorted run
  Bytes file_cold_max = 1ULL << 40;
  double hot_cycle_s = 10;        // time in which all of file_hot is touched once
  double refault_usec = 80;       // for a page that is read back from disk
  Bytes churn_per_record = 4096;  // allocated and freed again
  bool swappable = false;         // anon may go to the node's swap
};

// The reclaimed bytes, and the pages scanned for them.
struct Reclaimed {
  double bytes = 0;
  double scanned_pages = 0;
  double stolen_pages = 0;
};

class WorkingSet {
 public:
  explicit WorkingSet(const MemorySpec& spec);
  void set_spec(const MemorySpec& spec) { spec_ = spec; }
  const MemorySpec& spec() const { return spec_; }

  struct Demand {
    double anon = 0;  // bytes to add (below 0: to free)
    double cold = 0;
    double refault = 0;  // hot file bytes that are read back
    double churn = 0;    // charged only temporarily
    double total() const { return anon + cold + refault; }
  };
  // What the task wants to charge in this interval; `grow` scales its own growth while it is stalled.
  Demand demand(double now, double elapsed, double records) const;
  void charge(const Demand& demand);
  // Frees up to `bytes`, coldest first: cold file, then hot file, then (with swap) anon.
  Reclaimed reclaim(double bytes, double swap_free);
  void restart();  // the process exited: anon is freed, page cache stays

  double anon() const { return anon_; }
  double hot() const { return hot_; }
  double cold() const { return cold_; }
  double swapped() const { return swapped_; }
  double kernel() const { return kernel_; }
  double resident() const { return anon_ + hot_ + cold_ + kernel_; }
  double reclaimable(double swap_free) const;

 private:
  MemorySpec spec_;
  double anon_ = 0;
  double hot_ = 0;
  double cold_ = 0;
  double kernel_ = 0;
  double swapped_ = 0;
};

// The delay that the kernel imposes on an allocation of `pages` while usage stays above memory.high after
// reclaim (mem_cgroup_handle_over_high): quadratic in the overage, at most 2 s per batch.
double over_high_penalty_usec(double usage, double high, double pages);

}  // namespace sluice::simhost
