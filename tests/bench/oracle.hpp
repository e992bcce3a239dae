// Ow, the equal-write-rate oracle: it knows the future, pays a price for each write, and the price is such
// that it writes as often as we may. A yardstick, not a policy.
//
// Fluid queue in cells of time. A(k) is all work that can run by the end of cell k: what arrived in the cells
// before it. L(k) is what is due by then. A quota q over the cells (i, j] that starts with S(i) served is in
// time exactly when, for each m in it,
//     S(i) + q (m - i) >= L(m)    and    A(l) + q (m - l) >= L(m)  for each l where the queue ran empty.
// So the least q of a stretch is a maximum of slopes, found for all stretches by
//     G(i, j) = max(G(i, j-1), G(i+1, j), (L(j) - A(i)) / (j - i)),
// and the cheapest chain of stretches by dynamic programming over their ends, with three states a cell: how
// much of what may be left waiting is left (nothing, half, all). Stretches are at most a minute long. Within
// the fluid queue it is never late; on the model, where records are served on whole cores, the caller
// verifies and lets it aim earlier. O(n) for a given deadline and price; the price is found by bisection.
#pragma once

#include <cstddef>
#include <vector>

namespace sluice::bench {

struct Change {
  double at_s = 0;
  double cores = 0;
};

struct ArrivedWork {
  double cell_s = 0.025;
  std::vector<double> cpu_s;  // of the records that arrived in each cell
};

struct OracleSpec {
  double deadline_s = 1;
  double writes_per_minute = 60;
  double cap_cores = 4;
  double least_cores = 0.01;
};

struct Schedule {
  std::vector<Change> changes;  // on a grid of 100 ms, the first at 0
  double mean_cores = 0;
  double writes_per_minute = 0;
};

// Work that even the cap cannot do in time is done as soon as the cap can.
Schedule oracle(const ArrivedWork& work, const OracleSpec& spec);

}  // namespace sluice::bench
