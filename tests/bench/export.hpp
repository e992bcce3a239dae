// The results as JSON and as a plot.
#pragma once

#include <string>

#include "tests/bench/json_text.hpp"
#include "tests/bench/summary.hpp"

namespace sluice::bench {

JsonObject policy_json(const std::vector<Trace>& traces, const std::vector<Row>& rows,
                       const std::vector<Line>& lines, const std::vector<Goal>& goals,
                       const StudyOptions& options);
std::string goals_json(const std::vector<Goal>& goals);
// One panel per deadline: the quota of each policy against what neighbours must leave free.
std::string to_svg(const std::vector<Line>& lines);

}  // namespace sluice::bench
