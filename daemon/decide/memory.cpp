#include "daemon/decide/memory.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace sluice {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kPage = 4096;
constexpr double kFloorFactor = 1.1;
constexpr double kGrowthHorizonSeconds = 2.0;  // head-room: what a growing task adds until the next decisions

// Upwards.
constexpr double kLasting = 3;  // times the target, over the slow window: more than probes may cost
constexpr double kSevere = 10;  // times the target, over the fast window: no graze, act at once
constexpr double kProbeSettleSeconds = 0.3;  // stalls this soon after a probe are its price, not a verdict
constexpr double kProbeStall = 0.1;          // unless some task stood still this much
constexpr double kNearLimit = 0.95;          // in use / high: closer than this, the limit is the cause
constexpr double kHoldIntervals = 5,
                 kGrazeHoldIntervals = 2;  // after a raise, probing waits this many intervals
constexpr double kGrazeFactor = 1.1;       // a smaller raise answered a graze
constexpr double kFutileScanPages = 512;   // in the window: fewer say nothing
constexpr double kFutileStealRatio = 0.1;
constexpr double kFutileFullRatio = 0.2;  // PSI full of the window
constexpr double kFutileHoldSeconds = 30, kFutileHoldMaxSeconds = 600;
constexpr double kRefaultShare = 0.002;       // of the memory in use, per second: the working set came back
constexpr double kFloorHeadroom = 1.03;       // or every page more would be a write
constexpr double kGrowthNoticeSeconds = 0.3;  // before the limit is met
constexpr double kGrowthMax = 1.1;            // of the memory in use, at one time
constexpr double kFastSeconds = 0.5, kSlowSeconds = 10;

// Between probes the limit is this far above what is in use, if anything moves.
constexpr double kRoomLeast = 0.03, kRoomMost = 0.2;    // of the memory in use
constexpr double kRoomSeconds = 15, kRoomBursts = 1.5;  // of what arrives, and of what came at one go
constexpr double kRoomSpent = 0.4;                      // less than this of it left: more
constexpr double kMovingInflow = 0.00025;               // of the memory in use, a second
constexpr double kMovingBurst = 0.005;                  // ... and at one go
constexpr double kInflowSeconds = 5, kRunSeconds = 0.2, kBurstSeconds = 300;  // in which they are forgotten

// Downwards.
constexpr double kStepMin = 0.002, kStepMax = 0.1;  // of the memory in use, into the unknown
constexpr double kStepGrowth = 1.5, kBelowKeptGrowth = 1.25;
constexpr double kWritableStep = 1.1;  // times the tolerance, which is of the limit and not of what is in use
constexpr double kKnownStep = 0.1;     // most at one time of what came above the memory that is kept
constexpr double kWorthStep = 0.02;    // less of that is not worth two writes
constexpr double kLooseLimit = 1.05;   // above where it belongs: worth a write
constexpr double kKnownShare = 0.5;    // of an interval, before it counts as quiet
constexpr double kWritesForRaises = 1.0 / 3;  // of the budget
// A probe failed when this much of what it took was read again; fewer pages say nothing.
constexpr double kFailedShare = 0.1, kFailedPagesLeast = 32;
constexpr double kJudgeIntervals = 4;  // between steps below what is kept
constexpr double kPayShare = 0.15;     // of the target: what failed probes may cost,
constexpr double kDebtShare = 0.6;     // ... and all stalls under a limit, or no probes meanwhile
constexpr double kExploreLeastSeconds = 10, kExploreMostSeconds = 900;
constexpr double kDebtFreeSeconds = 10, kDebtMostSeconds = 600;  // worth of the target

struct Window {
  double seconds = 0, some = 0, full = 0, pgscan = 0, pgsteal = 0, refaults = 0;
  double known_seconds = 0;  // of them, those whose pressure and refaults were measured
  double some_ratio() const { return seconds > 0 ? some / seconds : 0; }
  double full_ratio() const { return seconds > 0 ? full / seconds : 0; }
  double steal_ratio() const { return pgscan > 0 ? pgsteal / pgscan : 1; }
  double refaults_per_second() const { return seconds > 0 ? refaults / seconds : 0; }
};

Window over_last(const MemoryState& s, MonotonicTime now, double length) {
  // Most windows are short and the history is long, and seldom in the cache: found from its end.
  std::size_t first = s.recent.size();
  while (first > 0 && in_seconds(now - s.recent[first - 1].at) < length) --first;
  Window w;
  for (std::size_t i = first; i < s.recent.size(); ++i) {
    const auto& one = s.recent[i];
    w.seconds += one.seconds;
    w.some += one.some_seconds;
    w.full += one.full_seconds;
    w.pgscan += one.pgscan;
    w.pgsteal += one.pgsteal;
    w.refaults += one.refaults;
    w.known_seconds += one.quiet_is_known ? one.seconds : 0;
  }
  return w;
}

// Whether tasks stood still for longer than this in all of the slow window. Nearly always no, without a look
// at it.
bool stalled_for_more_than(double seconds_most, const MemoryState& s, MonotonicTime now) {
  constexpr double kRounding = 1e-6;
  return s.recent_some_seconds > seconds_most - kRounding &&
         over_last(s, now, kSlowSeconds).some > seconds_most;
}

Reason reason_of(Rule rule, const Window& w, double wanted) {
  Reason r;
  r.rule = rule;
  r.wanted = wanted;
  r.pressure_ratio = w.some_ratio();
  r.refaults_per_second = w.refaults_per_second();
  r.steal_scan_ratio = w.steal_ratio();
  return r;
}

// Unknown swap is no swap: the careful reading.
bool can_swap(const Sample& sample) {
  return sample.swap_free.value_or(0) > 0;
}

// What reclaim cannot free.
double held_bytes(const Sample& sample) {
  const auto& m = *sample.memory_stat;
  return static_cast<double>(m.unreclaimable) +
         (can_swap(sample) ? 0 : static_cast<double>(m.anon + m.shmem));
}

double reclaimable_bytes(const Sample& sample) {
  return std::max(0.0, static_cast<double>(*sample.memory_current) - held_bytes(sample));
}

// At its limit a task grows and shrinks at once: what reclaim took had come before.
void observe_arrivals(const Signals& g, MemoryState& s) {
  if (!g.memory_growth_bytes_per_second) return;
  const double dt = g.interval_seconds;
  const double came = *g.memory_growth_bytes_per_second + g.pgsteal_per_second.value_or(0) * kPage;
  const double weight = std::min(1.0, dt / kInflowSeconds);
  s.inflow_bytes_per_second = std::max(0.0, s.inflow_bytes_per_second * (1 - weight) + came * weight);
  s.run_bytes = s.run_bytes * std::exp(-dt / kRunSeconds) + std::max(0.0, came * dt);
  s.burst_bytes = std::max(s.burst_bytes * std::exp(-dt / kBurstSeconds), s.run_bytes);
}

// What the last probe took, and what that has cost.
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
      s.probe_refaults > std::max(kFailedPagesLeast, kFailedShare * s.probe_unsure_bytes / kPage)) {
    // Not all of what is needed has come back yet.
    const double needed = s.keep_bytes > 0 ? 2 * s.probe_refaults * kPage : s.probe_took_bytes;
    s.keep_bytes = std::max(s.keep_bytes, s.probe_left_bytes + std::min(needed, s.probe_took_bytes));
    if (s.probe_explored && !s.probe_failed) s.step = std::max(kStepMin, s.step / 2);
    s.probe_failed = true;
    const double pays = s.probe_some_seconds / (kPayShare * in.pressure_target);
    s.explore_at =
        std::max(s.explore_at,
                 s.probed_at + from_seconds(std::clamp(pays, kExploreLeastSeconds, kExploreMostSeconds)));
  }
}

// How far the limit is to be above what is in use, until the next probe.
double room_bytes(const MemoryState& s, double current) {
  const double moves = std::max(s.inflow_bytes_per_second * kRoomSeconds, s.burst_bytes * kRoomBursts);
  return std::clamp(moves, kRoomLeast * current, kRoomMost * current);
}

bool moving(const MemoryState& s, double current) {
  return s.inflow_bytes_per_second > kMovingInflow * current || s.burst_bytes > kMovingBurst * current;
}

// No raise is left that the tolerance would not swallow.
bool at_bound(const MemoryInput& in) {
  return in.high_bytes >= in.max_bytes * (1 - in.tolerance);
}

bool futile(const Window& w, bool near_limit) {
  if (!near_limit) return false;
  const bool frees_nothing = w.pgscan >= kFutileScanPages && w.steal_ratio() < kFutileStealRatio;
  return frees_nothing || w.full_ratio() > kFutileFullRatio;
}

// Where memory.high may go, or infinity.
double lower_to(const MemoryInput& in, const MemoryState& s, double current) {
  const double least = kWritableStep * in.tolerance;
  if (s.keep_bytes <= 0) return current * (1 - std::max(s.step, least));
  const double above = reclaimable_bytes(*in.sample) - s.keep_bytes;
  const double worth = std::max(least, kWorthStep);
  // With swap, what came may be anon, and not cold at all.
  const double most = can_swap(*in.sample) ? std::clamp(s.step, worth, kKnownStep) : kKnownStep;
  const double take = std::min(above, most * current);
  const bool judged =
      !s.probe_explored || in.now - s.probed_at >= from_seconds(kJudgeIntervals * in.interval_seconds);
  if (take == above && judged && in.now >= s.explore_at) {
    // Small steps need room above what is in use, or the tolerance would swallow them.
    const bool writable = current * (1 + in.tolerance) < in.high_bytes;
    return current - std::max(0.0, above) - (writable ? s.step : std::max(s.step, least)) * current;
  }
  if (take >= worth * current) return current - take;
  // Nothing to take; but a limit that was left far above protects the node from nothing.
  const double belongs = current + std::max(0.0, -above) + room_bytes(s, current);
  return in.high_bytes > kLooseLimit * belongs ? belongs : kInfinity;
}

// Not in every tick: the oldest entry is in no cache.
void forget_old(const MemoryInput& in, MemoryState& s) {
  const double keep = std::max(in.interval_seconds, kSlowSeconds);
  while (!s.recent.empty() && in_seconds(in.now - s.recent.front().at) > keep) {
    s.recent_some_seconds -= s.recent.front().some_seconds;
    s.recent.pop_front();
  }
}

// The last probe is judged, and the next one begins.
void note_probe(const MemoryInput& in, double new_bytes, MemoryState& s) {
  const double elapsed = std::min(in_seconds(in.now - s.probed_at), kSlowSeconds);
  const bool dear = over_last(s, in.now, elapsed).some > in.pressure_target * elapsed / 2;
  if (!s.probe_failed) {
    if (s.probe_explored && s.keep_bytes > 0) s.keep_bytes = std::min(s.keep_bytes, s.probe_left_bytes);
    const double growth = s.keep_bytes > 0 ? kBelowKeptGrowth : kStepGrowth;
    if (dear) s.step = std::max(kStepMin, s.step / 2);
    if (!dear && s.probe_explored) s.step = std::min(kStepMax, s.step * growth);
    if (s.step >= kStepMax) s.futile_count = 0;  // a run of clean probes: the past is past
  }
  s.probed_at = in.now;
  s.probe_took_bytes = s.probe_unsure_bytes = 0;
  s.probe_explored = s.probe_failed = false;
  s.probe_refaults = s.probe_some_seconds = 0;
  if (!in.sample || !in.sample->memory_current || !in.sample->memory_stat) return;
  const double current = static_cast<double>(*in.sample->memory_current);
  const double reclaimable = reclaimable_bytes(*in.sample);
  s.probe_took_bytes = std::clamp(current - new_bytes, 0.0, reclaimable);
  s.probe_left_bytes = reclaimable - s.probe_took_bytes;
  const double below = s.keep_bytes - s.probe_left_bytes;
  s.probe_explored = s.probe_took_bytes > 0 && (s.keep_bytes <= 0 || below > kPage);
  s.probe_unsure_bytes =
      s.keep_bytes > 0 && s.probe_explored ? std::min(below, s.probe_took_bytes) : s.probe_took_bytes;
}

// At once, on any tick. None: a limit that may stay as it is, or go down.
std::optional<Intent> raise_memory(const MemoryInput& in, const MemoryState& s, double current,
                                   std::optional<double> floor) {
  const bool near_limit = current >= kNearLimit * in.high_bytes;
  const Window fast = over_last(s, in.now, kFastSeconds);
  if (s.write_blocked || futile(fast, near_limit)) {
    if (in.high_bytes >= in.max_bytes) return Intent{};
    return Intent{in.max_bytes, reason_of(Rule::memory_futile, fast, in.max_bytes)};
  }
  if (floor && in.high_bytes < *floor) {
    const double target = kFloorHeadroom * *floor;
    return Intent{target, reason_of(Rule::memory_floor, fast, target)};
  }
  if (at_bound(in)) return std::nullopt;
  // The target is a mean: probes may cost a graze, and wait for each other so that grazes stay rare
  // (below). What lasts beyond that is the limit's fault, and a stall is not waited for.
  const double since_probe = in_seconds(in.now - s.probed_at);
  const double settled = since_probe - kProbeSettleSeconds;
  const bool all_of_it = settled >= kFastSeconds || fast.some_ratio() > kProbeStall;
  const Window up = all_of_it ? fast : over_last(s, in.now, std::max(settled, 0.0));
  const bool severe = up.some_ratio() > kSevere * in.pressure_target;
  if (near_limit &&
      (severe || stalled_for_more_than(kLasting * in.pressure_target * kSlowSeconds, s, in.now))) {
    // Severity says how far: a little for a graze, half as much again for a stall.
    const double over = std::log2(std::max(1.0, up.some_ratio() / in.pressure_target));
    const double target =
        std::max(current, in.high_bytes) * (1 + std::clamp(0.05 * (over - std::log2(kSevere)), 0.03, 0.5));
    const Window shown = severe ? up : over_last(s, in.now, kSlowSeconds);
    return Intent{target, reason_of(Rule::memory_pressure, shown, target)};
  }
  if (near_limit && up.refaults_per_second() * kPage > kRefaultShare * current) {
    const double target = std::max(current, in.high_bytes) * 1.05;
    return Intent{target, reason_of(Rule::memory_refault, up, target)};
  }
  if (near_limit && floor && s.probe_failed) {
    const double target = kFloorHeadroom * (held_bytes(*in.sample) + s.keep_bytes);
    if (target > in.high_bytes * (1 + in.tolerance))
      return Intent{target, reason_of(Rule::memory_refault, up, target)};
  }
  // A task that grows meets its limit sooner or later, and pays for every page of it. Room for one
  // interval: what it fills with cold pages, the next probe takes back from outside, without its help.
  const double growth = s.growth_bytes_per_second;
  const bool soon = growth * kGrowthNoticeSeconds > 0.001 * current;
  const double room = room_bytes(s, current);
  const double comes = std::max(soon ? growth * kGrowthNoticeSeconds : 0, kRoomSpent * room);
  if ((soon || moving(s, current)) && current + comes > in.high_bytes) {
    const double grows = soon ? std::min(growth * in.interval_seconds, (kGrowthMax - 1) * current) : 0;
    const double target = current + std::max(grows, room);
    if (target > in.high_bytes * (1 + in.tolerance))
      return Intent{target, reason_of(Rule::memory_growth, up, target)};
  }
  return std::nullopt;
}

Intent lower_memory(const MemoryInput& in, const MemoryState& s, double current,
                    std::optional<double> floor) {
  // Never without a floor, measured pressure and refaults, and a quiet interval that was seen to
  // be quiet: most of it, for a sample may get lost.
  if (!floor || !in.signals || !in.signals->memory_pressure_ratio || !in.signals->refaults_per_second)
    return {};
  if (in.now < s.hold_until) return {};
  // The nearer the share of the budget that is for the ways up, the more seldom.
  const double left = static_cast<double>(in.writes_left) / std::max(1U, in.writes_per_minute);
  const double spare = (left - kWritesForRaises) / (1 - kWritesForRaises);
  const double since = in_seconds(in.now - std::max(s.observed_since, s.probed_at));
  if (since * spare < in.interval_seconds) return {};
  const double target = std::max(*floor, lower_to(in, s, current));
  // What the tolerance would drop is not asked for: at its floor a task would be probed in every tick.
  if (target >= in.high_bytes * (1 - in.tolerance)) return {};
  const Window quiet = over_last(s, in.now, in.interval_seconds);
  if (quiet.known_seconds < kKnownShare * in.interval_seconds) return {};
  const double pressure = over_last(s, in.now, kSlowSeconds).some / kSlowSeconds;
  if (quiet.refaults_per_second() * kPage > kRefaultShare * current / 2) return {};
  // At its bound a task reclaims what it does not read again, and stalls: less in use is the cure.
  const bool walled = at_bound(in) && current >= kNearLimit * in.max_bytes;
  const bool dear =
      pressure > in.pressure_target / 2 || s.debt_seconds > kDebtFreeSeconds * in.pressure_target;
  if (dear && !walled) return {};
  Reason why = reason_of(Rule::memory_probe, quiet, target);
  why.pressure_ratio = pressure;  // what was judged, not the last moment's
  return {target, why};
}

}  // namespace

std::optional<double> memory_floor(const Sample& sample, double min_bytes, double growth) {
  if (!sample.memory_stat) return std::nullopt;
  double held = held_bytes(sample);
  if (!can_swap(sample)) held += std::max(0.0, growth) * kGrowthHorizonSeconds;
  return std::max(min_bytes, kFloorFactor * held);
}

void observe_memory(const MemoryInput& in, MemoryState& s) {
  if (s.observed_since == MonotonicTime{}) s.observed_since = in.now;
  if (in.write_blocked) s.write_blocked = true;
  if (!in.signals || in.signals->interval_seconds <= 0) return;
  const Signals& g = *in.signals;
  const double dt = g.interval_seconds;
  observe_arrivals(g, s);
  observe_price(in, g, s);
  if (s.recent.full()) forget_old(in, s);
  s.recent.push_back({in.now, dt, g.memory_pressure_ratio.value_or(0) * dt,
                      g.memory_full_pressure_ratio.value_or(0) * dt, g.pgscan_per_second.value_or(0) * dt,
                      g.pgsteal_per_second.value_or(0) * dt, g.refaults_per_second.value_or(0) * dt,
                      g.memory_pressure_ratio && g.refaults_per_second});
  s.recent_some_seconds += s.recent.back().some_seconds;
  constexpr double kSmoothing = 0.3;
  // A fall is reclaim's doing and says nothing about the task.
  if (g.memory_growth_bytes_per_second && *g.memory_growth_bytes_per_second >= 0) {
    s.growth_bytes_per_second =
        s.growth_bytes_per_second * (1 - kSmoothing) + *g.memory_growth_bytes_per_second * kSmoothing;
  }
  if (g.anon_growth_bytes_per_second) {
    s.anon_growth_bytes_per_second =
        s.anon_growth_bytes_per_second * (1 - kSmoothing) + *g.anon_growth_bytes_per_second * kSmoothing;
  }
}

Intent decide_memory(const MemoryInput& in, const MemoryState& s) {
  if (!in.sample || !in.sample->memory_current) return {};
  const double current = static_cast<double>(*in.sample->memory_current);
  const auto floor = memory_floor(*in.sample, in.min_bytes, s.anon_growth_bytes_per_second);
  if (!std::isinf(in.high_bytes)) {
    if (const auto up = raise_memory(in, s, current, floor)) return *up;
  }
  return lower_memory(in, s, current, floor);
}

void memory_written(const MemoryInput& in, double old_bytes, double new_bytes, Rule rule, MemoryState& s) {
  if (new_bytes < old_bytes) {
    note_probe(in, new_bytes, s);
    return;
  }
  if (rule == Rule::memory_growth) return;  // no mistake to learn from
  s.step = std::max(kStepMin, s.step / 2);
  double hold = kHoldIntervals * in.interval_seconds;
  if (rule == Rule::memory_futile) {
    hold = std::min(kFutileHoldMaxSeconds, kFutileHoldSeconds * std::exp2(s.futile_count));
    ++s.futile_count;
    s.write_blocked = false;
  } else if (new_bytes < old_bytes * kGrazeFactor) {
    hold = kGrazeHoldIntervals * in.interval_seconds;
  } else if (rule == Rule::memory_floor) {
    hold = in.interval_seconds;  // growth, not a mistake
  }
  s.hold_until = in.now + from_seconds(hold);
  // What was seen before the raise says nothing about the new limit.
  s.recent.clear();
  s.recent_some_seconds = 0;
}

}  // namespace sluice
