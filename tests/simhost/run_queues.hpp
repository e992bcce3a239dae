// Assigns a task's threads to CPUs, as far as pressure and throttled time depend on it. Running threads are
// spread evenly. A thread that wakes while the quota throttles the others finds every CPU idle, and stays on
// its last one.
#pragma once

#include <algorithm>
#include <vector>

#include "tests/simhost/psi.hpp"

namespace sluice::simhost {

class RunQueues {
 public:
  // Call at the beginning of each interval.
  void resize(unsigned cpus) {
    cpus = std::max(1U, cpus);
    if (cpus != by_cpu_.size()) by_cpu_.resize(cpus), runnable_.resize(cpus), present_.resize(cpus);
    std::fill(runnable_.begin(), runnable_.end(), 0);
    std::fill(present_.begin(), present_.end(), 0);
  }
  // The CPU for a thread that wakes; call `resize`, and `add` for all others, before.
  unsigned choose(unsigned last_time, bool throttled) const {
    const unsigned stay = last_time % static_cast<unsigned>(present_.size());
    if (throttled || present_[stay] == 0) return stay;
    return least();
  }
  // Adds a thread; it is runnable, or stalled on memory.
  void add(unsigned cpu, bool runnable) {
    ++present_[cpu % present_.size()];
    if (runnable) ++runnable_[cpu % runnable_.size()];
  }
  // The CPU that one of this CPU's threads should move to; the same CPU: none.
  unsigned better_than(unsigned cpu) const {
    const auto least = std::min_element(present_.begin(), present_.end());
    return present_[cpu % present_.size()] > *least + 1 ? static_cast<unsigned>(least - present_.begin())
                                                        : cpu;
  }
  void move(unsigned from, unsigned to, bool runnable) {
    --present_[from];
    if (runnable) --runnable_[from];
    add(to, runnable);
  }
  unsigned busy() const {
    return static_cast<unsigned>(
        std::count_if(runnable_.begin(), runnable_.end(), [](unsigned n) { return n > 0; }));
  }

  // `waiting`: the share of this time in which none of its threads had a CPU.
  void account(double elapsed, double waiting) {
    for (std::size_t i = 0; i < present_.size(); ++i) {
      if (present_[i] == 0) continue;
      by_cpu_[i].nonidle += elapsed;
      if (runnable_[i] == 0) continue;
      by_cpu_[i].some += elapsed * (runnable_[i] > 1 ? 1 : waiting);
      by_cpu_[i].full += elapsed * waiting;
    }
  }
  const std::vector<CpuTime>& by_cpu() const { return by_cpu_; }
  void forget() { std::fill(by_cpu_.begin(), by_cpu_.end(), CpuTime{}); }

 private:
  unsigned least() const {
    return static_cast<unsigned>(std::min_element(present_.begin(), present_.end()) - present_.begin());
  }

  std::vector<unsigned> runnable_, present_;
  std::vector<CpuTime> by_cpu_;  // since the last reset
};

}  // namespace sluice::simhost
