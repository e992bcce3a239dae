#include "daemon/decide/cpu.hpp"

#include <algorithm>
#include <cmath>

namespace sluice {
namespace {

double seconds(MonotonicTime t) {
  return std::chrono::duration<double>(t).count();
}

constexpr double kBacklogNoise = 1.1;  // reported lags run late: assume a tenth more
constexpr double kBacklogSmoothing = 0.6;
constexpr double kDeadlineShare = 0.76;  // of max_delay: the rest is for the reaction and the service itself
constexpr double kDrainDelays = 4.5;     // a backlog with slack drains over this many max_delays
constexpr double kBindingShare = 0.6;    // of max_delay that the limit may bind before it is raised
constexpr double kRescueFactor = 1.5;    // over the run queues' demand: threads may spread once they may run
constexpr double kRaiseMin = 1.13;       // a raise is worth its write
constexpr double kShrinkMax = 0.87;      // and so is a cut
constexpr double kMarginUp = 0.05, kMarginUpUndo = 0.10, kMarginDownPerSecond = 0.01;
constexpr double kMarginMin = 0.05, kMarginMax = 1.0;
constexpr double kObserveSeconds = 2.0;  // before the first finite quota is chosen
constexpr double kUndoFactorMax = 1.5;   // a larger cut was right in kind: only its size is mended
constexpr double kUndoSeconds = 3.0;     // a raise this soon after a cut says that the cut was wrong
constexpr double kFloorCores = 0.01;

// With a backlog to steer by the mean may be short; without one a lull must not be taken for the load.
double averaging_seconds(const CpuInput& in) {
  return in.load_valid ? std::max(0.45, in.max_delay_seconds / 2) : std::max(1.0, 2 * in.max_delay_seconds);
}

double mean_arrival(const CpuState& s) {
  double work = 0, time = 0;
  for (const auto& r : s.arrivals) {
    work += r.cores * r.interval_seconds;
    time += r.interval_seconds;
  }
  return time > 0 ? work / time : 0;
}

void remember_arrival(const CpuInput& in, double cores, double interval, CpuState& s) {
  s.arrivals.push_back({in.now, interval, std::max(0.0, cores)});
  const double window = averaging_seconds(in);
  while (s.arrivals.size() > 1 && seconds(in.now - s.arrivals.front().at) > window) s.arrivals.pop_front();
}

// Keeps the cohorts' sum at the reported backlog: served work leaves at the front, new work joins behind.
void settle_cohorts(const CpuInput& in, double backlog, CpuState& s) {
  double sum = 0;
  for (const auto& c : s.waiting) sum += c.cpu_seconds;
  if (backlog > sum) {
    s.waiting.push_back({in.now, backlog - sum});
  } else {
    double served = sum - backlog;
    while (served > 0 && !s.waiting.empty()) {
      auto& front = s.waiting.front();
      const double part = std::min(served, front.cpu_seconds);
      front.cpu_seconds -= part;
      served -= part;
      if (front.cpu_seconds <= 1e-9) s.waiting.pop_front();
    }
  }
  // The tail of a very long queue may share its arrival time: the front decides what is urgent.
  constexpr std::size_t kCohortsMax = 256;
  while (s.waiting.size() > kCohortsMax) {
    const double tail = s.waiting.back().cpu_seconds;
    s.waiting.pop_back();
    s.waiting.back().cpu_seconds += tail;
  }
}

void learn_cost(const LoadReport& load, CpuState& s) {
  if (!load.processed) return;
  const double before = s.processed_before.value_or(*load.processed);
  const double records = *load.processed - before;
  if (records < 0 || !s.processed_before) {  // a restarted task counts from zero again
    s.processed_before = load.processed;
    s.usage_since_processed = 0;
    return;
  }
  constexpr double kRecordsMin = 5;  // fewer say nothing about the mean
  if (records < kRecordsMin) return;
  const double cost = s.usage_since_processed / records;
  constexpr double kSmoothing = 0.3;
  s.cost_cpu_seconds_per_record = s.cost_cpu_seconds_per_record
                                      ? *s.cost_cpu_seconds_per_record * (1 - kSmoothing) + cost * kSmoothing
                                      : cost;
  s.processed_before = load.processed;
  s.usage_since_processed = 0;
}

void observe_load(const CpuInput& in, CpuState& s) {
  const LoadReport& load = *in.new_load;
  learn_cost(load, s);
  std::optional<double> backlog = load.backlog_cpu_seconds;
  if (!backlog && load.lag && s.cost_cpu_seconds_per_record)
    backlog = *load.lag * *s.cost_cpu_seconds_per_record;
  if (!backlog) return;
  const double raw = *backlog * kBacklogNoise;
  const double smoothed = s.load_at == MonotonicTime{}
                              ? raw
                              : s.backlog_cpu_seconds * (1 - kBacklogSmoothing) + raw * kBacklogSmoothing;
  if (s.load_at != MonotonicTime{} && in.now > s.load_at) {
    const double interval = seconds(in.now - s.load_at);
    remember_arrival(in, s.last_usage_cores + (smoothed - s.backlog_cpu_seconds) / interval, interval, s);
  }
  s.backlog_cpu_seconds = smoothed;
  settle_cohorts(in, smoothed, s);
  if (load.oldest_age_seconds && !s.waiting.empty()) {
    const auto age = std::chrono::duration_cast<MonotonicTime>(
        std::chrono::duration<double>(std::clamp(*load.oldest_age_seconds, 0.0, 86400.0)));
    s.waiting.front().arrived = std::min(s.waiting.front().arrived, in.now - age);
  }
  s.load_at = in.now;
}

void observe_binding(const CpuInput& in, CpuState& s) {
  if (in.throttled_at && !s.binding_since) s.binding_since = *in.throttled_at;
  if (!in.signals) return;
  const Signals& g = *in.signals;
  if (!g.periods || !g.throttled_periods) return;
  s.last_throttled_ratio =
      *g.periods > 0 ? static_cast<double>(*g.throttled_periods) / static_cast<double>(*g.periods) : 0;
  if (*g.throttled_periods > 0 && !s.binding_since) {
    const auto interval =
        std::chrono::duration_cast<MonotonicTime>(std::chrono::duration<double>(g.interval_seconds));
    s.binding_since = in.now - interval;
  }
  // A whole period without a throttle: all that was runnable ran, so nothing waits because of the limit.
  // No period at all means that the timer stopped: the task is idle.
  const bool idle = *g.periods == 0 && g.usage_cores.value_or(1) < 0.001;
  const bool unthrottled = *g.periods > 0 && *g.throttled_periods == 0 && !in.throttled_at;
  if (idle || unthrottled) s.binding_since.reset();
}

double earliest_deadline_need(const CpuInput& in, const CpuState& s) {
  double need = 0, sum = 0;
  for (const auto& c : s.waiting) {
    sum += c.cpu_seconds;
    const double left = kDeadlineShare * in.max_delay_seconds - seconds(in.now - c.arrived);
    need = std::max(need, sum / std::max(left, in.period_seconds / 2));
  }
  return need;
}

// What a write is worth, in core-seconds: little while the budget is whole, without bound when it is spent,
// so that raises always find some left.
double price(double spent_ratio) {
  return 0.01 * (std::exp(3.3 * spent_ratio) - 1) / std::max(1e-3, 1 - spent_ratio);
}

Reason reason_of(Rule rule, const CpuInput& in, const CpuState& s, double demand, double wanted) {
  Reason r;
  r.rule = rule;
  r.wanted = wanted;
  r.demand_cores = demand;
  r.usage_cores = s.last_usage_cores;
  r.backlog_cpu_seconds = in.load_valid ? s.backlog_cpu_seconds : 0;
  r.binding_seconds = s.binding_since ? seconds(in.now - *s.binding_since) : 0;
  r.throttled_ratio = s.last_throttled_ratio;
  if (in.signals) r.pressure_ratio = in.signals->cpu_pressure_ratio.value_or(0);
  return r;
}

}  // namespace

void observe_cpu(const CpuInput& in, CpuState& s) {
  if (s.observed_since == MonotonicTime{}) s.observed_since = in.now;
  if (in.signals && in.signals->usage_cores) {
    const Signals& g = *in.signals;
    s.last_usage_cores = *g.usage_cores;
    s.last_throttled_cores = g.throttled_cores.value_or(0);
    s.usage_since_processed += *g.usage_cores * g.interval_seconds;
    if (!in.load_valid) remember_arrival(in, *g.usage_cores, g.interval_seconds, s);
    const double quota = std::isinf(in.quota_cores) ? in.max_cores : in.quota_cores;
    s.unused_core_seconds += std::max(0.0, quota - *g.usage_cores) * g.interval_seconds;
    s.margin = std::max(kMarginMin, s.margin - kMarginDownPerSecond * g.interval_seconds);
  }
  observe_binding(in, s);
  if (in.new_load) observe_load(in, s);
  if (!in.load_valid) {
    s.waiting.clear();
    s.backlog_cpu_seconds = 0;
    s.load_at = MonotonicTime{};
  }
}

Intent decide_cpu(const CpuInput& in, const CpuState& s) {
  const double delay = in.max_delay_seconds;
  const bool unlimited = std::isinf(in.quota_cores);
  const double quota = unlimited ? in.max_cores : in.quota_cores;
  const double arrival = mean_arrival(s);
  const bool loaded = in.load_valid && s.load_at != MonotonicTime{};
  const double need = loaded ? earliest_deadline_need(in, s) : 0;
  double fit = loaded ? std::max(arrival + s.backlog_cpu_seconds / (kDrainDelays * delay), need)
                      : arrival * (1 + s.margin);
  fit = std::max(fit, kFloorCores);

  // A last write must not leave a task starving until the budget is whole again.
  const bool last_write = in.writes_left <= 1;
  auto raise = [&](Rule rule, double demand, double target) {
    const bool undo = s.before_cut_cores && seconds(in.now - s.cut_at) < kUndoSeconds &&
                      *s.before_cut_cores >= target && *s.before_cut_cores <= kUndoFactorMax * target;
    if (undo) target = *s.before_cut_cores;
    if (last_write) target = in.max_cores;
    Intent intent{std::max(target, kRaiseMin * quota), {}};
    intent.reason = reason_of(undo ? Rule::cpu_undo : rule, in, s, demand, intent.value);
    return intent;
  };

  if (!unlimited && need > quota) {
    const double target = std::max(fit, need * (1.3 + 0.2 * in.budget_spent_ratio));
    return raise(Rule::cpu_deadline, need, target);
  }
  // Kernel signals: also the backstop when reports come too seldom for the deadline.
  const bool report_fresh = loaded && seconds(in.now - s.load_at) <= std::max(delay / 2, 0.3);
  if (!unlimited && s.binding_since && !report_fresh && quota < in.max_cores) {
    const double binding = seconds(in.now - *s.binding_since);
    if (binding + in.period_seconds >= kBindingShare * delay) {
      // What would run if it might: usage plus the CPU time that throttled run queues stood still.
      const double demand =
          std::min(in.node_cores, std::max(s.last_usage_cores + s.last_throttled_cores, quota));
      return raise(Rule::cpu_throttled, demand, kRescueFactor * demand);
    }
  }

  // Downwards: only on a fresh sample, only when nothing is bound, and never on missing signals.
  const bool evidence = in.signals && in.signals->usage_cores && (in.signals->periods || unlimited);
  const bool observed = seconds(in.now - s.observed_since) >= kObserveSeconds && !s.arrivals.empty();
  if (!evidence || !observed || s.binding_since || last_write) return {};
  if (fit >= kShrinkMax * quota) return {};
  // A bound that may not be undercut is no saving: the cut must still be worth it after clamping.
  const double target = std::max(fit, in.min_cores);
  if (target >= kShrinkMax * quota) return {};
  if (s.unused_core_seconds < price(in.budget_spent_ratio)) return {};
  const Rule rule = unlimited                                           ? Rule::cpu_unlimited
                    : s.last_usage_cores < 0.001 && fit <= in.min_cores ? Rule::cpu_idle
                                                                        : Rule::cpu_surplus;
  return {fit, reason_of(rule, in, s, arrival, fit)};
}

void cpu_written(const CpuInput& in, double old_cores, double new_cores, Rule rule, CpuState& s) {
  s.unused_core_seconds = 0;
  if (new_cores < old_cores) {
    if (!std::isinf(old_cores)) s.before_cut_cores = old_cores;
    s.cut_at = in.now;
    return;
  }
  if (rule == Rule::cpu_undo && !in.load_valid) s.margin = std::min(kMarginMax, s.margin + kMarginUpUndo);
  if (rule == Rule::cpu_throttled) s.margin = std::min(kMarginMax, s.margin + kMarginUp);
  s.before_cut_cores.reset();
  // The write refilled the period: the limit is no longer binding until the kernel says so again.
  s.binding_since.reset();
}

}  // namespace sluice
