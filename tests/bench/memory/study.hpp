// Ours and the peers on the same memory traces, and the results.
#pragma once

#include <string>
#include <vector>

#include "tests/bench/memory/bed.hpp"
#include "tests/bench/summary.hpp"

namespace sluice::bench {

inline constexpr double kStallAllowed = 0.001;  // PSI some, of wall time

struct MemoryRow {
  std::size_t trace = 0;
  std::uint64_t seed = 0;
  std::string policy, setting;
  bool published = false;
  MemoryFigures figures;
  double static_mean_bytes = 0, static_limit_bytes = 0;  // the same load with its peak as memory.max
  double static_stall = 0;
  std::size_t violations = 0;

  double in_use() const { return figures.mean_bytes / static_mean_bytes; }
  double limit() const { return figures.limit_bytes / static_limit_bytes; }
  bool sound() const {
    return figures.stall_share <= kStallAllowed + static_stall && figures.hangs == 0 &&
           figures.oom_kills == 0;
  }
};

std::vector<MemoryRow> run_memory_study(const std::vector<MemoryTrace>& traces, std::uint64_t seed,
                                        unsigned jobs, bool peers = true);

// The results of one policy over all traces and seeds.
struct MemoryLine {
  std::string policy, setting;       // peers: "published" or "best"
  double in_use = 0, limit = 0;      // geometric means relative to static
  double in_use_by_bytes = 0;        // sum of bytes, relative to static's
  double stall = 0, stall_most = 0;  // mean, and of the worst trace
  double stall_worst_10s = 0;
  std::size_t hangs = 0, oom_kills = 0;
  double writes_per_minute = 0;
  std::size_t writes_worst_minute = 0, violations = 0, runs = 0;
};

// Ours first, then each peer at its published setting and at its best setting for each trace: the least
// memory among the sound settings, or the least stalled one if there is none.
std::vector<MemoryLine> summarise(const std::vector<MemoryRow>& rows);
std::vector<Goal> memory_goals(const std::vector<MemoryLine>& lines);

void print_memory(std::FILE* out, const std::vector<MemoryTrace>& traces, const std::vector<MemoryRow>& rows,
                  const std::vector<MemoryLine>& lines, bool all_runs);
std::string memory_json(const std::vector<MemoryTrace>& traces, const std::vector<MemoryRow>& rows,
                        const std::vector<MemoryLine>& lines, const std::vector<Goal>& goals);

}  // namespace sluice::bench
