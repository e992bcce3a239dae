// Ow, the oracle with an equal rate of writes. It knows the future and pays a price for each write; the price
// is chosen so that it writes as often as we may. It is a reference, not a policy.
//
// Fluid queue in cells of time. A(k) is all work that can run by the end of cell k: the arrivals of the cells
// before it. L(k) is the work due by then. A quota q over the cells (i, j] that starts with S(i) served is in
// time if and only if, for each m in it,
//     S(i) + q (m - i) >= L(m)    and    A(l) + q (m - l) >= L(m)  for each l where the queue ran empty.
// So the smallest q of a stretch is a maximum of slopes, found for all stretches by
//     G(i, j) = max(G(i, j-1), G(i+1, j), (L(j) - A(i)) / (j - i)).
// Dynamic programming over the ends finds the cheapest chain of stretches, with three states per cell: how
// much of the permitted backlog is left (nothing, half, all). Stretches are at most a minute long. In the
// fluid queue it is never late. In the model, where records are served on whole cores, the caller verifies it
// and lets it aim earlier. O(n) for a given deadline and price; the price is found by bisection.
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
  std::vector<double> cpu_s;  // CPU seconds of the records that arrived in each cell
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
