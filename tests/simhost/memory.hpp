// The memory side of one task: what it wants resident, what reclaim may take, what that costs.
#pragma once

#include <optional>

#include "cgroups/types.hpp"
#include "tests/simhost/load.hpp"

namespace sluice::simhost {

inline constexpr double kPage = 4096;

struct MemorySpec {
  Bytes anon = 64ULL << 20;            // hot from the first moment
  std::optional<Load> anon_mib;        // instead: the level over time (leak, jump …)
  Bytes kernel = 4ULL << 20;           // unreclaimable: slab, stacks, sockets
  Bytes file_hot = 0;                  // read over and over
  Bytes file_cold = 0;                 // read once, there from the start
  double cold_growth_bytes_per_s = 0;  // a log or a sorted run being written
  Bytes file_cold_max = 1ULL << 40;
  double hot_cycle_s = 10;        // all of file_hot is touched once in this time
  double refault_usec = 80;       // a page that must come back from the disk
  Bytes churn_per_record = 4096;  // allocated and freed again
  bool swappable = false;         // whether anon may go to the node's swap
};

// What reclaim took, and what it scanned for that.
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
    double anon = 0;  // bytes to add (below 0: freed)
    double cold = 0;
    double refault = 0;  // hot file bytes that are read again
    double churn = 0;    // charged for a moment
    double total() const { return anon + cold + refault; }
  };
  // What the task wants to charge in this stretch; `grow` scales its own growth while it is stalled.
  Demand demand(double now, double elapsed, double records) const;
  void charge(const Demand& demand);
  // Coldest first: cold file, then hot file, then (with swap) anon. Frees up to `bytes`.
  Reclaimed reclaim(double bytes, double swap_free);
  void restart();  // the process died: anon gone, page cache stays

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

// The stall that the kernel puts on an allocation of `pages` while usage stays above memory.high after
// reclaim (mem_cgroup_handle_over_high): quadratic in the overage, at most 2 s a batch.
double over_high_penalty_usec(double usage, double high, double pages);

}  // namespace sluice::simhost
