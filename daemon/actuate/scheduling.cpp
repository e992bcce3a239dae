#include "daemon/actuate/scheduling.hpp"

#include <sched.h>

#include <cerrno>

namespace sluice::actuate {

cgroups::Result<void> request_realtime() {
  sched_param priority{};
  priority.sched_priority = ::sched_get_priority_min(SCHED_RR);
  if (::sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &priority) == 0) return {};
  return tl::unexpected(cgroups::Error{errno, {}, "ask for real-time scheduling"});
}

}  // namespace sluice::actuate
