// Memory that a task keeps over time, for comparing memory policies.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/bench/series.hpp"
#include "tests/simhost/memory.hpp"

namespace sluice::bench {

struct MemoryTraceOptions {
  double speedup = 0;  // 0: fits the series into `seconds`, at most ten times
  std::size_t seconds = 7'200;
  double cold_share = 0.35;     // of the recorded memory: page cache that is not read again
  double hot_file_share = 0.1;  // of the recorded memory: page cache that is read again; the rest is anon
};

struct MemoryTrace {
  std::string name;
  std::size_t seconds = 0;
  simhost::MemorySpec spec;
  std::string note;
};

// The series that contain memory, or all of them.
std::vector<MemoryTrace> memory_traces(const std::vector<Series>& series, bool all,
                                       const MemoryTraceOptions& options, std::vector<std::string>& skipped);

// A cold cache over hot anon, growth, a leak, a jump and return, a sawtooth.
std::vector<MemoryTrace> generated_memory_traces(const MemoryTraceOptions& options);

}  // namespace sluice::bench
