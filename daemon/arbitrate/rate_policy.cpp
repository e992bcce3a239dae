#include "daemon/arbitrate/rate_policy.hpp"

#include <algorithm>
#include <cmath>

namespace sluice {
namespace {

using Moments = std::vector<RateHistory::Moment>;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kEpsilon = 1e-9;
constexpr int kSlots = 60;  // of a stabilization window; its resolution, and how late it may end

// The first entry that is younger than `age`.
Moments::const_iterator within(const Moments& moments, MonotonicTime now, Nsec age) {
  return std::partition_point(moments.begin(), moments.end(),
                              [&](const auto& m) { return now - m.at >= age; });
}

void note_extreme(Moments& kept, Nsec window, MonotonicTime now, double wish, double current, bool largest) {
  kept.erase(kept.begin(), within(kept, now, window));
  if (window == Nsec{}) return;
  if (kept.empty()) kept.push_back({now, current});  // the only known value of the past
  const auto beaten = [&](double earlier) { return largest ? earlier <= wish : earlier >= wish; };
  while (!kept.empty() && beaten(kept.back().value)) kept.pop_back();
  const auto slot = std::max(window / kSlots, Nsec{1});
  if (!kept.empty() && kept.back().at.time_since_epoch() / slot == now.time_since_epoch() / slot) {
    kept.back().at = now;  // keeps the stricter value, up to one slot longer
  } else {
    kept.push_back({now, wish});
  }
}

double at_start_of(Nsec period, const RateHistory& history, MonotonicTime now, double current) {
  const auto first = within(history.changes, now, period);
  return first == history.changes.end() ? current : first->value;
}

// The furthest value that the policies allow, upwards or (way = -1) downwards.
double furthest(const config::ScalingRules& rules, int way, const RateHistory& history, MonotonicTime now,
                double current) {
  if (rules.select_policy == config::SelectPolicy::disabled) return current;
  if (rules.policies.empty() || std::isinf(current)) return way > 0 ? kInfinity : 0;
  const bool most = (rules.select_policy == config::SelectPolicy::max) == (way > 0);
  double limit = most ? 0 : kInfinity;
  for (const auto& p : rules.policies) {
    const double start = at_start_of(p.period, history, now, current);
    const double change = p.type == config::ChangeType::percent ? start * p.value / 100 : p.value;
    const double end = std::max(0.0, start + way * change);
    limit = most ? std::max(limit, end) : std::min(limit, end);
  }
  return limit;
}

double extreme_wish(const Moments& kept, Nsec window, MonotonicTime now, double current) {
  const auto first = within(kept, now, window);
  return first == kept.end() ? current : first->value;
}

Nsec longest_period(const config::Scaling& scaling) {
  Nsec longest{};
  for (const auto* rules : {&scaling.up, &scaling.down}) {
    for (const auto& p : rules->policies) longest = std::max<Nsec>(longest, p.period);
  }
  return longest;
}

}  // namespace

void note_wish(const config::Scaling& scaling, MonotonicTime now, double wish, double current,
               RateHistory& history) {
  note_extreme(history.smallest, scaling.up.stabilization, now, wish, current, false);
  note_extreme(history.largest, scaling.down.stabilization, now, wish, current, true);
}

void note_change(const config::Scaling& scaling, MonotonicTime at, double before, RateHistory& history) {
  auto& changes = history.changes;
  changes.erase(changes.begin(), within(changes, at, longest_period(scaling)));
  if (longest_period(scaling) == Nsec{}) return;
  if (std::isinf(before)) {
    changes.clear();
  } else {
    changes.push_back({changes.empty() ? at : std::max(at, changes.back().at), before});
  }
}

RateLimits rate_limits(const config::Scaling& scaling, const RateHistory& history, MonotonicTime now,
                       double current, double step) {
  RateLimits limits{furthest(scaling.down, -1, history, now, current),
                    furthest(scaling.up, 1, history, now, current)};
  if (const auto window = scaling.down.stabilization; window.count() > 0)
    limits.lowest = std::max(limits.lowest, extreme_wish(history.largest, window, now, current));
  if (const auto window = scaling.up.stabilization; window.count() > 0)
    limits.highest = std::min(limits.highest, extreme_wish(history.smallest, window, now, current));
  if (step > 0 && limits.lowest < current * (1 - kEpsilon))
    limits.lowest = std::floor(limits.lowest / step + kEpsilon) * step;
  if (step > 0 && limits.highest > current * (1 + kEpsilon))
    limits.highest = std::ceil(limits.highest / step - kEpsilon) * step;
  limits.lowest = std::min(limits.lowest, current);
  limits.highest = std::max(limits.highest, current);
  return limits;
}

bool beyond_rates(Rule rule) {
  return rule == Rule::memory_futile || rule == Rule::memory_floor || rule == Rule::initial ||
         rule == Rule::reasserted || rule == Rule::pinned || rule == Rule::released || rule == Rule::burst;
}

}  // namespace sluice
