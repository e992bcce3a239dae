// What it costs to sample every cgroup of a field once, in three ways.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "tests/bench/signals/field.hpp"

namespace sluice::bench_signals {

struct Costs {
  std::size_t cgroups = 0;
  double walk_ns = 0;  // all of them, once; the median of the rounds, as the two below
  double open_read_ns = 0;
  double pread_ns = 0;

  double per_sample_ns() const { return walk_ns / static_cast<double>(cgroups); }
  double open_read_ratio() const { return open_read_ns / walk_ns; }
  double pread_ratio() const { return pread_ns / walk_ns; }
};

// The walk includes all that userspace does until a record is finished; the files are read, not even parsed.
// Throws with the cause.
Costs measure(const Field& field, int rounds);

// The slope of log(cost) over log(cgroups), by least squares: 1 is linear. Needs two counts.
double growth_exponent(const std::vector<Costs>& all);
double steepest_exponent(const std::vector<Costs>& all);  // from one count to the next

// A sentence for each goal: met or missed, with the figure.
struct Goal {
  std::string name;
  double measured;
  double wanted;
  bool at_least;  // else at most
  bool met() const { return at_least ? measured >= wanted : measured <= wanted; }
};
std::vector<Goal> goals_of(const std::vector<Costs>& all);

}  // namespace sluice::bench_signals
