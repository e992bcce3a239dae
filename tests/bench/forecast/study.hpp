// A load that repeats itself: each trace three times over, of which only the last is measured, ours with the
// forecast off and on. The season is the trace's length.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "tests/bench/study.hpp"

namespace sluice::bench {

inline constexpr std::size_t kFewestSeasonSeconds = 600;  // the configuration's least

struct ForecastRow {
  std::string trace;  // empty: the geometric mean of quota and q10 of all, the mean of the rest
  std::string visibility;
  std::uint32_t budget = 0;
  config::ForecastMode mode = config::ForecastMode::off;
  double quota = 0, q10 = 0;  // over usage
  double late_share = 0, stall_share = 0, delay_p99_s = 0, writes_per_minute = 0;
  std::size_t writes_worst_minute = 0, violations = 0;
};

// By trace, then by visibility, budget and mode; at the end of each the lines over all traces. Traces shorter
// than a season can be are named in `skipped`.
std::vector<ForecastRow> run_forecasts(const std::vector<Trace>& traces, const StudyOptions& options,
                                       std::vector<std::string>& skipped);
void print_forecasts(std::FILE* out, const std::vector<ForecastRow>& rows);
std::string forecasts_json(const std::vector<ForecastRow>& rows);

}  // namespace sluice::bench
