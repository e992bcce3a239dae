#include "daemon/arbitrate/arbitrate.hpp"

#include <algorithm>
#include <cmath>

#include "daemon/arbitrate/max_min.hpp"

namespace sluice {
namespace {

constexpr double kEpsilon = 1e-9;

double whole_steps(double value, const KnobClaim& c, bool up) {
  if (c.step <= 0 || c.exact) return value;
  const double steps = up ? std::ceil(value / c.step - kEpsilon) : std::floor(value / c.step + kEpsilon);
  const double rounded = std::max(1.0, steps) * c.step;
  // A maximum that is no multiple of the step: the largest multiple below it.
  return rounded > c.max ? std::max(c.step, std::floor(c.max / c.step + kEpsilon) * c.step) : rounded;
}

// What the task is to have if the node could give everything.
struct Wanted {
  double value = 0;
  Reason reason;  // rule none: nobody asked for a change
};

Wanted wanted(const KnobClaim& c) {
  if (!c.movable) return {c.current, {}};
  if (c.exact) return {c.intent.value, c.intent.reason};
  Wanted w{c.intent.changes() ? c.intent.value : c.current, c.intent.reason};
  if (!c.intent.changes() && std::isinf(c.current)) return w;
  const double stepped = whole_steps(w.value, c, true);
  const double bounded = std::clamp(stepped, c.min, c.max);
  w.reason.clamped_min = bounded > stepped;
  w.reason.clamped_max = bounded < stepped;
  if (!c.intent.changes() && std::abs(bounded - c.current) > kEpsilon * c.current)
    w.reason.rule = Rule::bound;
  w.value = bounded;
  return w;
}

}  // namespace

Share arbitrate(std::span<const KnobClaim> claims, double capacity) {
  Share share;
  std::vector<Wanted> want(claims.size());
  std::vector<std::size_t> sharing;
  std::vector<Claim> sums;
  double guaranteed = 0;
  for (std::size_t i = 0; i < claims.size(); ++i) {
    want[i] = wanted(claims[i]);
    if (std::isinf(want[i].value)) continue;
    const bool fixed = !claims[i].movable || claims[i].exact;
    Claim sum{fixed ? want[i].value : std::min(claims[i].min, want[i].value), want[i].value, claims[i].weight,
              claims[i].priority};
    guaranteed += sum.guaranteed;
    sharing.push_back(i);
    sums.push_back(sum);
  }
  share.minima_exceed = guaranteed > capacity * (1 + kEpsilon);
  const auto given = max_min_share(sums, capacity);

  share.unmet.resize(claims.size());
  std::vector<double> value(claims.size());
  for (std::size_t i = 0; i < claims.size(); ++i) value[i] = claims[i].current;
  for (std::size_t k = 0; k < sharing.size(); ++k) {
    const std::size_t i = sharing[k];
    value[i] = given[k];
    if (given[k] < want[i].value * (1 - kEpsilon)) {
      share.missing += want[i].value - given[k];
      value[i] = std::max(whole_steps(given[k], claims[i], false), std::min(claims[i].min, want[i].value));
      want[i].reason.clamped_capacity = true;
      share.unmet[i] = claims[i].intent.changes() && !claims[i].exact;
      if (!claims[i].intent.changes()) want[i].reason.wanted = want[i].value;
      if (want[i].reason.rule == Rule::none || value[i] < claims[i].current)
        want[i].reason.rule = Rule::capacity;
    }
  }

  auto changed = [&](std::size_t i) {
    return claims[i].movable && want[i].reason.rule != Rule::none &&
           !(std::isinf(value[i]) && std::isinf(claims[i].current)) &&
           (std::isinf(claims[i].current) ||
            std::abs(value[i] - claims[i].current) > kEpsilon * claims[i].current);
  };
  auto tolerable = [&](std::size_t i) {
    if (claims[i].exact || std::isinf(claims[i].current)) return false;
    // Out of bounds is never tolerated; a rescue below anon + unreclaimable neither.
    if (claims[i].current < claims[i].min || claims[i].current > claims[i].max) return false;
    return std::abs(value[i] - claims[i].current) < claims[i].tolerance * claims[i].current;
  };
  auto settle = [&](bool keep_small_cuts) {
    share.grants.clear();
    share.allocated = 0;
    for (std::size_t i = 0; i < claims.size(); ++i) {
      const bool cut = value[i] < claims[i].current;
      const bool write = changed(i) && !(tolerable(i) && (keep_small_cuts || !cut));
      if (write) share.grants.push_back({i, value[i], want[i].reason});
      const double after = write ? value[i] : claims[i].current;
      if (!std::isinf(after)) share.allocated += after;
    }
  };
  settle(true);
  // Cuts too small to write add up: when they would overdraw the node they are made all the same.
  if (share.allocated > capacity * (1 + kEpsilon)) settle(false);
  return share;
}

}  // namespace sluice
