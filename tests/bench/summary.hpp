// Summaries of rows over traces: means, the oracle, the best peer.
#pragma once

#include <optional>

#include "tests/bench/study.hpp"

namespace sluice::bench {

// The results of one policy and deadline over all traces and seeds.
struct Line {
  std::string policy;      // "ours", "oracle", a peer, or "best peer"
  std::string setting;     // peers: "published" or "best"
  std::string visibility;  // ours
  std::uint32_t budget = 0;
  double deadline_s = 0;

  double burst = 0;
  double quota = 0, offered = 0, q10 = 0, could10 = 0;  // geometric means of the ratio to usage
  double quota_by_cores = 0;                            // sum of quotas / sum of usage
  double q10_by_cores = 0;
  double worst_late = 0;        // above the cap's late share, of the worst trace
  std::size_t late_traces = 0;  // above the allowed late share
  std::size_t runs = 0;
  double delay_p50_s = 0, delay_p99_s = 0;  // means over traces
  double delay_worst_s = 0, stall_share = 0;
  double writes_per_minute = 0;
  std::size_t writes_worst_minute = 0;
  std::size_t violations = 0;
  double quota_least_seed = 0, quota_most_seed = 0;  // smallest and largest geometric mean of a single seed

  // Ours only. The best peer is, for each trace and seed, the cheapest setting of any peer whose late share
  // is at most ours or at most the allowed one.
  struct AgainstPeer {
    double saving = 0;  // of quota, core-weighted
    double q10_saving = 0;
    double q10_ratio = 0;    // geometric mean
    double worst_ratio = 0;  // of quota, on one trace
    double worst_q10_ratio = 0;
    std::string worst_trace, worst_q10_trace;
  };
  std::optional<AgainstPeer> against_peer;
  std::optional<double> to_oracle;  // geometric mean of quota over Ow's
};

// Ours first, then the oracle, then each peer with both settings, then the best peer of each trace.
std::vector<Line> summarise(const std::vector<Trace>& traces, const std::vector<Row>& rows);

// A goal of CONTROL.md and the measured figure.
struct Goal {
  std::string what;
  std::string wanted;
  std::string measured;
  bool met = false;
};
// The goals that these lines cover: deadlines 0.25, 1 and 5 s, budgets 20 and 60.
std::vector<Goal> goals(const std::vector<Line>& lines);

}  // namespace sluice::bench
