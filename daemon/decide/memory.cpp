#include "daemon/decide/memory.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "daemon/decide/memory_parts.hpp"

namespace sluice {

using namespace memory;

namespace {

constexpr double kFloorFactor = 1.1;
constexpr double kGrowthHorizonSeconds = 2.0;  // seconds of growth that the floor leaves as head-room

// Raises.
constexpr double kLasting = 3;  // factor on the target, over the slow window: more than probes may cost
constexpr double kSevere = 10;  // factor on the target, over the fast window: raise at once
constexpr double kProbeSettleSeconds = 0.3;  // seconds; stalls this soon after a probe are caused by it
constexpr double kProbeStall = 0.1;          // some ratio; a larger stall counts even then
constexpr double kHoldIntervals = 5,
                 kGrazeHoldIntervals = 2;  // intervals without a probe after a raise
constexpr double kGrazeFactor = 1.1;  // ratio; a smaller raise answers a small stall and has the short hold
constexpr double kFutileScanPages = 512;  // pages in the window; fewer are no evidence
constexpr double kFutileStealRatio = 0.1;
constexpr double kFutileFullRatio = 0.2;  // PSI full over the window
constexpr double kFutileHoldSeconds = 30, kFutileHoldMaxSeconds = 600;
constexpr double kFloorHeadroom = 1.03;       // factor; without it each further page would cost a write
constexpr double kGrowthNoticeSeconds = 0.3;  // seconds before the limit is reached
constexpr double kGrowthMax = 1.1;            // factor on the memory in use, for one raise

// Whether stalls in the slow window exceed `seconds_most`. The running sum answers no in most cases without a
// walk of the window.
bool stalled_for_more_than(double seconds_most, const MemoryState& s, MonotonicTime now) {
  constexpr double kRounding = 1e-6;
  return s.recent_some_seconds > seconds_most - kRounding &&
         over_last(s, now, kSlowSeconds).some > seconds_most;
}

// A task at its limit grows while it is reclaimed: what reclaim freed had arrived too.
void observe_arrivals(const MemoryInput& in, const Signals& g, MemoryState& s) {
  if (!g.memory_growth_bytes_per_second) return;
  const double dt = g.interval_seconds;
  const double came = *g.memory_growth_bytes_per_second + g.pgsteal_per_second.value_or(0) * in.page_bytes;
  const double weight = std::min(1.0, dt / kInflowSeconds);
  s.inflow_bytes_per_second = std::max(0.0, s.inflow_bytes_per_second * (1 - weight) + came * weight);
  s.recent_growth_bytes = s.recent_growth_bytes * std::exp(-dt / kRunSeconds) + std::max(0.0, came * dt);
  s.peak_growth_bytes = std::max(s.peak_growth_bytes * std::exp(-dt / kBurstSeconds), s.recent_growth_bytes);
}

bool moving(const MemoryState& s, double current) {
  return s.inflow_bytes_per_second > kMovingInflow * current || s.peak_growth_bytes > kMovingBurst * current;
}

bool futile(const Window& w, bool near_limit) {
  if (!near_limit) return false;
  const bool frees_nothing = w.pgscan >= kFutileScanPages && w.steal_ratio() < kFutileStealRatio;
  return frees_nothing || w.full_ratio() > kFutileFullRatio;
}

// Not called in every tick, because the oldest entry is not in the CPU cache.
void forget_old(const MemoryInput& in, MemoryState& s) {
  const double keep = std::max(in.interval_seconds, kSlowSeconds);
  while (!s.recent.empty() && in_seconds(in.now - s.recent.front().at) > keep) {
    s.recent_some_seconds -= s.recent.front().some_seconds;
    s.recent.pop_front();
  }
}

// Raises happen at once, on any tick. None: no raise is needed, a probe may follow.
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
  // The target is a mean over time. Probes may cause short stalls, and are spaced so that these stay rare.
  // Longer stalls are caused by the limit, and a severe stall raises it at once.
  const double since_probe = in_seconds(in.now - s.probed_at);
  const double settled = since_probe - kProbeSettleSeconds;
  const bool all_of_it = settled >= kFastSeconds || fast.some_ratio() > kProbeStall;
  const Window up = all_of_it ? fast : over_last(s, in.now, std::max(settled, 0.0));
  const bool severe = up.some_ratio() > kSevere * in.pressure_target;
  if (near_limit &&
      (severe || stalled_for_more_than(kLasting * in.pressure_target * kSlowSeconds, s, in.now))) {
    // The size of the raise follows the severity: 3 % for a small stall, up to half for a severe one.
    const double over = std::log2(std::max(1.0, up.some_ratio() / in.pressure_target));
    const double target =
        std::max(current, in.high_bytes) * (1 + std::clamp(0.05 * (over - std::log2(kSevere)), 0.03, 0.5));
    const Window shown = severe ? up : over_last(s, in.now, kSlowSeconds);
    return Intent{target, reason_of(Rule::memory_pressure, shown, target)};
  }
  if (near_limit && up.refaults_per_second() * in.page_bytes > kRefaultShare * current) {
    const double target = std::max(current, in.high_bytes) * 1.05;
    return Intent{target, reason_of(Rule::memory_refault, up, target)};
  }
  if (near_limit && floor && s.probe_failed) {
    const double target = kFloorHeadroom * (held_bytes(*in.sample) + s.keep_bytes);
    if (target > in.high_bytes * (1 + in.tolerance))
      return Intent{target, reason_of(Rule::memory_refault, up, target)};
  }
  // A growing task would reach its limit and pay for every page above it. The raise gives head-room for one
  // interval. If cold pages fill it, the next probe reclaims them at no cost to the task.
  const double growth = s.growth_bytes_per_second;
  const bool soon = growth * kGrowthNoticeSeconds > 0.001 * current;
  const double room = room_bytes(s, current);
  const double comes = std::max(soon ? growth * kGrowthNoticeSeconds : 0, kRoomSpent * room);
  if ((soon || moving(s, current)) && current + comes > in.high_bytes) {
    const double grows = soon ? std::min(growth * in.interval_seconds, (kGrowthMax - 1) * current) : 0;
    const double target = current + std::max(grows, room);
    if (target > in.high_bytes * (1 + in.tolerance))
      return Intent{target, reason_of(soon ? Rule::memory_growth : Rule::memory_room, up, target)};
  }
  return std::nullopt;
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
  observe_arrivals(in, g, s);
  observe_price(in, g, s);
  if (s.recent.full()) forget_old(in, s);
  s.recent.push_back({in.now, dt, g.memory_pressure_ratio.value_or(0) * dt,
                      g.memory_full_pressure_ratio.value_or(0) * dt, g.pgscan_per_second.value_or(0) * dt,
                      g.pgsteal_per_second.value_or(0) * dt, g.refaults_per_second.value_or(0) * dt,
                      g.memory_pressure_ratio && g.refaults_per_second});
  s.recent_some_seconds += s.recent.back().some_seconds;
  constexpr double kSmoothing = 0.3;
  // A fall is caused by reclaim and shows nothing about the task.
  if (g.memory_growth_bytes_per_second && *g.memory_growth_bytes_per_second >= 0) {
    s.growth_bytes_per_second =
        s.growth_bytes_per_second * (1 - kSmoothing) + *g.memory_growth_bytes_per_second * kSmoothing;
  }
  if (g.anon_growth_bytes_per_second) {
    s.anon_growth_bytes_per_second =
        s.anon_growth_bytes_per_second * (1 - kSmoothing) + *g.anon_growth_bytes_per_second * kSmoothing;
  }
}

void skip_pause(Nsec length, MemoryState& s) {
  for (auto& each : s.recent) each.at += length;
  for (auto* at : {&s.observed_since, &s.probed_at, &s.hold_until, &s.explore_at}) {
    if (*at != MonotonicTime{}) *at += length;
  }
}

Intent decide_memory(const MemoryInput& in, const MemoryState& s) {
  if (!in.sample || !in.sample->memory_current) return {};
  const double current = static_cast<double>(*in.sample->memory_current);
  const auto floor = memory_floor(*in.sample, in.min_bytes, s.anon_growth_bytes_per_second);
  if (!std::isinf(in.high_bytes)) {
    if (const auto up = raise_memory(in, s, current, floor)) return *up;
  }
  return lower(in, s);
}

void memory_written(const MemoryInput& in, double old_bytes, double new_bytes, Rule rule, MemoryState& s) {
  if (new_bytes < old_bytes) {
    s.cut_by_others = rule != Rule::memory_probe;
    return s.cut_by_others ? forget_probe(in, s) : note_probe(in, new_bytes, s);
  }
  // growth is no wrong cut: nothing to learn
  if (rule == Rule::memory_growth || rule == Rule::memory_room) return;
  const bool mistake = !std::exchange(s.cut_by_others, false);
  if (mistake) s.step = std::max(kStepMin, s.step / 2);
  double hold = kHoldIntervals * in.interval_seconds;
  if (rule == Rule::memory_futile) {
    hold = std::min(kFutileHoldMaxSeconds, kFutileHoldSeconds * std::exp2(s.futile_count));
    if (mistake) ++s.futile_count;
    s.write_blocked = false;
  } else if (new_bytes < old_bytes * kGrazeFactor) {
    hold = kGrazeHoldIntervals * in.interval_seconds;
  } else if (rule == Rule::memory_floor) {
    hold = in.interval_seconds;  // growth, not a wrong cut
  }
  s.hold_until = in.now + from_seconds(hold);
  // Samples from before the raise do not describe the new limit.
  s.recent.clear();
  s.recent_some_seconds = 0;
}

}  // namespace sluice
