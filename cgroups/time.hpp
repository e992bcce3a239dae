// Time. Points and lengths of time are distinct types: two points cannot be added.
#pragma once

#include <chrono>
#include <cstdint>

namespace sluice {

using Usec = std::chrono::microseconds;
using Nsec = std::chrono::nanoseconds;

// CLOCK_MONOTONIC. It has no now(): policy never reads the clock, it is handed the time.
struct MonotonicClock {
  using duration = Nsec;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<MonotonicClock>;
  static constexpr bool is_steady = true;
};

// A moment of CLOCK_MONOTONIC. A default one (zero, the boot) means "never" or "not known" where a header
// says so.
using MonotonicTime = MonotonicClock::time_point;

template <class Rep, class Period>
constexpr double in_seconds(std::chrono::duration<Rep, Period> length) {
  return std::chrono::duration<double>(length).count();
}
constexpr Nsec from_seconds(double seconds) {
  return std::chrono::duration_cast<Nsec>(std::chrono::duration<double>(seconds));
}

// CLOCK_MONOTONIC as POSIX and the kernel hand it out: the time since the boot.
constexpr MonotonicTime since_boot(Nsec length) {
  return MonotonicTime{length};
}
constexpr MonotonicTime since_boot_nsec(std::uint64_t nsec) {
  return MonotonicTime{Nsec{static_cast<std::int64_t>(nsec)}};
}

}  // namespace sluice
