// The same for machines, and as a picture. Each returns what could not be done, or nothing.
#pragma once

#include <string>

#include "tests/bench/summary.hpp"

namespace sluice::bench {

std::string to_json(const std::vector<Trace>& traces, const std::vector<Row>& rows,
                    const std::vector<Line>& lines, const std::vector<Goal>& goals,
                    const StudyOptions& options);
// One panel a deadline: how much each policy takes against how much neighbours must leave free.
std::string to_svg(const std::vector<Line>& lines);

}  // namespace sluice::bench
