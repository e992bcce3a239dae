// Giving everything back: at the end of a run, and for `sluiced --restore`. One way for both: an engine that
// stops.
#pragma once

#include "daemon/run/cgroup_host.hpp"
#include "daemon/run/engine.hpp"

namespace sluice {

// What is not given back within this is reported, and stays in the lease.
inline constexpr auto kReleaseTime = std::chrono::seconds(10);

// Says what was given back and what was not, and removes the lease of a run that left nothing. False:
// something is left.
bool report_release(Engine& engine);

// Without a loop: ticks until nothing is left, or the time is over.
bool release_everything(CgroupHost& host, Engine& engine, const NodeFacts& node);

}  // namespace sluice
