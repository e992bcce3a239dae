// The same for machines, and as a picture.
#pragma once

#include <string>

#include "tests/bench/json_text.hpp"
#include "tests/bench/summary.hpp"

namespace sluice::bench {

JsonObject policy_json(const std::vector<Trace>& traces, const std::vector<Row>& rows,
                       const std::vector<Line>& lines, const std::vector<Goal>& goals,
                       const StudyOptions& options);
std::string goals_json(const std::vector<Goal>& goals);
// One panel a deadline: how much each policy takes against how much neighbours must leave free.
std::string to_svg(const std::vector<Line>& lines);

}  // namespace sluice::bench
