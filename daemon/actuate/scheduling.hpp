// A thread that answers throttle events must not be delayed by the tasks that it governs. See sched(7).
#pragma once

#include "cgroups/error.hpp"

namespace sluice::actuate {

// Gives the calling thread precedence over ordinary threads (SCHED_RR at the lowest priority); its child
// threads do not inherit it. Only for threads that sleep after each small piece of work. EPERM: neither
// RLIMIT_RTPRIO nor CAP_SYS_NICE permits it, or the cgroup has no realtime share; nothing changes then.
cgroups::Result<void> request_realtime();

}  // namespace sluice::actuate
