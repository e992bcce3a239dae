#include "daemon/decide/cpu.hpp"

#include <algorithm>
#include <cmath>

namespace sluice {
namespace {

// Searched for with tests/bench on the shared traces and generated shapes, as those of cpu_work.cpp.
constexpr double kNeedNoise = 1.1;  // costs are means, and a backlog is seen late: assume a tenth more
// The deadline that is planned for: max_delay less the time to see, to write, and to serve within a period.
constexpr double kDeadlineShareMin = 0.78, kDeadlineShare = 0.95, kDeadlineLess = 0.14;
constexpr double kFewLooks = 5;                  // periods within max_delay
constexpr double kSharedService = 1.5;           // what is in service ends all at once, not in arrival order
constexpr double kDrainDelays = 4.5;             // a backlog with slack drains over this many max_delays
constexpr double kOver = 1.3, kOverSpent = 0.2;  // a raise goes beyond the need, more so as the budget goes
constexpr double kRaiseMin = 1.1;                // a raise is worth its write
constexpr double kShrinkMax = 0.88;              // and so is a cut
// With kernel signals: when, as shares of the last moment, and how far, as shares of the way to the bound.
constexpr int kStages = 4;
constexpr double kLastShare = 0.9, kFirstShare = 0.32, kStageReach = 0.8, kStageMin = 1.07;
constexpr double kAgainDelays = 0.15;
constexpr double kSufficedShare = 0.6;  // of what sufficed lately, the first stage may take at once
constexpr double kThreadRoom = 1.25;    // cores a runnable thread: a sample may miss some
constexpr double kPrice = 0.01, kPriceExponent = 3.3, kPriceBudget = 0.8, kPriceExponentMax = 20;
constexpr std::uint32_t kWritesForRaises = 3;  // the last writes of a budget are not for cuts
constexpr double kStepSeconds = 10;      // a step less must have been enough for so long: pools follow it
constexpr double kObserveSeconds = 2.0;  // before the first finite quota is chosen
constexpr double kUndoFactorMax = 1.15;  // a larger cut was right in kind: only its size is mended
constexpr double kUndoSeconds = 3.0;     // a raise this soon after a cut says that the cut was wrong
constexpr double kMarginUpUndo = 0.10, kMarginMax = 1.0;
constexpr double kUsedUpRaise = 2;   // a quota that is used up says nothing of how far
constexpr double kBurstShare = 0.5;  // of a burst that a raise is trusted to bring along
constexpr double kFloorCores = 0.01;

double mean_arrival(const CpuState& s) {
  double work = 0, time = 0;
  for (const auto& r : s.arrivals) {
    work += r.cores * r.interval_seconds;
    time += r.interval_seconds;
  }
  return time > 0 ? work / time : 0;
}

// `head_start`: so many seconds' worth of the quota can run at once.
double earliest_deadline_need(const CpuInput& in, const CpuState& s, double head_start = 0) {
  const double delay = in.max_delay_seconds;
  const double deadline = std::max(kDeadlineShareMin * delay, kDeadlineShare * delay - kDeadlineLess);
  double need = 0, sum = 0;
  for (const auto& c : s.waiting) {
    sum += c.cpu_seconds;
    const double left = std::max(deadline - in_seconds(in.now - c.arrived), in.period_seconds / 2);
    need = std::max(need, std::max(sum, kSharedService * s.in_service_cpu_seconds) / (left + head_start));
  }
  // With nothing behind it, what was read from sockets and is in service may be as old as the last moment
  // with nothing to run. That matters where there are few looks before a deadline.
  const bool last_ones = s.in_service_cpu_seconds > 0 && s.in_service_cpu_seconds >= s.backlog_cpu_seconds;
  if (s.oldest_wait_since && last_ones && !in.load_valid && delay < kFewLooks * in.period_seconds) {
    const double left = std::max(deadline - in_seconds(in.now - *s.oldest_wait_since), in.period_seconds / 2);
    need = std::max(need, s.in_service_cpu_seconds / (left + head_start));
  }
  return kNeedNoise * need;
}

// How much of the time that a record may wait is used up. With a deadline of about a period there is no later
// look.
int due_stage(const CpuInput& in, const CpuState& s) {
  const auto since = hidden_backlog_since(in, s);
  if (!since) return 0;
  const double last = kLastShare * in.max_delay_seconds;
  const double age = in_seconds(in.now - *since);
  const double ahead = last < 2 * in.period_seconds ? in.period_seconds : 0;
  if (age + ahead >= last) return kStages;
  int stage = 0;
  for (int i = 1; i < kStages; ++i) {
    const double share = kFirstShare + (1 - kFirstShare) * (i - 1) / (kStages - 1);
    if (age + ahead >= share * last) stage = i;
  }
  if (in.memory_stalled) return 0;
  return stage;
}

// What a write is worth, in core-seconds: little while the budget is whole, without bound when it is spent,
// so that raises always find some left. Few writes a minute are dear from the start.
double price(const CpuInput& in) {
  const double spent = std::clamp(in.budget_spent_ratio, 0.0, 1.0);
  const double scarcity = std::pow(60.0 / std::max(1U, in.writes_per_minute), kPriceBudget);
  const double exponent = std::min(kPriceExponentMax, kPriceExponent * scarcity * spent);
  return kPrice * (std::exp(exponent) - 1) / std::max(1e-3, 1 - spent);
}

std::uint32_t kept_for_raises(const CpuInput& in) {
  return std::max(1U, std::min(kWritesForRaises, in.writes_per_minute / 4));
}

Reason reason_of(Rule rule, const CpuInput& in, const CpuState& s, double demand, double wanted) {
  Reason r;
  r.rule = rule;
  r.wanted = wanted;
  r.demand_cores = demand;
  r.usage_cores = s.last_usage_cores;
  r.backlog_cpu_seconds = s.backlog_cpu_seconds;
  r.binding_seconds = s.oldest_wait_since ? in_seconds(in.now - *s.oldest_wait_since) : 0;
  r.throttled_ratio = s.last_throttled_ratio;
  if (in.signals) r.pressure_ratio = in.signals->cpu_pressure_ratio.value_or(0);
  return r;
}

Intent raise(Rule rule, double demand, double target, const CpuInput& in, const CpuState& s) {
  const bool undo = s.before_cut_cores && in_seconds(in.now - s.cut_at) < kUndoSeconds &&
                    *s.before_cut_cores >= target && *s.before_cut_cores <= kUndoFactorMax * target;
  if (undo) target = *s.before_cut_cores;
  // A last write must not leave a task starving until the budget is whole again.
  if (in.writes_left <= 1) target = in.max_cores;
  Intent intent{std::max(target, kRaiseMin * in.quota_cores), {}};
  intent.reason = reason_of(undo ? Rule::cpu_undo : rule, in, s, demand, intent.value);
  return intent;
}

// A thread uses one core at most. A whole step must be of use to the end.
double usable_cores(const CpuInput& in, const CpuState& s) {
  if (s.threads_most <= 0) return kUnlimited;
  const double cores = std::max(1.0, kThreadRoom * s.threads_most);
  return in.step_cores > 0 ? std::max(1.0, std::floor(cores / in.step_cores)) * in.step_cores : cores;
}

// Geometric steps to the bound: a quota that is a little short is mended by a little, and a flood whose size
// nothing tells gets there while the deadline can still be kept. It is likely to be one like the last ones,
// which spares a step or two.
Intent raise_by_stage(const CpuInput& in, const CpuState& s, double arrival, double usable) {
  const int stage = due_stage(in, s);
  const bool again = stage == kStages && in_seconds(in.now - s.raised_at) >
                                             kAgainDelays * in.max_delay_seconds + in.period_seconds;
  if (stage == 0 || (stage <= s.stage && !again)) return {};
  // A flood through two threads needs no whole node, which others want too. With some of them at rest nothing
  // waits for a thread.
  const bool known = s.threads_most > 0;
  const double threads = !known || all_threads_busy(s) ? usable : std::max(1.0, s.threads_now);
  const double top = std::min({in.max_cores, in.node_cores, std::max(threads, kRaiseMin * in.quota_cores)});
  const double reach = stage == kStages ? 1 : kStageReach * stage / kStages;
  const double target =
      std::max({std::pow(in.quota_cores, 1 - reach) * std::pow(std::max(top, in.quota_cores), reach),
                kSufficedShare * s.surge_cores, kStageMin * arrival, kStageMin * in.quota_cores});
  const double demand =
      std::min(in.node_cores, std::max(s.last_usage_cores + s.last_throttled_cores, in.quota_cores));
  return raise(Rule::cpu_throttled, demand, std::min(target, top), in, s);
}

// At which it keeps up, and drains the backlog.
double pace_of(const CpuInput& in, const CpuState& s, double arrival) {
  return s.backlog_known ? arrival + s.backlog_cpu_seconds / (kDrainDelays * in.max_delay_seconds)
                         : arrival * (1 + s.margin);
}

// By what is there now, whatever a forecast says.
Intent decide_by_present(const CpuInput& in, const CpuState& s) {
  const bool unlimited = std::isinf(in.quota_cores);
  const double quota = unlimited ? in.max_cores : in.quota_cores;
  const double arrival = mean_arrival(s);
  const double need = earliest_deadline_need(in, s);
  const double pace = pace_of(in, s, arrival);
  const double usable = usable_cores(in, s);
  const double fit = std::clamp(std::max(pace, s.backlog_known ? need : 0), kFloorCores, usable);
  // More would be of no use, whatever waits; a limit that binds says that there are more threads.
  const bool enough =
      unlimited || quota >= in.max_cores || (quota >= usable && (in.step_cores > 0 || !s.oldest_wait_since));
  const double top = std::max(usable, kRaiseMin * quota);

  if (!enough && need > quota) {
    // The write of a raise fills the pool beyond its quota, as far as the burst goes.
    const double lasting = earliest_deadline_need(in, s, kBurstShare * in.burst_ratio * in.period_seconds);
    const double target = lasting * (kOver + kOverSpent * in.budget_spent_ratio);
    return raise(Rule::cpu_deadline, need, std::clamp(std::max(pace, target), kFloorCores, top), in, s);
  }
  if (!enough) {
    const Intent up = raise_by_stage(in, s, arrival, usable);
    if (up.changes()) return up;
  }

  if (!enough && !in.memory_stalled && quota_is_used_up(in, s))
    return raise(Rule::cpu_throttled, s.last_usage_cores, std::min(kUsedUpRaise * quota, top), in, s);

  // Downwards: only on a fresh sample, never on missing signals, nor while something may wait unseen. An
  // unlimited cgroup has the bandwidth counters too, at rest: where they are missing, nothing would tell
  // later whether the quota is too small.
  const bool evidence = in.signals && in.signals->usage_cores && in.signals->periods;
  const bool observed = in_seconds(in.now - s.observed_since) >= kObserveSeconds && !s.arrivals.empty();
  if (!evidence || !observed || hidden_backlog_since(in, s) || in.writes_left <= kept_for_raises(in))
    return {};
  // A bound that may not be undercut is no saving: the cut must still be worth it after clamping.
  // With whole steps what is left must have room: its quota would not be a little short, but a step.
  const double room = in.step_cores > 0 ? std::min(fit / kShrinkMax, usable) : fit;
  const double left = std::max(config::whole_steps_up(room, in.step_cores), in.min_cores);
  if (left >= kShrinkMax * quota) return {};
  if (s.saving_core_seconds < std::max(price(in), kStepSeconds * in.step_cores)) return {};
  const Rule rule = unlimited                                           ? Rule::cpu_unlimited
                    : s.last_usage_cores < 0.001 && fit <= in.min_cores ? Rule::cpu_idle
                                                                        : Rule::cpu_surplus;
  return {room, reason_of(rule, in, s, arrival, room)};
}

// A forecast raises, and keeps from cuts. It is in no hurry: the last writes are for the load that is there.
Intent with_forecast(const CpuInput& in, const CpuState& s, Intent intent) {
  const double floor = std::min(in.forecast_floor_cores, in.max_cores);
  const double quota = std::min(in.quota_cores, in.max_cores);
  if (intent.changes()) {
    if (intent.value >= floor) return intent;
    if (intent.value < quota && floor >= kShrinkMax * quota) return {};
    intent.value = floor;
    intent.reason.clamped_forecast = true;
    return intent;
  }
  if (floor <= kRaiseMin * quota || in.memory_stalled || in.writes_left <= kept_for_raises(in)) return {};
  return {floor, reason_of(Rule::forecast, in, s, in.forecast_cores, floor)};
}

}  // namespace

double needed_cores(const CpuInput& in, const CpuState& s) {
  const double due = s.backlog_known ? earliest_deadline_need(in, s) : 0;
  const double present = std::min(std::max(pace_of(in, s, mean_arrival(s)), due), usable_cores(in, s));
  return std::max(present, std::min(in.forecast_floor_cores, in.max_cores));
}

void skip_pause(Nsec length, CpuState& s) {
  for (auto& each : s.arrivals) each.at += length;
  for (auto& each : s.waiting) each.arrived += length;
  for (auto* at : {&s.oldest_wait_since, &s.throttled_since}) {
    if (*at) **at += length;
  }
  for (auto* at : {&s.observed_since, &s.raised_at, &s.idle_distrusted_until, &s.busy_since, &s.unread_at,
                   &s.sockets_distrusted_until, &s.backlog_at, &s.cut_at}) {
    if (*at != MonotonicTime{}) *at += length;
  }
}

Intent decide_cpu(const CpuInput& in, const CpuState& s) {
  return with_forecast(in, s, decide_by_present(in, s));
}

void cpu_written(const CpuInput& in, double old_cores, double new_cores, Rule rule, CpuState& s) {
  s.surplus_core_seconds = s.saving_core_seconds = 0;
  if (new_cores < old_cores) {
    // What bounds, capacity or a pin took was nobody's error, and is not undone.
    const bool chosen = rule == Rule::cpu_surplus || rule == Rule::cpu_idle;
    s.before_cut_cores = chosen ? std::optional(old_cores) : std::nullopt;
    s.cut_at = in.now;
    return;
  }
  if (rule == Rule::cpu_undo && !s.backlog_known) s.margin = std::min(kMarginMax, s.margin + kMarginUpUndo);
  s.stage = std::max(s.stage, due_stage(in, s));
  s.raised_at = in.now;
  s.before_cut_cores.reset();
}

}  // namespace sluice
