// All runs of one comparison: every policy on every trace, in parallel, reproducible exactly.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "tests/bench/bed.hpp"
#include "tests/bench/ours.hpp"

namespace sluice::bench {

struct StudyOptions {
  Conditions conditions;
  std::vector<double> deadlines{0.25, 1, 5};
  std::vector<std::uint32_t> budgets{20, 60};
  std::vector<Visibility> visibilities{Visibility::kernel, Visibility::bytes, Visibility::lag};
  std::vector<double> bursts{0};   // ours, with cpu.burst as this ratio of the quota
  double max_cores = kCapCores;    // ours
  double step_cores = 0;           // ours
  bool published_only = false;     // peers at their defaults only, without a search for the best setting
  std::set<std::string> policies;  // empty: all; "ours", "oracle", or a peer's name
  unsigned jobs = 2;
};

struct Row {
  std::size_t trace = 0;  // index into the traces
  std::uint64_t seed = 0;
  std::string policy;
  std::string setting;
  bool published = false;
  double deadline_s = 0;
  std::uint32_t budget = 0;  // writes per minute; 0: not limited
  std::string visibility;    // ours only
  double burst = 0;          // ours only
  Figures figures;
  double late_above_cap = 0;  // late share minus the late share at the cap
  std::size_t violations = 0;

  double quota() const { return figures.quota_cores / figures.usage_cores; }
  double offered() const { return figures.offered_cores / figures.usage_cores; }
  double q10() const { return figures.q10_cores / figures.usage_cores; }
  double could10() const { return figures.could10_cores / figures.usage_cores; }
};

// Share of records later than at the cap that still counts as on time.
inline constexpr double kLateAllowed = 0.001;

std::vector<Row> run_study(const std::vector<Trace>& traces, const StudyOptions& options);

}  // namespace sluice::bench
