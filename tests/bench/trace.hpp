// A load for comparing policies: one value per second of model time, scaled to a peak in cores.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/bench/series.hpp"

namespace sluice::bench {

struct TraceOptions {
  double speedup = 0;           // 0: 1 if rows are at most 10 s apart, otherwise one row becomes one second
  double peak_cores = 3.2;      // the work of the busiest second
  std::size_t seconds = 3'600;  // a longer series is cut to this, around its busiest second
};

struct Trace {
  std::string name;
  std::vector<double> cores;  // mean work arriving in each second
  double speedup = 1;
  std::string note;  // what was done to it, for the heading of a table
};

// The series that are loads. A series that is too short or idle is named in `skipped`.
std::vector<Trace> load_traces(const std::vector<Series>& all, const TraceOptions& options,
                               std::vector<std::string>& skipped);

// Keeps at most `seconds`; returns a description of the change, or nothing.
std::string cut_around_peak(std::vector<double>& values, std::size_t seconds);

// Diurnal, sustained burst, level shift with noise, idle with spikes, step to saturation, on/off.
std::vector<Trace> generated_traces(const TraceOptions& options, std::uint64_t seed);

}  // namespace sluice::bench
