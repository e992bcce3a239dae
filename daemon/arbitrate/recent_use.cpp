#include "daemon/arbitrate/recent_use.hpp"

#include <algorithm>
#include <cmath>

#include "daemon/signal/signal.hpp"

namespace sluice {
namespace {

constexpr double kUpSeconds = 0.3, kDownSeconds = 1.0;  // time constants of the mean
constexpr double kRoom = 1.25, kLeastRoomCores = 0.05;
constexpr Nsec kThrottledFor = std::chrono::seconds(1);  // since a throttle, the task may want more

}  // namespace

void observe_use(const Signals& g, MonotonicTime now, RecentUse& use) {
  if (!g.usage_cores || g.interval_seconds <= 0) return;
  const bool old = use.at == MonotonicTime{} || now - use.at >= kEvidenceFor;
  const double within = *g.usage_cores > use.mean_cores ? kUpSeconds : kDownSeconds;
  use.mean_cores +=
      (old ? 1 : std::min(1.0, g.interval_seconds / within)) * (*g.usage_cores - use.mean_cores);
  use.at = now;
  if (g.throttled_periods.value_or(0) > 0) use.throttled_at = now;
}

std::optional<double> used_cores(const RecentUse& use, double limit_cores, MonotonicTime now, Room room) {
  if (use.at == MonotonicTime{} || now - use.at >= kEvidenceFor) return std::nullopt;
  const bool throttled = use.throttled_at != MonotonicTime{} && now - use.throttled_at < kThrottledFor;
  if (throttled && !std::isinf(limit_cores)) return limit_cores;
  const double with_room = room == Room::guessed ? kRoom * use.mean_cores + kLeastRoomCores : use.mean_cores;
  return std::min(limit_cores, with_room);
}

}  // namespace sluice
