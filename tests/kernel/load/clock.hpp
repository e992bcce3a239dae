// Times in microseconds, and deliberate use of CPU time.
#pragma once

#include <csignal>
#include <cstdint>
#include <ctime>

namespace sluice::load {

inline std::int64_t now_usec(clockid_t clock = CLOCK_MONOTONIC) {
  timespec t{};
  clock_gettime(clock, &t);
  return t.tv_sec * 1'000'000LL + t.tv_nsec / 1000;
}

// Sleeps until the absolute time; returns early when a signal arrives.
inline void sleep_until_usec(std::int64_t at) {
  const timespec t{at / 1'000'000, at % 1'000'000 * 1000};
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, nullptr);
}

// Uses CPU time of the calling thread. It measures CPU time, not loops: so the cost is the same on every
// machine, emulated ones included, and throttled time does not count as work. An excess of one call is
// subtracted from the next one.
class Burner {
 public:
  void burn(double cpu_usec) {
    owed_usec_ += cpu_usec;
    const std::int64_t start = now_usec(CLOCK_THREAD_CPUTIME_ID);
    std::int64_t used = 0;
    while (static_cast<double>(used) < owed_usec_) {
      for (int i = 0; i < 500; ++i) state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
      used = now_usec(CLOCK_THREAD_CPUTIME_ID) - start;
    }
    owed_usec_ -= static_cast<double>(used);
    sink_ = state_;
  }

 private:
  double owed_usec_ = 0;
  std::uint64_t state_ = 1;
  volatile std::uint64_t sink_ = 0;  // otherwise the loop would be optimised away
};

// SIGTERM and SIGINT ask a program to finish; it checks this between two pieces of work.
inline volatile std::sig_atomic_t stop_requested = 0;
inline void stop_on_signals() {
  struct sigaction action {};
  action.sa_handler = [](int) { stop_requested = 1; };
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
}

}  // namespace sluice::load
