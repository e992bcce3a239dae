// A load that repeats: each trace three times, of which only the last is measured, ours with the forecast off
// and on. The season is the length of the trace.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "tests/bench/study.hpp"

namespace sluice::bench {

inline constexpr std::size_t kFewestSeasonSeconds = 600;  // the configuration's minimum

struct ForecastRow {
  // empty: over all traces, the geometric mean of quota and q10, and the mean of the others
  std::string trace;
  std::string visibility;
  std::uint32_t budget = 0;
  config::ForecastMode mode = config::ForecastMode::off;
  double quota = 0, q10 = 0;  // over usage
  double late_share = 0, stall_share = 0, delay_p99_s = 0, writes_per_minute = 0;
  std::size_t writes_worst_minute = 0, violations = 0;
};

// Sorted by trace, then by visibility, budget and mode; the lines over all traces are at the end of each.
// Traces shorter than the shortest season are named in `skipped`.
std::vector<ForecastRow> run_forecasts(const std::vector<Trace>& traces, const StudyOptions& options,
                                       std::vector<std::string>& skipped);
void print_forecasts(std::FILE* out, const std::vector<ForecastRow>& rows);
std::string forecasts_json(const std::vector<ForecastRow>& rows);

}  // namespace sluice::bench
