#include "daemon/signal/flow_model.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace sluice {
namespace {

constexpr double kMiB = 1024.0 * 1024.0;
// A stretch under load must reach both. In a shorter one, work that follows its read looks like a change of
// cost.
constexpr double kStretchSeconds = 1.0;
constexpr double kStretchMib = 1.0 / 256;  // a few records
// A longer stretch without enough bytes is a trickle and does not show the cost of load.
constexpr double kStretchSecondsMax = 10.0;
constexpr double kQuietBytesPerSecond = 1024;  // heartbeats and acknowledgements are not input
constexpr std::size_t kCostsMin = 4;           // fewer may be chance
constexpr double kCostsHalf = 4;               // this many give half of the confidence
constexpr double kTrim = 0.25;                 // of the bytes, at either end; outliers do not count
constexpr double kRateSeconds = 1.0;
// quiet seconds between stretches; a shorter gap may be a wait for a reply
constexpr double kGapSeconds = 1.0;
constexpr double kTailSeconds = 3.0;         // quiet seconds in which work may still belong to a burst
constexpr double kBackgroundSeconds = 60.0;  // time constant of its rise
constexpr double kClosedWindow = 0.05;       // share of the time

void smooth(std::optional<double>& mean, double value, double interval, double time_constant) {
  const double share = 1 - std::exp(-interval / time_constant);
  mean = mean ? *mean + share * (value - *mean) : value;
}

// The mean of the middle half, by bytes. It is robust against bytes without work and against work without
// bytes.
void conclude(FlowModel& m) {
  m.cpu_seconds_per_mib.reset();
  m.confidence = 0;
  if (m.count < kCostsMin) return;
  std::array<FlowModel::Cost, FlowModel::kKept> sorted = m.costs;
  const auto end = sorted.begin() + static_cast<std::ptrdiff_t>(m.count);
  std::sort(sorted.begin(), end,
            [](const auto& a, const auto& b) { return a.cpu_seconds_per_mib < b.cpu_seconds_per_mib; });
  // Limits the weight of a single large stretch, so that it cannot be the whole middle half.
  std::array<double, FlowModel::kKept> weights{};
  std::transform(sorted.begin(), end, weights.begin(), [](const auto& c) { return c.mib; });
  const auto middle = weights.begin() + static_cast<std::ptrdiff_t>(m.count / 2);
  std::nth_element(weights.begin(), middle, weights.begin() + static_cast<std::ptrdiff_t>(m.count));
  const double most = 2 * *middle;
  double capped = 0;
  for (auto it = sorted.begin(); it != end; ++it) capped += it->mib = std::min(it->mib, most);
  const double from = kTrim * capped, to = (1 - kTrim) * capped;
  double passed = 0, work = 0, weight = 0;
  std::optional<double> low, high;
  for (auto it = sorted.begin(); it != end; ++it) {
    const double inside = std::min(passed + it->mib, to) - std::max(passed, from);
    passed += it->mib;
    if (inside <= 0) continue;
    work += inside * it->cpu_seconds_per_mib;
    weight += inside;
    if (!low) low = it->cpu_seconds_per_mib;
    high = it->cpu_seconds_per_mib;
  }
  if (weight <= 0 || work <= 0) return;
  const double cost = work / weight;
  const double spread = (*high - *low) / cost;
  const double n = static_cast<double>(m.count);
  m.cpu_seconds_per_mib = cost;
  m.confidence = n / (n + kCostsHalf) / (1 + spread);
}

void remember(FlowModel::Cost cost, FlowModel& m) {
  m.costs[m.next] = cost;
  m.next = (m.next + 1) % FlowModel::kKept;
  m.count = std::min(m.count + 1, FlowModel::kKept);
  conclude(m);
}

void drop_stretch(FlowModel& m) {
  m.open_seconds = m.open_cpu_seconds = m.open_mib = 0;
}

void end_stretch(FlowModel& m) {
  if (m.open_mib >= kStretchMib) remember({m.open_mib, m.open_cpu_seconds / m.open_mib}, m);
  drop_stretch(m);
}

void learn(const Signals& g, FlowModel& m) {
  const double dt = g.interval_seconds;
  const double served = *g.service_bytes_per_second, usage = *g.usage_cores;
  // A throttled or runnable task may still work on what it read.
  const bool working = g.throttled_periods.value_or(0) > 0 || g.runnable_threads.value_or(0) > 0;
  const bool quiet = !working && served < kQuietBytesPerSecond &&
                     *g.arrival_bytes_per_second < kQuietBytesPerSecond && *g.backlog_bytes == 0;
  if (quiet) {
    // Falls at once; rises late and slowly, because work after a burst may still belong to the burst.
    m.quiet_seconds += dt;
    if (!m.background_cores || usage < *m.background_cores) {
      m.background_cores = usage;
    } else if (m.quiet_seconds > kTailSeconds) {
      smooth(m.background_cores, usage, dt, kBackgroundSeconds);
    }
  } else {
    m.quiet_seconds = 0;
  }
  // Quiet time without work belongs to no bytes, and ends the stretch if it lasts. With work it belongs to
  // the bytes just read.
  constexpr double kStillWorking = 0.02;  // cores above the background
  const double work = std::max(0.0, usage - m.background_cores.value_or(0));
  if (quiet && work < kStillWorking) {
    if (m.quiet_seconds >= kGapSeconds) end_stretch(m);
    return;
  }
  if (quiet && m.open_mib == 0) return;
  m.open_seconds += dt;
  m.open_cpu_seconds += work * dt;
  m.open_mib += served * dt / kMiB;
  if (m.open_seconds >= kStretchSecondsMax ||
      (m.open_seconds >= kStretchSeconds && m.open_mib >= kStretchMib))
    end_stretch(m);
}

}  // namespace

void observe_flow(const Signals& g, FlowModel& m) {
  if (g.interval_seconds <= 0) return;
  if (!g.arrival_bytes_per_second || !g.service_bytes_per_second || !g.backlog_bytes) {
    m.arrival_bytes_per_second.reset();
    m.service_bytes_per_second.reset();
    drop_stretch(m);
    return;
  }
  smooth(m.arrival_bytes_per_second, *g.arrival_bytes_per_second, g.interval_seconds, kRateSeconds);
  smooth(m.service_bytes_per_second, *g.service_bytes_per_second, g.interval_seconds, kRateSeconds);
  if (g.usage_cores) {
    learn(g, m);
  } else {
    drop_stretch(m);  // the bytes are without their work
  }
}

FlowEstimate estimate_flow(const Signals& g, const FlowModel& m) {
  FlowEstimate e;
  e.cpu_seconds_per_mib = m.cpu_seconds_per_mib;
  e.confidence = m.confidence;
  if (!g.backlog_bytes || !m.arrival_bytes_per_second || !m.service_bytes_per_second) return e;
  e.more_upstream = g.zero_window_ratio.value_or(0) > kClosedWindow;
  if (e.cpu_seconds_per_mib) {
    e.backlog_cpu_seconds = *g.backlog_bytes / kMiB * *e.cpu_seconds_per_mib;
    e.arrival_cores = *m.arrival_bytes_per_second / kMiB * *e.cpu_seconds_per_mib;
  }
  const double draining = *m.service_bytes_per_second - *m.arrival_bytes_per_second;
  if (*g.backlog_bytes <= 0) {
    e.drain_seconds = 0;
  } else {
    e.drain_seconds = draining > 0 ? *g.backlog_bytes / draining : std::numeric_limits<double>::infinity();
  }
  return e;
}

}  // namespace sluice
