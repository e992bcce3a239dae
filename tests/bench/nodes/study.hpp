// Many tasks on a node that is sometimes too small for all of them.
#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "tests/bench/governed.hpp"
#include "tests/bench/summary.hpp"
#include "tests/bench/trace.hpp"

namespace sluice::bench {

// Priority classes, assigned to the tasks in turn.
enum class Class : std::uint8_t { high, middle, low };
inline constexpr std::array kClasses{Class::high, Class::middle, Class::low};

struct NodeSpec {
  std::size_t tasks = 8;
  double cores = 8;
  std::size_t seconds = 900;
  bool classes = false;  // false: all have the same priority
};

struct NodeRow {
  std::size_t tasks = 0;
  double cores = 0;
  std::uint64_t seed = 0;
  std::string policy;           // "ours", "equal shares", "no quotas"
  std::string visibility;       // ours
  double overloaded_share = 0;  // of time with more work than the node can do
  bool classes = false;
  double late_share = 0;                                   // of all records
  std::array<double, kClasses.size()> class_late_share{};  // of the records of a class
  double satisfaction_least = 0;                           // smallest share of records on time, of a task
  double satisfaction_mean = 0;
  double delay_p99_worst_s = 0;  // of the worst task
  double quota_to_usage = 0;     // all quotas / all usage
  double offered_to_usage = 0;
  double used_share = 0;  // of the node
  // While quotas share the node:
  std::size_t sum_violations = 0;       // samples (every 100 ms) in which quotas add up to more than the node
  double sum_worst = 0;                 // largest sum, relative to the node
  double by_weight_share = 0;           // share of samples in which cpu.weight shares the node
  double writes_per_minute = 0;         // per task
  std::size_t writes_worst_minute = 0;  // of the worst task
  std::size_t violations = 0;
};

struct NodeOptions {
  double deadline_s = 1;
  std::uint32_t writes_per_minute = 60;
  double cost_usec = 5'000;
  double cost_sigma = 0;
  std::uint64_t seed = 1;
  unsigned jobs = 2;
};

// Tasks get the traces in turn, each shifted in time. All are scaled together so that in a tenth of the
// seconds more work arrives than the node can do.
std::vector<NodeRow> run_nodes(const std::vector<Trace>& traces, const std::vector<NodeSpec>& nodes,
                               const NodeOptions& options);

void print_nodes(std::FILE* out, const std::vector<NodeRow>& rows, const NodeOptions& options);
std::string nodes_json(const std::vector<NodeRow>& rows);

}  // namespace sluice::bench
