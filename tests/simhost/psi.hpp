// Pressure stall information of one resource of one cgroup: totals, averages, triggers
// (Documentation/accounting/psi.rst).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cgroups/types.hpp"

namespace sluice::simhost {

// A trigger, made by a write of "some 150000 1000000" to a pressure file; lives as long as the file
// description.
class PsiTrigger {
 public:
  PsiTrigger(bool full, double threshold_usec, double window_usec, double now, double total);
  void update(double now, double total);
  bool full() const { return full_; }
  // Returns and clears the event, so that one poll sees it.
  bool take_event();
  bool pending() const { return event_; }
  void force() { event_ = true; }

 private:
  bool full_;
  double threshold_;
  double window_;
  double start_time_;
  double start_value_;
  double previous_growth_ = 0;
  double last_event_ = -1e18;
  double next_update_;
  bool event_ = false;
};

// Times of one CPU's run queue of a cgroup, in usec.
struct CpuTime {
  double nonidle = 0;  // with a running or runnable thread
  double some = 0;     // with a waiting thread
  double full = 0;     // with a waiting thread and none running
};

class Psi {
 public:
  void start(double now) {
    last_ = now;
    next_average_ = now + 2e6;
  }
  void add(double some_usec, double full_usec) {
    polled_some_ += some_usec;
    polled_full_ += full_usec;
    if (!by_cpu_.empty()) return;
    some_.total += some_usec;
    full_.total += full_usec;
  }
  // After the first call the totals are per CPU, weighted by the time it was not idle between two
  // collections, as in the kernel: collected every two seconds and at each read. Triggers collect separately,
  // and so often that the input of add() is close enough.
  void add(const std::vector<CpuTime>& by_cpu);
  // Averages are updated every two seconds, triggers ten times per window.
  void advance(double now);
  void watch(const std::shared_ptr<PsiTrigger>& trigger) { triggers_.push_back(trigger); }

  // The times that triggers use.
  double some_usec() const { return polled_some_; }
  double full_usec() const { return polled_full_; }
  PressureTotals totals();
  std::string text(bool with_full_line);
  // Forces pressure: `some` (and `full`) grow by this share of the time until it is set to 0.
  void force(double some_share, double full_share) {
    forced_some_ = some_share;
    forced_full_ = full_share;
  }

 private:
  struct Line {
    double total = 0;
    double total_at_update = 0;
    std::array<double, 3> avg{};
  };
  void average(Line& line, double elapsed);
  void collect();

  Line some_;
  Line full_;
  std::vector<CpuTime> by_cpu_;  // since the last collection
  double polled_some_ = 0;
  double polled_full_ = 0;
  double last_ = 0;
  double next_average_ = 2e6;
  double forced_some_ = 0;
  double forced_full_ = 0;
  std::vector<std::weak_ptr<PsiTrigger>> triggers_;
};

}  // namespace sluice::simhost
