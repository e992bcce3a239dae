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

// What a write of "some 150000 1000000" to a pressure file makes; lives as long as the file description.
class PsiTrigger {
 public:
  PsiTrigger(bool full, double threshold_usec, double window_usec, double now, double total);
  void update(double now, double total);
  bool full() const { return full_; }
  // An event is seen by one poll: taking it clears it.
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

class Psi {
 public:
  void start(double now) {
    last_ = now;
    next_average_ = now + 2e6;
  }
  void add(double some_usec, double full_usec) {
    some_.total += some_usec;
    full_.total += full_usec;
  }
  // Averages move every two seconds; triggers look ten times a window.
  void advance(double now);
  void watch(const std::shared_ptr<PsiTrigger>& trigger) { triggers_.push_back(trigger); }

  double some_usec() const { return some_.total; }
  double full_usec() const { return full_.total; }
  PressureTotals totals() const;
  std::string text(bool with_full_line) const;
  // A forced pressure: share of the time that `some` (and `full`) grow by, until it is set to 0.
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

  Line some_;
  Line full_;
  double last_ = 0;
  double next_average_ = 2e6;
  double forced_some_ = 0;
  double forced_full_ = 0;
  std::vector<std::weak_ptr<PsiTrigger>> triggers_;
};

}  // namespace sluice::simhost
