#include "tests/bench/ours.hpp"

namespace sluice::bench {

std::size_t run_ours(Bed& bed, const OursSpec& spec) {
  config::TaskPolicy policy;
  policy.max_delay = Usec(static_cast<std::int64_t>(spec.deadline_s * 1e6));
  policy.cpu.min_cores = kFewestCores;
  policy.cpu.max_cores = spec.max_cores;
  policy.cpu.step_cores = spec.step_cores;
  policy.cpu.burst_ratio = spec.burst_ratio;
  policy.cpu.writes_per_minute = spec.writes_per_minute;
  policy.memory.enabled = false;
  policy.forecast = spec.forecast;
  Governed governed(bed.host(), spec.visibility, [&](const Write& w) { return bed.write(w); });
  governed.add(bed.id(), bed.cgroup(), policy);
  bed.on_throttle([&](const ThrottleEvent& e) { governed.event_tick({e}, e.at); });
  bed.run([&] { governed.full_tick(); });
  return governed.violations();
}

}  // namespace sluice::bench
