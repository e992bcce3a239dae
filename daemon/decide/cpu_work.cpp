// What the CPU controller knows about a task's work: arrivals, the backlog with its cohorts, and how long the
// limit has been throttling.
#include <algorithm>
#include <cmath>

#include "daemon/decide/cpu.hpp"

namespace sluice {
namespace {

// The constants below were tuned with tests/bench on the shared traces and on generated loads.
// Averaging window of arrivals, in seconds and in max_delays; the larger counts. Without a known backlog it
// must be long, so that a lull is not taken for the load; with a known backlog it may be short.
constexpr double kKernelWindowMin = 1.5;
constexpr double kKernelWindowDelays = 1.0;
constexpr double kBacklogWindowMin = 0.45;
constexpr double kBacklogWindowDelays = 0.5;
// Margin over the mean arrival: its lower bound, and its decay per second.
constexpr double kMarginMin = 0.02, kMarginDownPerSecond = 0.065;
// Lowers the margin if max_delay is long and writes are plentiful: a quota below the mean is then corrected
// in time, and costs less than one above it.
constexpr double kMarginLower = 0.12;
constexpr double kSpareWrites = 2, kManyWrites = 5;  // writes per max_delay
constexpr double kThreadsFade = 60;                  // seconds; decay of threads_most
constexpr double kBusyShare = 0.8;                   // share of all threads; below it some threads are idle
// Unread bytes worth up to 1 % of max_delay's quota may be one reply in flight, and are no queue. Sockets
// count as empty if less than 45 % of the samples are above that.
constexpr double kInFlightDelays = 0.01, kBusyUnread = 0.45;
constexpr int kBusyLooks = 4;  // samples; so many are needed before the sockets are called empty
// If the limit throttles that long (in max_delays, in seconds) while the task has idle time or empty sockets,
// the task is a pull consumer: its backlog is in the broker, and it sleeps until a reply comes.
constexpr double kFetchDelays = 3, kFetchSecondsMin = 3;
// How long idle time and sockets are distrusted then, in seconds. For idle time it doubles at each
// repetition, up to the maximum.
constexpr double kFetchSeconds = 600, kFetchSecondsMost = 86400;
constexpr double kUsedUp = 0.03;  // share of the quota; with a smaller surplus the quota is used up
// seconds; share of recent samples with unread bytes
constexpr double kUnreadSeconds = 3, kUnreadSeldom = 0.3;
constexpr double kInServiceDelays = 0.5;  // of quota: upper bound of work that was read and not finished
// of quota: lower bound of unfinished work while threads are runnable
constexpr double kUnfinishedPeriods = 0.3;
constexpr double kOverrunRemains = 1.4;  // factor: work that overran the mean by x needs about as much again
// exponents: a smaller surge replaces the memory sooner than a larger one
constexpr double kSufficedUp = 0.15, kSufficedDown = 0.3;
constexpr double kReportFreshMin = 0.3;  // seconds
constexpr double kCostSmoothing = 0.3;
constexpr double kMiB = 1024.0 * 1024.0;
constexpr double kRecordsMin = 5;  // records; fewer do not give a usable mean

double quota_of(const CpuInput& in) {
  return std::min(in.quota_cores, in.max_cores);  // unlimited: the upper bound
}

double lowest_margin(const CpuInput& in) {
  const double writes = in.max_delay_seconds * in.writes_per_minute / 60;
  return kMarginMin -
         kMarginLower * std::clamp((writes - kSpareWrites) / (kManyWrites - kSpareWrites), 0.0, 1.0);
}

double long_enough_to_fetch(const CpuInput& in) {
  return std::max(kFetchSecondsMin, kFetchDelays * in.max_delay_seconds);
}

void remember_arrival(const CpuInput& in, double work, double interval, CpuState& s) {
  if (interval <= 0) return;
  s.arrivals.push_back({in.now, interval, std::max(0.0, work / interval)});
  const double window = s.backlog_known
                            ? std::max(kBacklogWindowMin, kBacklogWindowDelays * in.max_delay_seconds)
                            : std::max(kKernelWindowMin, kKernelWindowDelays * in.max_delay_seconds);
  while (s.arrivals.size() > 1 && in_seconds(in.now - s.arrivals.front().at) > window) s.arrivals.pop_front();
}

// New work is appended, served work is removed from the front. The sum is the known backlog.
void settle_cohorts(const CpuInput& in, double arrived, double backlog, CpuState& s) {
  if (arrived > 0) s.waiting.push_back({in.now, arrived});
  double sum = 0;
  for (const auto& c : s.waiting) sum += c.cpu_seconds;
  if (backlog > sum) s.waiting.push_back({in.now, backlog - sum});
  double served = sum - backlog;
  while (served > 0 && !s.waiting.empty()) {
    auto& front = s.waiting.front();
    const double part = std::min(served, front.cpu_seconds);
    front.cpu_seconds -= part;
    served -= part;
    if (front.cpu_seconds <= 1e-9) s.waiting.pop_front();
  }
  // In a very long queue the last cohorts are merged: only the front decides the urgency.
  constexpr std::size_t kCohortsMax = 256;
  while (s.waiting.size() > kCohortsMax) {
    const double tail = s.waiting.back().cpu_seconds;
    s.waiting.pop_back();
    s.waiting.back().cpu_seconds += tail;
  }
}

void learn_cost(const LoadReport& load, CpuState& s) {
  if (!load.processed) return;
  const double records = *load.processed - s.processed_before.value_or(*load.processed);
  if (records < 0 || !s.processed_before) {  // a restarted task counts from zero
    s.processed_before = load.processed;
    s.usage_since_processed = 0;
    return;
  }
  if (records < kRecordsMin) return;
  const double cost = s.usage_since_processed / records;
  const double before = s.cost_cpu_seconds_per_record.value_or(cost);
  s.cost_cpu_seconds_per_record = before + kCostSmoothing * (cost - before);
  s.processed_before = load.processed;
  s.usage_since_processed = 0;
}

// True if nothing waited for the limit: either a whole period without throttling, in which everything
// runnable ran, or no period at all, because the kernel stops the timer of an idle cgroup. Not concluded from
// an interval that contains a raise, nor for a task that uses nearly everything there is.
bool limit_is_free(const CpuInput& in, const CpuState& s) {
  const Signals& g = *in.signals;
  if (std::isinf(in.quota_cores)) return true;  // no period is counted, and nothing is throttled
  const double usage = g.usage_cores.value_or(in.node_cores);
  if (*g.periods == 0) return usage < 0.001;
  const bool whole = in_seconds(in.now - s.raised_at) >= g.interval_seconds;
  constexpr double kAll = 0.95;
  return *g.throttled_periods == 0 && !in.throttled_at && whole &&
         usage < kAll * std::min(in.node_cores, in.max_cores);
}

// The surge that the quota was raised for has ended.
void flood_ended(const CpuInput& in, CpuState& s) {
  if (s.stage > 0 && !std::isinf(in.quota_cores)) {
    const double last = s.surge_cores > 0 ? s.surge_cores : in.quota_cores;
    const double ratio = in.quota_cores / last;
    s.surge_cores = last * std::pow(ratio, ratio > 1 ? kSufficedUp : kSufficedDown);
  }
  s.stage = 0;
}

// At `until` nothing was runnable, so all backlog is younger. But a pull consumer also sleeps while its
// backlog is in the broker: if the limit throttles for long without a free period, its idle time is no
// evidence.
void rest_seen(const CpuInput& in, std::optional<MonotonicTime> until, CpuState& s) {
  if (!until || !s.oldest_wait_since || *until <= *s.oldest_wait_since || in.now < s.idle_distrusted_until)
    return;
  if (in_seconds(in.now - *s.throttled_since) > long_enough_to_fetch(in)) {
    s.idle_distrusted_seconds = std::clamp(2 * s.idle_distrusted_seconds, kFetchSeconds, kFetchSecondsMost);
    s.idle_distrusted_until = in.now + from_seconds(s.idle_distrusted_seconds);
    return;
  }
  s.oldest_wait_since = *until;
  flood_ended(in, s);
}

void observe_binding(const CpuInput& in, CpuState& s) {
  if (in.throttled_at && !s.oldest_wait_since) s.oldest_wait_since = s.throttled_since = *in.throttled_at;
  rest_seen(in, in.idle_until, s);
  if (in.runnable_threads) {
    s.threads_now = *in.runnable_threads;
    s.threads_most = std::max(s.threads_now, s.threads_most);
  }
  if (!in.signals) return;
  const Signals& g = *in.signals;
  if (g.runnable_threads) {
    s.runnable_threads = *g.runnable_threads;
    s.threads_now = s.runnable_threads;
    s.threads_most =
        std::max(s.runnable_threads, s.threads_most * std::exp(-g.interval_seconds / kThreadsFade));
  }
  if (!g.periods || !g.throttled_periods) return;
  s.last_throttled_ratio =
      *g.periods > 0 ? static_cast<double>(*g.throttled_periods) / static_cast<double>(*g.periods) : 0;
  if (*g.throttled_periods > 0 && !s.oldest_wait_since)
    s.oldest_wait_since = s.throttled_since = in.now - from_seconds(g.interval_seconds);
  rest_seen(in, g.idle_until, s);
  if (limit_is_free(in, s)) {
    s.oldest_wait_since.reset();
    s.throttled_since.reset();
    flood_ended(in, s);
  }
}

void observe_busy(const CpuInput& in, CpuState& s) {
  if (!s.oldest_wait_since || !all_threads_busy(s)) {
    s.busy_since = in.now;
    s.busy_looks = s.busy_looks_unread = 0;
    return;
  }
  ++s.busy_looks;
  const double cost = in.flow ? in.flow->cpu_seconds_per_mib.value_or(0) / kMiB : 0;
  const double unread = in.signals->backlog_bytes.value_or(0) * cost;
  if (unread > kInFlightDelays * in.max_delay_seconds * quota_of(in)) ++s.busy_looks_unread;
}

// The backlog: unread bytes, and bytes that were read and are still being worked on.
double socket_backlog(const CpuInput& in, double unread, double arrived, CpuState& s) {
  const Signals& g = *in.signals;
  const bool idle = g.runnable_threads && *g.runnable_threads == 0;
  const bool unthrottled =
      g.periods.value_or(0) > 0 && g.throttled_periods.value_or(1) == 0 && !in.throttled_at;
  if (!s.backlog_known || idle || unthrottled) {
    s.account_cpu_seconds = unread;
    s.overrun_cpu_seconds = s.in_service_cpu_seconds = 0;
    return unread;
  }
  s.account_cpu_seconds += arrived - s.used_since_backlog;
  const double quota = quota_of(in);
  if (unread > 0) {
    const double most = quota * std::max(in.period_seconds, kInServiceDelays * in.max_delay_seconds);
    s.account_cpu_seconds = std::clamp(s.account_cpu_seconds, unread, unread + most);
    s.overrun_cpu_seconds = 0;
  } else {
    s.overrun_cpu_seconds = std::max(s.overrun_cpu_seconds, -s.account_cpu_seconds);
  }
  const double backlog =
      std::max({unread, s.account_cpu_seconds, kUnfinishedPeriods * quota * in.period_seconds,
                kOverrunRemains * s.overrun_cpu_seconds});
  s.in_service_cpu_seconds = backlog - unread;
  return backlog;
}

struct Seen {
  double backlog = 0;  // cpu seconds
  std::optional<double> arrived;
};

std::optional<Seen> see_report(const CpuInput& in, CpuState& s) {
  const LoadReport& load = *in.new_load;
  learn_cost(load, s);
  const double cost = s.cost_cpu_seconds_per_record.value_or(0);
  std::optional<double> backlog = load.backlog_cpu_seconds;
  if (!backlog && load.lag && cost > 0) backlog = *load.lag * cost;
  if (!backlog) return std::nullopt;
  s.in_service_cpu_seconds = std::min(*backlog, s.runnable_threads * cost);
  return Seen{*backlog, std::nullopt};
}

std::optional<Seen> see_sockets(const CpuInput& in, CpuState& s) {
  const Signals& g = *in.signals;
  const double cost = *in.flow->cpu_seconds_per_mib / kMiB;
  const double arrived = g.arrival_bytes_per_second.value_or(0) * g.interval_seconds * cost;
  return Seen{socket_backlog(in, *g.backlog_bytes * cost, arrived, s), arrived};
}

bool sockets_tell(const CpuInput& in, CpuState& s) {
  if (!in.signals || !in.signals->backlog_bytes || !in.flow || !in.flow->cpu_seconds_per_mib) return false;
  const bool unread = *in.signals->backlog_bytes > 0;
  if (unread) s.unread_at = in.now;
  s.unread_share +=
      std::min(1.0, in.signals->interval_seconds / kUnreadSeconds) * ((unread ? 1 : 0) - s.unread_share);
  const auto without = std::max(s.unread_at, s.throttled_since.value_or(in.now));
  if (in_seconds(in.now - without) > long_enough_to_fetch(in))
    s.sockets_distrusted_until = in.now + from_seconds(kFetchSeconds);
  return in.now >= s.sockets_distrusted_until;
}

void forget_backlog(CpuState& s) {
  s.backlog_known = false;
  s.waiting.clear();
  s.backlog_cpu_seconds = s.in_service_cpu_seconds = 0;
  s.account_cpu_seconds = s.overrun_cpu_seconds = 0;
}

void observe_backlog(const CpuInput& in, double interval, CpuState& s) {
  const bool sockets = sockets_tell(in, s) && !in.load_valid;
  const auto seen = in.new_load ? see_report(in, s) : sockets ? see_sockets(in, s) : std::nullopt;
  if (!seen) {
    // A report older than half of max_delay does not count until the next one arrives.
    const bool fresh =
        in.load_valid && s.backlog_known &&
        in_seconds(in.now - s.backlog_at) <= std::max(in.max_delay_seconds / 2, kReportFreshMin);
    if (fresh) return;
    if (s.backlog_known) forget_backlog(s);
    if (in.signals && in.signals->usage_cores)
      remember_arrival(in, s.last_usage_cores * interval, interval, s);
    return;
  }
  const double balance = s.used_since_backlog + seen->backlog - s.backlog_cpu_seconds;
  if (s.backlog_known) {
    remember_arrival(in, balance, in_seconds(in.now - s.backlog_at), s);
  } else {
    s.arrivals.clear();
  }
  settle_cohorts(in, std::max(0.0, seen->arrived.value_or(s.backlog_known ? balance : 0)), seen->backlog, s);
  if (in.new_load && in.new_load->oldest_age_seconds && !s.waiting.empty()) {
    const double age = std::clamp(*in.new_load->oldest_age_seconds, 0.0, 86400.0);
    s.waiting.front().arrived = std::min(s.waiting.front().arrived, in.now - from_seconds(age));
  }
  s.backlog_known = true;
  s.backlog_at = in.now;
  s.backlog_cpu_seconds = seen->backlog;
  s.used_since_backlog = 0;
}

}  // namespace

double longest_wait_seconds(MonotonicTime now, const CpuState& s) {
  if (!s.backlog_known) return s.oldest_wait_since ? in_seconds(now - *s.oldest_wait_since) : 0;
  return s.waiting.empty() ? 0 : in_seconds(now - s.waiting.front().arrived);
}

bool all_threads_busy(const CpuState& s) {
  return s.threads_most > 0 && s.threads_now > kBusyShare * s.threads_most;
}

std::optional<MonotonicTime> hidden_backlog_since(const CpuInput& in, const CpuState& s) {
  if (!s.backlog_known || !s.oldest_wait_since) return s.oldest_wait_since;
  const bool empty = s.busy_looks >= kBusyLooks && s.busy_looks_unread < kBusyUnread * s.busy_looks;
  if (in.load_valid || !empty) return std::nullopt;
  return std::max(s.busy_since, *s.oldest_wait_since);
}

bool quota_is_used_up(const CpuInput& in, const CpuState& s) {
  if (in.load_valid || !in.signals || !s.oldest_wait_since || s.unread_share > kUnreadSeldom) return false;
  const double held = in_seconds(in.now - std::max({s.raised_at, s.cut_at, s.observed_since}));
  return held > long_enough_to_fetch(in) && s.surplus_core_seconds < kUsedUp * quota_of(in) * held;
}

void observe_cpu(const CpuInput& in, CpuState& s) {
  if (s.observed_since == MonotonicTime{}) s.observed_since = in.now;
  double interval = 0;
  if (in.signals && in.signals->usage_cores) {
    const Signals& g = *in.signals;
    interval = g.interval_seconds;
    s.last_usage_cores = *g.usage_cores;
    s.last_throttled_cores = g.throttled_cores.value_or(0);
    s.usage_since_processed += *g.usage_cores * interval;
    s.used_since_backlog += *g.usage_cores * interval;
    // Skips an interval that contains a raise: part of it had the smaller quota.
    if (in_seconds(in.now - s.raised_at) >= interval) {
      s.surplus_core_seconds += std::max(0.0, quota_of(in) - *g.usage_cores) * interval;
      const double least = config::whole_steps_up(*g.usage_cores, in.step_cores);
      s.saving_core_seconds += std::max(0.0, quota_of(in) - least) * interval;
    }
    s.margin = std::max(lowest_margin(in), s.margin - kMarginDownPerSecond * interval);
  }
  observe_binding(in, s);
  if (in.signals) observe_busy(in, s);
  if (in.signals || in.new_load) observe_backlog(in, interval, s);
}

}  // namespace sluice
