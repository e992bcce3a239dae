#include "daemon/arbitrate/arbitrate.hpp"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "daemon/arbitrate/max_min.hpp"

namespace sluice {
namespace {

constexpr double kEpsilon = 1e-9;

double whole_steps_down(double value, double step) {
  return step > 0 ? std::floor(value / step + kEpsilon) * step : value;
}

// What the task is to have if the node could give everything.
struct Wanted {
  double value = 0;
  Reason reason;       // rule none: nobody asked for a change
  double unrated = 0;  // without its rate policy; the same where that does not matter
};

Wanted wanted(const KnobClaim& c) {
  if (!c.movable) return {c.current, {}, c.current};
  if (c.exact) return {c.intent.value, c.intent.reason, c.intent.value};
  Wanted w{c.intent.changes() ? c.intent.value : c.current, c.intent.reason, c.current};
  if (!c.intent.changes() && std::isinf(c.current)) return w;
  const double stepped = config::whole_steps_up(w.value, c.step);
  const double bounded = std::clamp(stepped, c.min, c.max);
  w.reason.clamped_min = bounded > stepped;
  w.reason.clamped_max = bounded < std::min(stepped, w.value);
  w.reason.clamped_step = !w.reason.clamped_min && bounded > w.value * (1 + kEpsilon);
  if (!c.intent.changes() && std::abs(bounded - c.current) > kEpsilon * c.current) {
    const bool by_schedule =
        (w.reason.clamped_min && c.min_scheduled) || (w.reason.clamped_max && c.max_scheduled);
    w.reason.rule = by_schedule ? Rule::schedule : Rule::bound;
    w.reason.wanted = c.current;
  }
  w.value = w.unrated = bounded;
  if (c.rate_free) return w;
  const double rated = std::clamp(bounded, c.rate.lowest, c.rate.highest);
  // What has no limit yet may have to wait for its first one; but no value may stay out of its bounds.
  w.value = std::isinf(rated) ? rated : std::clamp(rated, c.min, c.max);
  w.reason.clamped_rate = std::abs(w.value - bounded) > kEpsilon * bounded;
  return w;
}

// What a task keeps whatever the others want: its minimum, and what its rate policy does not let go. Where
// all that is more than the node has, only the minima are kept, and what is left goes to the rest by
// priority.
Claim to_share(const KnobClaim& c, double wanted, bool keep_rates) {
  if (!c.movable || c.exact) return {wanted, wanted, c.weight, c.priority};
  const double rated = std::min(std::clamp(c.rate.lowest, c.min, c.max), wanted);
  const double least = std::min(c.min, wanted);
  return keep_rates ? Claim{rated, wanted, c.weight, c.priority} : Claim{least, rated, c.weight, c.priority};
}

// What rounding down has left goes on, a step each, by priority, and first to those who hold it: a share that
// moves a little must not move a whole step to and fro. False: nothing was rounded.
bool share_leftover(std::span<const KnobClaim> claims, std::span<const std::size_t> sharing,
                    std::span<const Wanted> want, double left, std::vector<double>& value) {
  std::vector<std::size_t> cut;
  for (const auto i : sharing) {
    left -= value[i];
    if (claims[i].step > 0 && value[i] < want[i].value * (1 - kEpsilon)) cut.push_back(i);
  }
  const auto next = [&](std::size_t i) {
    const double more = whole_steps_down(value[i], claims[i].step) + claims[i].step;
    return std::min(more, want[i].value);
  };
  const auto rank = [&](std::size_t i) {
    return std::tuple(-claims[i].priority, claims[i].current < next(i) * (1 - kEpsilon), claims[i].id);
  };
  std::sort(cut.begin(), cut.end(), [&](auto a, auto b) { return rank(a) < rank(b); });
  for (const auto i : cut) {
    const double step = next(i) - value[i];
    if (step > left * (1 + kEpsilon)) continue;
    value[i] = next(i);
    left -= step;
  }
  return !cut.empty();
}

double sum_of_guaranteed(std::span<const Claim> claims) {
  double sum = 0;
  for (const auto& c : claims) sum += c.guaranteed;
  return sum;
}

}  // namespace

Share arbitrate(std::span<const KnobClaim> claims, double capacity) {
  Share share;
  std::vector<Wanted> want(claims.size());
  std::vector<std::size_t> sharing;
  std::vector<Claim> sums;
  sharing.reserve(claims.size());
  sums.reserve(claims.size());
  for (std::size_t i = 0; i < claims.size(); ++i) {
    want[i] = wanted(claims[i]);
    if (std::isinf(want[i].value)) continue;
    sharing.push_back(i);
    sums.push_back(to_share(claims[i], want[i].value, true));
  }
  const double enough = capacity * (1 + kEpsilon);
  const bool keep_rates = sum_of_guaranteed(sums) <= enough;
  if (!keep_rates) {
    for (std::size_t k = 0; k < sharing.size(); ++k)
      sums[k] = to_share(claims[sharing[k]], want[sharing[k]].value, false);
  }
  share.minima_exceed = sum_of_guaranteed(sums) > enough;
  auto given = max_min_share(sums, capacity);

  share.unmet.resize(claims.size());
  std::vector<double> value(claims.size());
  for (std::size_t i = 0; i < claims.size(); ++i) value[i] = claims[i].current;
  for (std::size_t k = 0; k < sharing.size(); ++k) {
    const std::size_t i = sharing[k];
    const bool enough_for_it = given[k] >= want[i].value * (1 - kEpsilon);
    value[i] =
        enough_for_it ? given[k] : std::max(whole_steps_down(given[k], claims[i].step), sums[k].guaranteed);
  }
  if (share_leftover(claims, sharing, want, capacity, value)) {
    for (std::size_t k = 0; k < sharing.size(); ++k) {
      if (claims[sharing[k]].step > 0) sums[k].guaranteed = sums[k].wanted = value[sharing[k]];
    }
    given = max_min_share(sums, capacity);
    for (std::size_t k = 0; k < sharing.size(); ++k) value[sharing[k]] = given[k];
  }
  for (const auto i : sharing) {
    if (value[i] >= want[i].value * (1 - kEpsilon)) continue;
    auto& reason = want[i].reason;
    share.missing += want[i].value - value[i];
    reason.clamped_capacity = true;
    reason.clamped_step &= value[i] > reason.wanted;
    share.unmet[i] = claims[i].intent.changes() && !claims[i].exact;
    if (!claims[i].intent.changes()) reason.wanted = want[i].value;
    if (reason.rule == Rule::none || value[i] < claims[i].current) reason.rule = Rule::capacity;
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
    // A slow rate is made of small changes: what counts is how far the task would go.
    const bool slow = want[i].reason.clamped_rate && !want[i].reason.clamped_capacity;
    const double to = slow ? want[i].unrated : value[i];
    return std::abs(to - claims[i].current) < claims[i].tolerance * claims[i].current;
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
