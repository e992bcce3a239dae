// Tables for people.
#pragma once

#include <cstdio>

#include "tests/bench/summary.hpp"

namespace sluice::bench {

// All runs of ours and of the oracle (with `peers`: of all policies), by trace.
void print_runs(std::FILE* out, const std::vector<Trace>& traces, const std::vector<Row>& rows,
                const StudyOptions& options, bool peers);
void print_summary(std::FILE* out, const std::vector<Line>& lines, const StudyOptions& options);
void print_goals(std::FILE* out, const std::vector<Goal>& goals);

}  // namespace sluice::bench
