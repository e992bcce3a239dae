#include "daemon/decide/cpu.hpp"

#include <algorithm>
#include <cmath>

namespace sluice {
namespace {

// These constants, and those of cpu_work.cpp, were tuned with tests/bench on the shared traces and on
// generated loads.
constexpr double kNeedNoise = 1.1;  // factor on the need: costs are means, and a backlog is seen late
// Planned deadline, from max_delay: leaves time to sample, to write and to serve within a period.
// Shares of max_delay, and seconds.
constexpr double kDeadlineShareMin = 0.78, kDeadlineShare = 0.95, kDeadlineLess = 0.14;
constexpr double kFewLooks = 5;         // periods; a shorter max_delay leaves few samples before the deadline
constexpr double kSharedService = 1.5;  // factor: work in service ends all at once, not in order of arrival
constexpr double kDrainDelays = 4.5;    // in max_delays: time to drain a backlog that is not urgent
// factor on the need of a raise; the second is added as the budget is spent
constexpr double kOver = 1.3, kOverSpent = 0.2;
constexpr double kRaiseMin = 1.1;    // ratio: a smaller raise does not justify a write
constexpr double kShrinkMax = 0.88;  // ratio: a smaller cut does not justify a write
// Raises by kernel signals. kLastShare: the last moment, as a share of max_delay. kFirstShare: the first
// stage, as a share of the last moment. kStageReach: share of the (geometric) way to the bound. kStageMin:
// the smallest raise, as a ratio. kAgainDelays, in max_delays: the pause before another raise at the last
// stage.
constexpr int kStages = 4;
constexpr double kLastShare = 0.9, kFirstShare = 0.32, kStageReach = 0.8, kStageMin = 1.07;
constexpr double kAgainDelays = 0.15;
constexpr double kSufficedShare = 0.6;  // share of the surge quota that the first stage may take at once
constexpr double kThreadRoom = 1.25;    // factor on runnable threads: a sample may miss some
// Price of a write: kPrice is in core-seconds, the others shape how it rises with the spent budget.
constexpr double kPrice = 0.01, kPriceExponent = 3.3, kPriceBudget = 0.8, kPriceExponentMax = 20;
constexpr std::uint32_t kWritesForRaises = 3;  // writes; the last of a budget are kept for raises
// seconds; one step less must have sufficed that long (thread pools follow the quota)
constexpr double kStepSeconds = 10;
constexpr double kObserveSeconds = 2.0;  // seconds of samples before the first finite quota
constexpr double kUndoFactorMax = 1.15;  // ratio; after a larger cut the quota is raised to the need only
constexpr double kUndoSeconds = 3.0;  // seconds; a raise this soon after a cut means that the cut was wrong
constexpr double kMarginUpUndo = 0.10, kMarginMax = 1.0;
constexpr double kUsedUpRaise = 2;   // factor; a quota that is used up does not show how much is missing
constexpr double kBurstShare = 0.5;  // share of the burst that a raise is assumed to gain
constexpr double kFloorCores = 0.01;

double mean_arrival(const CpuState& s) {
  double work = 0, time = 0;
  for (const auto& r : s.arrivals) {
    work += r.cores * r.interval_seconds;
    time += r.interval_seconds;
  }
  return time > 0 ? work / time : 0;
}

// `head_start`: seconds' worth of quota that can run at once, from the burst.
double earliest_deadline_need(const CpuInput& in, const CpuState& s, double head_start = 0) {
  const double delay = in.max_delay_seconds;
  const double deadline = std::max(kDeadlineShareMin * delay, kDeadlineShare * delay - kDeadlineLess);
  double need = 0, sum = 0;
  for (const auto& c : s.waiting) {
    sum += c.cpu_seconds;
    const double left = std::max(deadline - in_seconds(in.now - c.arrived), in.period_seconds / 2);
    need = std::max(need, std::max(sum, kSharedService * s.in_service_cpu_seconds) / (left + head_start));
  }
  // If no other backlog follows, the work in service may be as old as the last moment with nothing to run.
  // This matters when max_delay leaves few samples before the deadline.
  const bool last_ones = s.in_service_cpu_seconds > 0 && s.in_service_cpu_seconds >= s.backlog_cpu_seconds;
  if (s.oldest_wait_since && last_ones && !in.load_valid && delay < kFewLooks * in.period_seconds) {
    const double left = std::max(deadline - in_seconds(in.now - *s.oldest_wait_since), in.period_seconds / 2);
    need = std::max(need, s.in_service_cpu_seconds / (left + head_start));
  }
  return kNeedNoise * need;
}

// The raise stage that is due: how much of the permitted wait is used up. If the deadline is about one
// period, there will be no later sample, so a period is added.
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

// The price of a write in core-seconds. It is low while the budget is whole and grows without bound as the
// budget is spent, so that writes are left for raises. With few writes per minute it is high from the start.
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
  // The last write of the budget raises to the maximum, so that the task does not starve until the budget
  // refills.
  if (in.writes_left <= 1) target = in.max_cores;
  Intent intent{std::max(target, kRaiseMin * in.quota_cores), {}};
  intent.reason = reason_of(undo ? Rule::cpu_undo : rule, in, s, demand, intent.value);
  return intent;
}

// A thread uses at most one core. With whole steps, the last step must be usable completely.
double usable_cores(const CpuInput& in, const CpuState& s) {
  if (s.threads_most <= 0) return kUnlimited;
  const double cores = std::max(1.0, kThreadRoom * s.threads_most);
  return in.step_cores > 0 ? std::max(1.0, std::floor(cores / in.step_cores)) * in.step_cores : cores;
}

// Raises in geometric steps to the bound. A small shortage gets a small raise; a surge of unknown size
// reaches the bound before its deadline. The first step may start at what recent surges needed, which saves
// writes.
Intent raise_by_stage(const CpuInput& in, const CpuState& s, double arrival, double usable) {
  const int stage = due_stage(in, s);
  const bool again = stage == kStages && in_seconds(in.now - s.raised_at) >
                                             kAgainDelays * in.max_delay_seconds + in.period_seconds;
  if (stage == 0 || (stage <= s.stage && !again)) return {};
  // Threads bound the raise: a surge in two threads cannot use the whole node. If some threads are idle, no
  // work waits for a thread, so only those that run count.
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

// The quota at which the task keeps up and drains its backlog.
double pace_of(const CpuInput& in, const CpuState& s, double arrival) {
  return s.backlog_known ? arrival + s.backlog_cpu_seconds / (kDrainDelays * in.max_delay_seconds)
                         : arrival * (1 + s.margin);
}

// The decision from current load, without the forecast.
Intent decide_by_present(const CpuInput& in, const CpuState& s) {
  const bool unlimited = std::isinf(in.quota_cores);
  const double quota = unlimited ? in.max_cores : in.quota_cores;
  const double arrival = mean_arrival(s);
  const double need = earliest_deadline_need(in, s);
  const double pace = pace_of(in, s, arrival);
  const double usable = usable_cores(in, s);
  const double fit = std::clamp(std::max(pace, s.backlog_known ? need : 0), kFloorCores, usable);
  // A higher quota would not help. A limit that throttles shows that there are more threads than known.
  const bool enough =
      unlimited || quota >= in.max_cores || (quota >= usable && (in.step_cores > 0 || !s.oldest_wait_since));
  const double top = std::max(usable, kRaiseMin * quota);

  if (!enough && need > quota) {
    // The write of a raise also fills the kernel's quota pool, up to the burst.
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

  // Cuts need a fresh sample, all signals, and no hidden backlog. Unlimited cgroups have the bandwidth
  // counters too, at zero. If the counters are missing, nothing would show later that the quota is too small.
  const bool evidence = in.signals && in.signals->usage_cores && in.signals->periods;
  const bool observed = in_seconds(in.now - s.observed_since) >= kObserveSeconds && !s.arrivals.empty();
  if (!evidence || !observed || hidden_backlog_since(in, s) || in.writes_left <= kept_for_raises(in))
    return {};
  // Only the saving above the lower bound counts, so the cut is checked after clamping. With whole steps the
  // rest needs head-room: a quota that is too small would be short by a whole step.
  const double room = in.step_cores > 0 ? std::min(fit / kShrinkMax, usable) : fit;
  const double left = std::max(config::whole_steps_up(room, in.step_cores), in.min_cores);
  if (left >= kShrinkMax * quota) return {};
  if (s.saving_core_seconds < std::max(price(in), kStepSeconds * in.step_cores)) return {};
  const Rule rule = unlimited                                           ? Rule::cpu_unlimited
                    : s.last_usage_cores < 0.001 && fit <= in.min_cores ? Rule::cpu_idle
                                                                        : Rule::cpu_surplus;
  return {room, reason_of(rule, in, s, arrival, room)};
}

// A forecast raises, and prevents cuts. It is not urgent: the last writes are kept for current load.
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
    // Cuts by bounds, capacity or a pin are no errors of this controller and are not undone.
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
