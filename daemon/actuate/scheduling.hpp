// A thread that answers throttle events must not wait behind the tasks that it governs. See sched(7).
#pragma once

#include "cgroups/error.hpp"

namespace sluice::actuate {

// The calling thread runs before all ordinary ones from now on (SCHED_RR at its lowest priority); threads
// that it starts do not inherit that. Only for threads that sleep after each bit of work. EPERM: neither
// RLIMIT_RTPRIO nor CAP_SYS_NICE allows it, or its realtime group has no share; it goes on as it was.
cgroups::Result<void> request_realtime();

}  // namespace sluice::actuate
