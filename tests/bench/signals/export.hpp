// The results as JSON and as a plot.
#pragma once

#include <string>
#include <vector>

#include "tests/bench/signals/costs.hpp"

namespace sluice::bench_signals {

std::string to_json(const std::vector<Costs>& all);
std::string to_svg(const std::vector<Costs>& all);  // cost of one cgroup's sample over the number of cgroups

}  // namespace sluice::bench_signals
