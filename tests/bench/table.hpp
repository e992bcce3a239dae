// Tables for people.
#pragma once

#include <cstdio>

#include "tests/bench/study.hpp"

namespace sluice::bench {

// Every run of ours and of the oracle (with `peers`: of everybody), by trace, and geometric means.
void print_runs(std::FILE* out, const std::vector<Trace>& traces, const std::vector<Row>& rows,
                const StudyOptions& options, bool peers);

}  // namespace sluice::bench
