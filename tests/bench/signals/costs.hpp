// The cost of sampling every cgroup of a field once, in three ways.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "tests/bench/signals/field.hpp"

namespace sluice::bench_signals {

struct Costs {
  std::size_t cgroups = 0;
  double walk_ns = 0;  // all cgroups once; median of the rounds, like the two below
  double open_read_ns = 0;
  double pread_ns = 0;

  double per_sample_ns() const { return walk_ns / static_cast<double>(cgroups); }
  double open_read_ratio() const { return open_read_ns / walk_ns; }
  double pread_ratio() const { return pread_ns / walk_ns; }
};

// The walk includes everything that userspace does to complete a record. The files are read but not parsed.
// Throws with the cause.
// Throws with the cause.
Costs measure(const Field& field, int rounds);

// The slope of log(cost) over log(cgroups), by least squares: 1 is linear. Needs two counts.
double growth_exponent(const std::vector<Costs>& all);
double steepest_exponent(const std::vector<Costs>& all);  // largest slope between two successive counts

// One sentence per goal: met or missed, with the figure.
struct Goal {
  std::string name;
  double measured;
  double wanted;
  bool at_least;  // false: at most
  bool met() const { return at_least ? measured >= wanted : measured <= wanted; }
};
std::vector<Goal> goals_of(const std::vector<Costs>& all);

}  // namespace sluice::bench_signals
