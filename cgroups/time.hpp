// Time points and durations are distinct types: two time points cannot be added.
#pragma once

#include <chrono>
#include <cstdint>

namespace sluice {

using Usec = std::chrono::microseconds;
using Nsec = std::chrono::nanoseconds;

// CLOCK_MONOTONIC. It has no now(): policy never reads the clock; the caller passes the time.
struct MonotonicClock {
  using duration = Nsec;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<MonotonicClock>;
  static constexpr bool is_steady = true;
};

// A time point of CLOCK_MONOTONIC. The default value (zero, the boot) means "never" or "unknown" if a header
// says so.
using MonotonicTime = MonotonicClock::time_point;

template <class Rep, class Period>
constexpr double in_seconds(std::chrono::duration<Rep, Period> length) {
  return std::chrono::duration<double>(length).count();
}
constexpr Nsec from_seconds(double seconds) {
  return std::chrono::duration_cast<Nsec>(std::chrono::duration<double>(seconds));
}

// A POSIX or kernel CLOCK_MONOTONIC value: the time since boot.
constexpr MonotonicTime since_boot(Nsec length) {
  return MonotonicTime{length};
}
constexpr MonotonicTime since_boot_nsec(std::uint64_t nsec) {
  return MonotonicTime{Nsec{static_cast<std::int64_t>(nsec)}};
}

}  // namespace sluice
