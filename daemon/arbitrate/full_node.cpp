#include "daemon/arbitrate/full_node.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <utility>

namespace sluice {
namespace {

constexpr double kClassStep = 10;   // factor between neighbouring priorities
constexpr double kFreeAgain = 0.2;  // share of the node; with that much free, quotas share it again
constexpr double kFinest = 0.01;    // of the kernel's default weight, 100; weights are whole numbers
constexpr double kTolerance = 0.1;  // ratio; covers rounding, and minima that moved a little
constexpr double kBinds = 0.5;      // share of a quota; with more in use it may hold its task up
constexpr double kMissingCores = 0.01;

bool shares(const KnobClaim& c) {
  return c.governed && c.max > 0;
}

// A quota with little use stays: if its task wakes up, the next plan gives it more. A limit that is not ours
// stays too, unless its task asks for more.
bool may_bind(const KnobClaim& c) {
  if (c.intent.changes() && c.intent.value > c.current) return true;
  return c.ours && c.use.value_or(c.current) > kBinds * c.current;
}

// What the task would use more if it did not wait for a CPU. Its usage is scaled by the share of time in
// which a thread waited.
double waits_for(const KnobClaim& c) {
  if (!c.use || c.waiting_ratio <= 0) return 0;
  return std::min(c.max, *c.use / std::max(1 - c.waiting_ratio, 1e-3)) - std::min(c.max, *c.use);
}

}  // namespace

std::vector<double> due_weights(std::span<const KnobClaim> claims, const CpuNode& node) {
  std::map<int, double, std::greater<>> of_priority;
  double minima = 0;
  for (const auto& c : claims) {
    if (!shares(c)) continue;
    of_priority[c.priority] = 1;
    minima += c.min;
  }
  double step = 1;
  for (auto& [priority, factor] : of_priority) factor = std::exchange(step, step / kClassStep);
  double weights = 0;
  for (const auto& c : claims) weights += shares(c) ? c.weight * of_priority[c.priority] : 0;
  const double rest = std::max(0.0, node.capacity_cores - minima);
  std::vector<double> due(claims.size(), 1);
  double most =
      node.reserve_cores;  // for somebody with the kernel's default weight, as the largest of ours has
  for (std::size_t i = 0; i < claims.size(); ++i) {
    if (!shares(claims[i])) continue;
    due[i] = claims[i].min + rest * claims[i].weight * of_priority[claims[i].priority] / weights;
    most = std::max(most, due[i]);
  }
  for (std::size_t i = 0; i < claims.size(); ++i) {
    if (shares(claims[i]) && most > 0) due[i] /= most;
  }
  return due;
}

CpuWeight weight_of(const CpuWeight& baseline, double share) {
  const auto weight = static_cast<std::uint32_t>(std::lround(share * baseline.weight));
  return {std::max(kCpuWeightMin, weight)};
}

bool differs(double share, double due) {
  return std::abs(share - due) > kTolerance * due + kFinest;
}

bool weights_hold(std::span<const KnobClaim> claims, const CpuNode& node) {
  const auto due = due_weights(claims, node);
  const KnobClaim* first = nullptr;
  bool siblings = true;
  double least = 1, most = 0;
  for (std::size_t i = 0; i < claims.size(); ++i) {
    if (!shares(claims[i])) continue;
    if (!first) first = &claims[i];
    siblings &= claims[i].parent == first->parent;
    least = std::min(least, due[i]);
    most = std::max(most, due[i]);
    if (differs(claims[i].weight_held, due[i])) return false;
  }
  return siblings || !differs(least, most);
}

bool is_full(std::span<const KnobClaim> claims, const Share& by_quota, const CpuNode& node, bool was_full) {
  if (by_quota.minima_exceed) return false;  // then quotas share them; weights could not keep any minimum
  if (by_quota.missing > kMissingCores) return true;
  double used = 0;
  for (const auto& c : claims) used += std::min(c.use.value_or(0), node.capacity_cores);
  return was_full && used > (1 - kFreeAgain) * node.capacity_cores;
}

Share share_by_weight(std::span<const KnobClaim> claims, const Share& by_quota, const CpuNode& node) {
  Share out;
  out.allocated = node.capacity_cores;
  out.unmet.resize(claims.size());
  std::vector<const KnobGrant*> granted(claims.size());
  for (const auto& g : by_quota.grants) granted[g.claim] = &g;
  for (std::size_t i = 0; i < claims.size(); ++i) {
    const auto& c = claims[i];
    out.missing += c.governed ? waits_for(c) : 0;
    if (!c.movable) continue;
    if (c.exact) {
      if (granted[i]) out.grants.push_back(*granted[i]);
      continue;
    }
    if (std::isinf(c.current) && !c.max_is_set) continue;  // the kernel already gives it its share
    if (c.current <= c.max && !may_bind(c)) continue;
    const double most = std::clamp(c.rate.highest, c.min, c.max);
    if (std::abs(most - c.current) <= c.tolerance * c.current && c.current <= c.max) continue;
    if (c.current > most && !granted[i]) continue;  // it waits for evidence
    Reason reason{.rule = Rule::by_weight, .wanted = c.max};
    reason.clamped_max = c.current > c.max;
    reason.clamped_rate = most < c.max;
    out.grants.push_back({i, most, reason});
  }
  out.missing = std::max(out.missing, by_quota.missing);
  return out;
}

}  // namespace sluice
