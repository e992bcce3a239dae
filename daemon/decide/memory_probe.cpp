// Probes: how far and when memory.high may be lowered, and how the last probe is judged.
#include <cmath>

#include "daemon/decide/memory_parts.hpp"

namespace sluice {
namespace memory {
namespace {

constexpr double kStepGrowth = 1.5, kBelowKeptGrowth = 1.25;
// factor on the tolerance, which is a ratio to the limit, not to the memory in use
constexpr double kWritableStep = 1.1;
constexpr double kKnownStep = 0.1;    // ratio to the memory in use; largest step above keep_bytes
constexpr double kWorthStep = 0.02;   // ratio; a smaller step above keep_bytes does not justify two writes
constexpr double kLooseLimit = 1.05;  // ratio; a limit this far above its target is lowered
constexpr double kKnownShare = 0.5;   // share of an interval that must be measured as quiet
constexpr double kWritesForRaises = 1.0 / 3;  // share of the budget
// A probe failed if this share of the reclaimed bytes was read back. Fewer pages are no evidence.
constexpr double kFailedShare = 0.1, kFailedPagesLeast = 32;
constexpr double kJudgeIntervals = 4;  // intervals between steps below keep_bytes
constexpr double kPayShare = 0.15;     // share of the target that failed probes may cost
// share of the target that all stalls under a limit may cost; above it no probes
constexpr double kDebtShare = 0.6;
constexpr double kExploreLeastSeconds = 10, kExploreMostSeconds = 900;
constexpr double kDebtFreeSeconds = 10, kDebtMostSeconds = 600;  // seconds' worth of the target

// The target of a probe in bytes; infinity: none.
double lower_to(const MemoryInput& in, const MemoryState& s, double current) {
  const double least = kWritableStep * in.tolerance;
  if (s.keep_bytes <= 0) return current * (1 - std::max(s.step, least));
  const double above = reclaimable_bytes(*in.sample) - s.keep_bytes;
  const double worth = std::max(least, kWorthStep);
  // With swap, new memory may be anonymous and in use.
  const double most = can_swap(*in.sample) ? std::clamp(s.step, worth, kKnownStep) : kKnownStep;
  const double take = std::min(above, most * current);
  const bool judged =
      !s.probe_explored || in.now - s.probed_at >= from_seconds(kJudgeIntervals * in.interval_seconds);
  if (take == above && judged && in.now >= s.explore_at) {
    // A small step can be written only if the limit is above the memory in use by more than the tolerance.
    const bool writable = current * (1 + in.tolerance) < in.high_bytes;
    return current - std::max(0.0, above) - (writable ? s.step : std::max(s.step, least)) * current;
  }
  if (take >= worth * current) return current - take;
  // Nothing to reclaim. But a limit far above the memory in use does not protect the node, so it is lowered.
  const double belongs = current + std::max(0.0, -above) + room_bytes(s, current);
  return in.high_bytes > kLooseLimit * belongs ? belongs : kInfinity;
}

// A probe that may follow: what prevents it, or its target.
struct Descent {
  ProbeOutlook outlook;
  double target = 0;    // bytes; valid only if the outlook is now
  double pressure = 0;  // the ratio that was judged
  Window quiet;
};

// Probes become rarer as the write budget nears the share that is kept for raises. None: only that share is
// left.
std::optional<MonotonicTime> next_probe_at(const MemoryInput& in, const MemoryState& s) {
  constexpr double kLongest = 86'400;
  const double left = static_cast<double>(in.writes_left) / std::max(1U, in.writes_per_minute);
  const double spare = (left - kWritesForRaises) / (1 - kWritesForRaises);
  if (spare <= 0) return std::nullopt;
  const double wait = std::min(in.interval_seconds / spare, kLongest);
  return std::max(s.hold_until, std::max(s.observed_since, s.probed_at) + from_seconds(wait));
}

// When the next step below keep_bytes may be judged and made.
MonotonicTime next_exploration_at(const MemoryInput& in, const MemoryState& s) {
  const auto judged_at = s.probed_at + from_seconds(kJudgeIntervals * in.interval_seconds);
  return s.probe_explored ? std::max(judged_at, s.explore_at) : s.explore_at;
}

Descent descend(const MemoryInput& in, const MemoryState& s) {
  const auto barred = [](ProbeBar bar) { return Descent{{bar, std::nullopt}, 0, 0, {}}; };
  if (!in.sample || !in.sample->memory_current) return barred(ProbeBar::unknown_memory);
  const double current = static_cast<double>(*in.sample->memory_current);
  const auto floor = memory_floor(*in.sample, in.min_bytes, s.anon_growth_bytes_per_second);
  if (!floor) return barred(ProbeBar::unknown_memory);
  if (!in.signals || !in.signals->memory_pressure_ratio || !in.signals->refaults_per_second)
    return barred(ProbeBar::unknown_pressure);
  // The target must differ by more than the tolerance. Otherwise a task at its floor would be probed in every
  // tick.
  const double below = in.high_bytes * (1 - in.tolerance);
  if (*floor >= below) return barred(ProbeBar::floor);
  auto at = next_probe_at(in, s);
  if (!at) return barred(ProbeBar::budget);
  Descent d;
  d.target = std::max(*floor, lower_to(in, s, current));
  if (d.target >= below) {
    auto later = in;
    later.now = std::max(*at, next_exploration_at(in, s));
    if (std::max(*floor, lower_to(later, s, current)) >= below) return barred(ProbeBar::nothing_to_take);
    at = std::max(*at, later.now);
  }
  // At its upper bound a task reclaims pages that it does not need, and stalls. Less memory in use is the
  // cure.
  const bool walled = at_bound(in) && current >= kNearLimit * in.max_bytes;
  if (!walled && s.debt_seconds > kDebtFreeSeconds * in.pressure_target) return barred(ProbeBar::stalls);
  d.outlook = {ProbeBar::none, at};
  if (in.now < *at) return d;
  // Requires an interval measured as quiet; half of it is enough, because samples may get lost.
  d.quiet = over_last(s, in.now, in.interval_seconds);
  if (const double unseen = kKnownShare * in.interval_seconds - d.quiet.known_seconds; unseen > 0) {
    d.outlook.at = in.now + std::max(from_seconds(unseen), Nsec{1});
    return d;
  }
  if (d.quiet.refaults_per_second() * in.page_bytes > kRefaultShare * current / 2)
    return barred(ProbeBar::refaults);
  d.pressure = over_last(s, in.now, kSlowSeconds).some / kSlowSeconds;
  if (!walled && d.pressure > in.pressure_target / 2) return barred(ProbeBar::stalls);
  return d;
}

}  // namespace

void observe_price(const MemoryInput& in, const Signals& g, MemoryState& s) {
  const double dt = g.interval_seconds;
  const double some = g.memory_pressure_ratio.value_or(0) * dt;
  if (!std::isinf(in.high_bytes)) {
    const double target = in.pressure_target;
    s.debt_seconds = std::clamp(s.debt_seconds + some - kDebtShare * target * dt, 0.0,
                                kDebtMostSeconds * kDebtShare * target);
  }
  if (s.probed_at == MonotonicTime{}) return;
  s.probe_refaults += g.refaults_per_second.value_or(0) * dt;
  s.probe_some_seconds += some;
  if (s.probe_took_bytes > 0 &&
      s.probe_refaults > std::max(kFailedPagesLeast, kFailedShare * s.probe_unsure_bytes / in.page_bytes)) {
    // More of what is needed may still come back.
    const double needed = s.keep_bytes > 0 ? 2 * s.probe_refaults * in.page_bytes : s.probe_took_bytes;
    s.keep_bytes = std::max(s.keep_bytes, s.probe_left_bytes + std::min(needed, s.probe_took_bytes));
    if (s.probe_explored && !s.probe_failed) s.step = std::max(kStepMin, s.step / 2);
    s.probe_failed = true;
    const double pays = s.probe_some_seconds / (kPayShare * in.pressure_target);
    s.explore_at =
        std::max(s.explore_at,
                 s.probed_at + from_seconds(std::clamp(pays, kExploreLeastSeconds, kExploreMostSeconds)));
  }
}

void forget_probe(const MemoryInput& in, MemoryState& s) {
  s.probed_at = in.now;
  s.probe_took_bytes = s.probe_unsure_bytes = 0;
  s.probe_explored = s.probe_failed = false;
  s.probe_refaults = s.probe_some_seconds = 0;
}

void note_probe(const MemoryInput& in, double new_bytes, MemoryState& s) {
  const double elapsed = std::min(in_seconds(in.now - s.probed_at), kSlowSeconds);
  const bool dear = over_last(s, in.now, elapsed).some > in.pressure_target * elapsed / 2;
  if (!s.probe_failed) {
    if (s.probe_explored && s.keep_bytes > 0) s.keep_bytes = std::min(s.keep_bytes, s.probe_left_bytes);
    const double growth = s.keep_bytes > 0 ? kBelowKeptGrowth : kStepGrowth;
    if (dear) s.step = std::max(kStepMin, s.step / 2);
    if (!dear && s.probe_explored) s.step = std::min(kStepMax, s.step * growth);
    if (s.step >= kStepMax) s.futile_count = 0;  // after many successful probes old failures do not count
  }
  forget_probe(in, s);
  if (!in.sample || !in.sample->memory_current || !in.sample->memory_stat) return;
  const double current = static_cast<double>(*in.sample->memory_current);
  const double reclaimable = reclaimable_bytes(*in.sample);
  s.probe_took_bytes = std::clamp(current - new_bytes, 0.0, reclaimable);
  s.probe_left_bytes = reclaimable - s.probe_took_bytes;
  const double below = s.keep_bytes - s.probe_left_bytes;
  s.probe_explored = s.probe_took_bytes > 0 && (s.keep_bytes <= 0 || below > in.page_bytes);
  s.probe_unsure_bytes =
      s.keep_bytes > 0 && s.probe_explored ? std::min(below, s.probe_took_bytes) : s.probe_took_bytes;
}

Intent lower(const MemoryInput& in, const MemoryState& s) {
  const auto at = next_probe_at(in, s);  // checked first: it is cheap, and usually says no
  if (!at || in.now < *at) return {};
  const Descent d = descend(in, s);
  if (d.outlook.bar != ProbeBar::none || in.now < *d.outlook.at) return {};
  Reason why = reason_of(Rule::memory_probe, d.quiet, d.target);
  why.pressure_ratio = d.pressure;  // the ratio that was judged, not that of the last interval
  return {d.target, why};
}

}  // namespace memory

ProbeOutlook probe_outlook(const MemoryInput& in, const MemoryState& s) {
  return memory::descend(in, s).outlook;
}

}  // namespace sluice
