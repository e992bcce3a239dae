// A load to judge policies with: one value a second of model time, scaled to a peak in cores.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/bench/series.hpp"

namespace sluice::bench {

struct TraceOptions {
  double speedup = 0;           // 0: 1 for series of up to 10 s a row, otherwise one row becomes one second
  double peak_cores = 3.2;      // the work of the busiest second
  std::size_t seconds = 3'600;  // a longer one is cut to this, around its busiest second
};

struct Trace {
  std::string name;
  std::vector<double> cores;  // mean work arriving in each second
  double speedup = 1;
  std::string note;  // what was done to it, for the reader of a table
};

// Those of the series that are loads. One that is too short or idle is named in `skipped`.
std::vector<Trace> load_traces(const std::vector<Series>& all, const TraceOptions& options,
                               std::vector<std::string>& skipped);

// Keeps at most `seconds` of it; returns words for what it did, or nothing.
std::string cut_around_peak(std::vector<double>& values, std::size_t seconds);

// Diurnal, sustained burst, level shift with noise, idle with spikes, step to saturation, on/off.
std::vector<Trace> generated_traces(const TraceOptions& options, std::uint64_t seed);

}  // namespace sluice::bench
