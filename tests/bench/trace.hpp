// A load to judge policies with: one value a second of model time, scaled to a peak in cores.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <tl/expected.hpp>
#include <vector>

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

// All *.csv below `dir` that hold rows of `t_s,value`, by name. A file whose header has other columns, or
// that says it counts memory, is no load and is named in `skipped`. The error names file, line and cure.
tl::expected<std::vector<Trace>, std::string> read_traces(const std::filesystem::path& dir,
                                                          const TraceOptions& options,
                                                          std::vector<std::string>& skipped);

// Diurnal, sustained burst, level shift with noise, idle with spikes, step to saturation, on/off.
std::vector<Trace> generated_traces(const TraceOptions& options, std::uint64_t seed);

}  // namespace sluice::bench
