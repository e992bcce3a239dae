// A node that has less CPU than its tasks need is shared by cpu.weight, not by quotas: what one task leaves,
// the kernel gives to the next at once, which no quota can. So a quota that may hold its task up goes to its
// maximum, and its weight says what it is to get: its minimum first, then by priority and weight. Pure; the
// order of the claims does not matter.
//
// Properties, each the name of a test:
//   - A node is full when more is needed than it has, and until a fifth of it is free again.
//   - Of a full node nobody is cut, but into its bounds; a quota of ours of which more than half is in use
//   goes to its maximum. A pin stays.
//   - When all tasks want all they can get, weights give each at least its minimum.
//   - A higher priority gets ten times the share of the next lower one; no weight is above its baseline.
//   - Somebody else with the kernel's default weight, beside our tasks, gets the node's reserve.
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

// cpu.weight that each claim is due, as a share of its baseline: (0, 1]. 1 for those that are not governed.
std::vector<double> due_weights(std::span<const KnobClaim> claims, const CpuNode& node);

// The whole number nearest to it, at least 1.
CpuWeight weight_of(const CpuWeight& baseline, double share);
// Whether a weight differs from another by more than rounding and a minimum that moved a little.
bool differs(double share, double due);

// Whether the kernel now shares a full node as it is due. Between tasks of different parents it never does: a
// weight acts among siblings only.
bool weights_hold(std::span<const KnobClaim> claims, const CpuNode& node);

// `by_quota`: what arbitrate() makes of the claims. `was_full`: at the last look.
bool is_full(std::span<const KnobClaim> claims, const Share& by_quota, const CpuNode& node, bool was_full);

// In place of what quotas would give.
Share share_by_weight(std::span<const KnobClaim> claims, const Share& by_quota, const CpuNode& node);

}  // namespace sluice
