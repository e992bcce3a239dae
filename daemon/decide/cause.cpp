#include "daemon/decide/cause.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace sluice {
namespace {

// seconds of the means; one tick holds one CFS period, which is too little to judge
constexpr double kMeanSeconds = 1.0;
constexpr double kLastSeconds = 0.5;        // seconds that a new cause must last
constexpr double kForgetSeconds = 3.0;      // seconds without signals, after which the cause is unknown
constexpr double kHeldThreshold = 0.5;      // share of the threshold that the current cause must keep
constexpr double kIdleCores = 0.01;         // a runtime's background work
constexpr double kThrottledShare = 0.10;    // one period in ten; below it the limit only trims bursts
constexpr double kWaitShare = 0.10;         // PSI some; from here the node begins to be short of CPU
constexpr double kMemoryStallShare = 0.05;  // PSI some; 50 times what probing may cause
constexpr double kIoStallShare = 0.20;
// Reclaim costs CPU if the kernel uses the larger part of the CPU time and also scans tens of MiB per second
// or reads evicted megabytes back.
constexpr double kSystemShare = 0.40;
constexpr double kPagesScannedPerSecond = 5000, kRefaultsPerSecond = 500;
// CPU use that the bytes read do not explain, while bytes wait: a garbage collector runs, or the work became
// more expensive.
constexpr double kServedShare = 0.5;
constexpr double kBusyCores = 0.1;
constexpr double kCostConfidence = 0.5;
constexpr double kBacklogSeconds = 0.1;  // bytes that wait for less than a tick are merely arriving
constexpr double kUnsentBytes = 64 * 1024;
constexpr double kUnsentSeconds = 0.5;  // longer than any round trip: the peer does not read
constexpr double kThreadsBusy = 0.85;
constexpr double kSecondsMax = 60;  // seconds; upper bound of ratios to a rate near zero

bool at_least(const std::optional<double>& value, double threshold) {
  return value && *value >= threshold;
}

struct Rules {
  const CauseInput& in;
  Cause held;

  double of(Cause cause, double threshold) const {
    return cause == held ? threshold * kHeldThreshold : threshold;
  }
  bool memory() const {
    return at_least(in.memory_stall_share, of(Cause::stalled_on_memory, kMemoryStallShare));
  }
  bool kernel_reclaims() const {
    return at_least(in.system_share, of(Cause::reclaiming, kSystemShare)) &&
           at_least(in.usage_cores, kIdleCores) &&
           (at_least(in.pgscan_per_second, of(Cause::reclaiming, kPagesScannedPerSecond)) ||
            at_least(in.refaults_per_second, of(Cause::reclaiming, kRefaultsPerSecond)));
  }
  bool collects() const {
    const double share = held == Cause::reclaiming ? (1 + kServedShare) / 2 : kServedShare;
    return in.served_share && *in.served_share < share && at_least(in.usage_cores, kBusyCores) && works_up();
  }
  double throttled() const { return in.throttled_share.value_or(0); }
  // PSI counts throttled time as waiting. The rest is waiting for the node's CPUs.
  double unexplained_wait() const { return in.wait_share.value_or(0) - throttled(); }
  bool quota() const {
    return throttled() >= of(Cause::starved_by_quota, kThrottledShare) && throttled() >= unexplained_wait();
  }
  bool ancestor() const {
    return at_least(in.ancestor_throttled_share, of(Cause::starved_by_ancestor, kThrottledShare)) &&
           unexplained_wait() >= of(Cause::starved_by_ancestor, kWaitShare);
  }
  bool node() const { return unexplained_wait() >= of(Cause::starved_by_node, kWaitShare); }
  bool downstream() const {
    return at_least(in.unsent_bytes, of(Cause::downstream_bound, kUnsentBytes)) &&
           at_least(in.unsent_seconds, of(Cause::downstream_bound, kUnsentSeconds));
  }
  bool works_up() const { return at_least(in.backlog_seconds, kBacklogSeconds); }
  bool idle() const { return *in.usage_cores < (held == Cause::idle ? 2 : 1) * kIdleCores && !works_up(); }
  bool threads() const {
    return works_up() && at_least(in.runnable_threads, 0.5) &&
           *in.usage_cores >= of(Cause::thread_bound, kThreadsBusy) * std::max(1.0, *in.runnable_threads);
  }
  bool keeps_up() const {
    return in.backlog_seconds && *in.backlog_seconds < (held == Cause::input_bound ? 2 : 1) * kBacklogSeconds;
  }
};

using Field = std::optional<double> CauseInput::*;
constexpr std::array<Field, 14> kMeans{&CauseInput::ancestor_throttled_share,
                                       &CauseInput::usage_cores,
                                       &CauseInput::system_share,
                                       &CauseInput::throttled_share,
                                       &CauseInput::wait_share,
                                       &CauseInput::memory_stall_share,
                                       &CauseInput::io_stall_share,
                                       &CauseInput::pgscan_per_second,
                                       &CauseInput::refaults_per_second,
                                       &CauseInput::served_share,
                                       &CauseInput::backlog_seconds,
                                       &CauseInput::unsent_bytes,
                                       &CauseInput::unsent_seconds,
                                       &CauseInput::runnable_threads};

// The time that `bytes` take at `rate`. 0 bytes take no time.
double seconds_of(double bytes, double rate) {
  if (bytes <= 0) return 0;
  return rate > 0 ? std::min(bytes / rate, kSecondsMax) : kSecondsMax;
}

std::optional<double> larger(const std::optional<double>& a, const std::optional<double>& b) {
  return a && b ? std::max(a, b) : a ? a : b;
}

CauseInput inputs_of(const Signals& g, const FlowEstimate& flow) {
  CauseInput in;
  in.usage_cores = g.usage_cores;
  if (g.system_cores && g.usage_cores) {
    in.system_share = *g.usage_cores > 0 ? std::min(1.0, *g.system_cores / *g.usage_cores) : 0;
  }
  in.throttled_share = g.throttled_wall_ratio;
  if (!in.throttled_share && g.periods && g.throttled_periods) {
    in.throttled_share =
        *g.periods > 0 ? static_cast<double>(*g.throttled_periods) / static_cast<double>(*g.periods) : 0;
  }
  in.ancestor_throttled_share = g.ancestor_throttled_ratio;
  in.wait_share = g.cpu_pressure_ratio;
  if (!in.wait_share && g.run_queue_wait_per_second)
    in.wait_share = std::min(1.0, *g.run_queue_wait_per_second);
  in.memory_stall_share = larger(g.memory_pressure_ratio, g.memory_stall_per_second);
  if (in.memory_stall_share) in.memory_stall_share = std::min(1.0, *in.memory_stall_share);
  in.io_stall_share = g.io_pressure_ratio;
  in.pgscan_per_second = g.pgscan_per_second;
  in.refaults_per_second = g.refaults_per_second;
  in.runnable_threads = g.runnable_threads;
  if (g.unsent_bytes && g.output_bytes_per_second) {
    in.unsent_bytes = g.unsent_bytes;
    in.unsent_seconds = seconds_of(*g.unsent_bytes, *g.output_bytes_per_second);
  }
  if (g.backlog_bytes && g.service_bytes_per_second) {
    in.backlog_seconds = seconds_of(*g.backlog_bytes, *g.service_bytes_per_second);
    if (flow.cpu_seconds_per_mib && flow.confidence >= kCostConfidence &&
        at_least(g.usage_cores, kIdleCores)) {
      constexpr double kMiB = 1024.0 * 1024.0;
      in.served_share =
          std::min(1.0, *g.service_bytes_per_second / kMiB * *flow.cpu_seconds_per_mib / *g.usage_cores);
    }
  }
  return in;
}

void take_means(const CauseInput& seen, double interval, CauseInput& mean) {
  const double share = 1 - std::exp(-interval / kMeanSeconds);
  for (const Field field : kMeans) {
    const auto& value = seen.*field;
    auto& held = mean.*field;
    held = value && held ? *held + share * (*value - *held) : value;
  }
}

}  // namespace

Cause classify(const CauseInput& in, Cause held) {
  if (!in.usage_cores) return Cause::unknown;
  const Rules is{in, held};
  // Memory comes first: a task that stalls on memory is also throttled and late, but CPU would not help it.
  if (is.memory()) return Cause::stalled_on_memory;
  if (is.kernel_reclaims()) return Cause::reclaiming;
  if (is.quota()) return Cause::starved_by_quota;
  if (is.ancestor()) return Cause::starved_by_ancestor;
  if (is.node()) return Cause::starved_by_node;
  if (is.collects()) return Cause::reclaiming;
  if (is.downstream()) return Cause::downstream_bound;
  if (is.idle()) return Cause::idle;
  if (at_least(in.io_stall_share, is.of(Cause::stalled_on_io, kIoStallShare))) return Cause::stalled_on_io;
  if (is.threads()) return Cause::thread_bound;
  return is.keeps_up() ? Cause::input_bound : Cause::unknown;
}

void observe_cause(MonotonicTime now, const Signals* signals, const FlowEstimate& flow, CauseState& s) {
  auto tell = [&](Cause cause) {
    if (s.now.cause != cause || s.now.since == MonotonicTime{}) s.now.since = now;
    s.now.cause = s.candidate = cause;
    s.candidate_seconds = 0;
  };
  if (!signals || signals->interval_seconds <= 0) {
    if (s.observed_at != MonotonicTime{} && in_seconds(now - s.observed_at) > kForgetSeconds) {
      s.now.inputs = {};
      tell(Cause::unknown);
    }
    return;
  }
  const bool first = s.observed_at == MonotonicTime{};
  s.observed_at = now;
  take_means(inputs_of(*signals, flow), signals->interval_seconds, s.now.inputs);
  const Cause verdict = classify(s.now.inputs, s.now.cause);
  if (first || verdict == s.now.cause) return tell(verdict);
  s.candidate_seconds = verdict == s.candidate ? s.candidate_seconds + signals->interval_seconds : 0;
  s.candidate = verdict;
  if (s.candidate_seconds >= kLastSeconds) tell(verdict);
}

void pause_cause(MonotonicTime now, CauseState& s) {
  const MonotonicTime since = s.now.cause == Cause::frozen ? s.now.since : now;
  s = {};
  s.now.cause = Cause::frozen;
  s.now.since = since;
}

bool memory_is_the_cure(const Diagnosis& d) {
  if (d.cause == Cause::stalled_on_memory) return true;
  return d.cause == Cause::reclaiming && Rules{d.inputs, d.cause}.kernel_reclaims();
}

Cause cause_of_decision(const Diagnosis& d, bool throttled_now) {
  const bool deeper = d.cause == Cause::stalled_on_memory || d.cause == Cause::reclaiming;
  return throttled_now && !deeper ? Cause::starved_by_quota : d.cause;
}

}  // namespace sluice
