// Tasks for which quotas are often wrong: ours with and without what their owner could tell, and the peers at
// their published defaults. A deadline of one second, sixty writes a minute.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "tests/bench/study.hpp"

namespace sluice::bench {

struct ShapeLine {
  std::string shape;
  std::string policy;  // "ours", "ours, cpu.max = 1", or a peer
  std::string visibility;
  double quota = 0, q10 = 0;  // geometric means of the ratio to usage
  double worst_late = 0;      // above the cap's late share, of the worst trace
  double writes_per_minute = 0;
  std::size_t writes_worst_minute = 0, violations = 0;
};

std::vector<ShapeLine> run_shapes(const std::vector<Trace>& traces, const StudyOptions& options);
void print_shapes(std::FILE* out, const std::vector<ShapeLine>& lines);
std::string shapes_json(const std::vector<ShapeLine>& lines);

}  // namespace sluice::bench
