// A node with less CPU than its tasks need is shared by cpu.weight, not by quotas: what one task leaves the
// kernel gives to the next at once, which quotas cannot do. A quota that may hold its task up goes to its
// maximum, and the weight decides what the task gets: its minimum first, then by priority and weight. Pure;
// the order of the claims does not matter.
//
// Properties, each the name of a test:
//   - A node is full when more is needed than it has, and until a fifth of it is free again.
//   - On a full node no task is cut, except into its bounds. A quota of ours that is more than half used goes
//     to its maximum. A pin stays.
//   - When all tasks want all they can get, weights give each at least its minimum.
//   - A higher priority gets ten times the share of the next lower one; no weight is above its baseline.
//   - A process beside our tasks with the kernel's default weight gets the node's reserve.
//   - While the weights in force are not as due, quotas share the node.
//   - Where the weights in force say something else, quotas share the node.
#pragma once

#include <span>
#include <vector>

#include "daemon/arbitrate/arbitrate.hpp"

namespace sluice {

struct CpuNode {
  double capacity_cores = 1;  // less the reserve
  double reserve_cores = 0;
};

// The cpu.weight that each claim is due, as a share of its baseline: (0, 1]. 1 for tasks that are not
// governed.
std::vector<double> due_weights(std::span<const KnobClaim> claims, const CpuNode& node);

// The nearest whole number, at least 1.
CpuWeight weight_of(const CpuWeight& baseline, double share);
// True if the difference is more than rounding and small changes of a minimum.
bool differs(double share, double due);

// True if the weights in force share a full node as due. Never true between tasks of different parents:
// weights act among siblings only.
bool weights_hold(std::span<const KnobClaim> claims, const CpuNode& node);

// `by_quota`: the result of arbitrate(). `was_full`: in the last tick.
bool is_full(std::span<const KnobClaim> claims, const Share& by_quota, const CpuNode& node, bool was_full);

// Replaces the grants of arbitrate() on a full node.
Share share_by_weight(std::span<const KnobClaim> claims, const Share& by_quota, const CpuNode& node);

}  // namespace sluice
