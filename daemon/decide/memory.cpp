#include "daemon/decide/memory.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

namespace sluice {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kPage = 4096;
constexpr double kFloorFactor = 1.1;
constexpr double kGrowthHorizonSeconds = 2.0;  // head-room: what a growing task adds until the next decisions
constexpr double kStepMin = 0.002, kStepMax = 0.05, kStepGrowth = 1.5;
constexpr double kWritableStep = 1.1;  // times the tolerance, which is of the limit and not of what is in use
constexpr double kLasting = 3;         // times the target, over the slow window: more than probes may cost
constexpr double kProbeSettleSeconds = 0.3;  // stalls this soon after a probe are its price, not a verdict
constexpr double kProbeStall = 0.1;          // unless some task stood still this much
constexpr double kNearLimit = 0.95;          // in use / high: closer than this, the limit is the cause
constexpr double kHoldIntervals = 5,
                 kGrazeHoldIntervals = 2;  // after a raise, probing waits this many intervals
constexpr double kGrazeFactor = 1.1;       // a smaller raise answered a graze
constexpr double kFutileWindowSeconds = 0.5;
constexpr double kFutileScanPages = 512;  // in the window: fewer say nothing
constexpr double kFutileStealRatio = 0.1;
constexpr double kFutileFullRatio = 0.2;  // PSI full of the window
constexpr double kFutileHoldSeconds = 30, kFutileHoldMaxSeconds = 600;
constexpr double kRefaultShare = 0.002;       // of the memory in use, per second: the working set came back
constexpr double kFloorHeadroom = 1.03;       // or every page more would be a write
constexpr double kGrowthNoticeSeconds = 0.3;  // before the limit is met
constexpr double kGrowthMax = 1.1;            // of the memory in use, at one time
constexpr double kKnownShare = 0.5;           // of an interval, before it counts as quiet
constexpr double kFastSeconds = 0.5, kSlowSeconds = 10;
constexpr double kSevere = 10;  // times the target, over the fast window: no graze, act at once

double seconds(MonotonicTime t) {
  return std::chrono::duration<double>(t).count();
}
MonotonicTime from_seconds(double s) {
  return std::chrono::duration_cast<MonotonicTime>(std::chrono::duration<double>(s));
}

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
  auto i = s.recent.end();
  while (i != s.recent.begin() && sluice::seconds(now - std::prev(i)->at) < length) --i;
  Window w;
  for (; i != s.recent.end(); ++i) {
    w.seconds += i->seconds;
    w.some += i->some_seconds;
    w.full += i->full_seconds;
    w.pgscan += i->pgscan;
    w.pgsteal += i->pgsteal;
    w.refaults += i->refaults;
    w.known_seconds += i->quiet_is_known ? i->seconds : 0;
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

bool futile(const Window& w, bool near_limit) {
  if (!near_limit) return false;
  const bool frees_nothing = w.pgscan >= kFutileScanPages && w.steal_ratio() < kFutileStealRatio;
  return frees_nothing || w.full_ratio() > kFutileFullRatio;
}

}  // namespace

std::optional<double> memory_floor(const Sample& sample, double min_bytes, double growth) {
  if (!sample.memory_stat) return std::nullopt;
  const auto& m = *sample.memory_stat;
  // Unknown swap is no swap: the careful reading.
  const bool can_swap = sample.swap_free.value_or(0) > 0;
  double held = static_cast<double>(m.unreclaimable) + (can_swap ? 0 : static_cast<double>(m.anon + m.shmem));
  if (!can_swap) held += std::max(0.0, growth) * kGrowthHorizonSeconds;
  return std::max(min_bytes, kFloorFactor * held);
}

void observe_memory(const MemoryInput& in, MemoryState& s) {
  if (s.observed_since == MonotonicTime{}) s.observed_since = in.now;
  if (in.write_blocked) s.write_blocked = true;
  if (!in.signals || in.signals->interval_seconds <= 0) return;
  const Signals& g = *in.signals;
  const double dt = g.interval_seconds;
  s.recent.push_back({in.now, dt, g.memory_pressure_ratio.value_or(0) * dt,
                      g.memory_full_pressure_ratio.value_or(0) * dt, g.pgscan_per_second.value_or(0) * dt,
                      g.pgsteal_per_second.value_or(0) * dt, g.refaults_per_second.value_or(0) * dt,
                      g.memory_pressure_ratio && g.refaults_per_second});
  s.recent_some_seconds += s.recent.back().some_seconds;
  const double keep = std::max(in.interval_seconds, kSlowSeconds);
  while (!s.recent.empty() && seconds(in.now - s.recent.front().at) > keep) {
    s.recent_some_seconds -= s.recent.front().some_seconds;
    s.recent.pop_front();
  }
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
  const bool limited = !std::isinf(in.high_bytes);
  const bool near_limit = limited && current >= kNearLimit * in.high_bytes;

  if (limited) {
    const Window fast = over_last(s, in.now, kFutileWindowSeconds);
    if (s.write_blocked || futile(fast, near_limit)) {
      if (in.high_bytes >= in.max_bytes) return {};
      return {in.max_bytes, reason_of(Rule::memory_futile, fast, in.max_bytes)};
    }
    if (floor && in.high_bytes < *floor) {
      const double target = kFloorHeadroom * *floor;
      return {target, reason_of(Rule::memory_floor, fast, target)};
    }
    // The target is a mean: probes may cost a graze, and wait for each other so that grazes stay rare
    // (below). What lasts beyond that is the limit's fault, and a stall is not waited for.
    const double since_probe = seconds(in.now - s.probed_at);
    Window up = over_last(s, in.now, std::clamp(since_probe - kProbeSettleSeconds, 0.0, kFastSeconds));
    if (over_last(s, in.now, kFastSeconds).some_ratio() > kProbeStall)
      up = over_last(s, in.now, kFastSeconds);
    const bool severe = up.some_ratio() > kSevere * in.pressure_target;
    if (near_limit &&
        (severe || stalled_for_more_than(kLasting * in.pressure_target * kSlowSeconds, s, in.now))) {
      // Severity says how far: a little for a graze, half as much again for a stall.
      const double over = std::log2(std::max(1.0, up.some_ratio() / in.pressure_target));
      const double target =
          std::max(current, in.high_bytes) * (1 + std::clamp(0.05 * (over - std::log2(kSevere)), 0.03, 0.5));
      const Window shown = severe ? up : over_last(s, in.now, kSlowSeconds);
      return {target, reason_of(Rule::memory_pressure, shown, target)};
    }
    if (near_limit && up.refaults_per_second() * kPage > kRefaultShare * current) {
      const double target = std::max(current, in.high_bytes) * 1.05;
      return {target, reason_of(Rule::memory_refault, up, target)};
    }
    // A task that grows meets its limit sooner or later, and pays for every page of it. Room for one
    // interval: what it fills with cold pages, the next probe takes back from outside, without its help.
    const double growth = s.growth_bytes_per_second;
    if (growth * kGrowthNoticeSeconds > 0.001 * current &&
        current + growth * kGrowthNoticeSeconds > in.high_bytes) {
      const double target = std::min(current + growth * in.interval_seconds, kGrowthMax * current);
      if (target > in.high_bytes) return {target, reason_of(Rule::memory_growth, up, target)};
    }
  }

  // Downwards: never without a floor, measured pressure and refaults, and a quiet interval that was seen to
  // be quiet: most of it, for a sample may get lost.
  if (!floor || !in.signals || !in.signals->memory_pressure_ratio || !in.signals->refaults_per_second)
    return {};
  if (in.now < s.hold_until) return {};
  // A step that the tolerance swallows would never be judged, nor grow again. A larger one is taken instead,
  // and more seldom than in proportion: the step is small because larger ones stalled the task.
  const double step = std::max(s.step, kWritableStep * in.tolerance);
  const double larger = step / s.step;
  const double wait = in.interval_seconds * larger * larger;
  if (seconds(in.now - std::max(s.observed_since, s.probed_at)) < wait) return {};
  const double target = std::max(*floor, current * (1 - step));
  // What the tolerance would drop is not asked for: at its floor a task would be probed in every tick.
  if (target >= (limited ? in.high_bytes * (1 - in.tolerance) : kInfinity)) return {};
  const Window quiet = over_last(s, in.now, in.interval_seconds);
  if (quiet.known_seconds < kKnownShare * in.interval_seconds) return {};
  const double pressure = over_last(s, in.now, kSlowSeconds).some / kSlowSeconds;
  if (pressure > in.pressure_target / 2 ||
      quiet.refaults_per_second() * kPage > kRefaultShare * current / 2) {
    return {};
  }
  Reason why = reason_of(Rule::memory_probe, quiet, target);
  why.pressure_ratio = pressure;  // what was judged, not the last moment's
  return {target, why};
}

void memory_written(const MemoryInput& in, double old_bytes, double new_bytes, Rule rule, MemoryState& s) {
  if (new_bytes < old_bytes) {
    // The last probe's price sets the size of the next: a step that stalled the task was too large.
    const double elapsed = std::min(seconds(in.now - s.probed_at), kSlowSeconds);
    const bool dear = over_last(s, in.now, elapsed).some > in.pressure_target * elapsed / 2;
    s.step = dear ? std::max(kStepMin, s.step / 2) : std::min(kStepMax, s.step * kStepGrowth);
    s.probed_at = in.now;
    if (s.step >= kStepMax) s.futile_count = 0;  // a run of clean probes: the past is past
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
