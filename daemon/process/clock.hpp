// The only place that reads the clock of the daemon's times. Any thread. Policy does not call it.
#pragma once

#include <time.h>

#include "cgroups/time.hpp"

namespace sluice {

inline MonotonicTime monotonic_now() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return since_boot(std::chrono::seconds(t.tv_sec) + Nsec(t.tv_nsec));
}

}  // namespace sluice
