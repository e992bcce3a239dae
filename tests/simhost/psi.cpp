#include "tests/simhost/psi.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

namespace sluice::simhost {

PsiTrigger::PsiTrigger(bool full, double threshold_usec, double window_usec, double now, double total)
    : full_(full),
      threshold_(threshold_usec),
      window_(window_usec),
      start_time_(now),
      start_value_(total),
      next_update_(now + window_usec / 10) {}

void PsiTrigger::update(double now, double total) {
  if (now < next_update_) return;
  next_update_ = now + window_ / 10;
  // The kernel's window_update(): growth in this window, plus a part of the last one's.
  const double elapsed = now - start_time_;
  double growth = total - start_value_;
  if (elapsed > window_) {
    start_time_ = now;
    start_value_ = total;
    previous_growth_ = growth;
  } else {
    growth += previous_growth_ * (window_ - elapsed) / window_;
  }
  if (growth >= threshold_ && now >= last_event_ + window_) {
    event_ = true;
    last_event_ = now;
  }
}

bool PsiTrigger::take_event() {
  return std::exchange(event_, false);
}

void Psi::average(Line& line, double elapsed) {
  static constexpr std::array<double, 3> kWindows{10e6, 60e6, 300e6};
  const double share = 100.0 * std::clamp((line.total - line.total_at_update) / elapsed, 0.0, 1.0);
  for (std::size_t i = 0; i < kWindows.size(); ++i) {
    const double keep = std::exp(-elapsed / kWindows[i]);
    line.avg[i] = line.avg[i] * keep + share * (1 - keep);
  }
  line.total_at_update = line.total;
}

void Psi::add(const std::vector<CpuTime>& by_cpu) {
  if (by_cpu_.size() < by_cpu.size()) by_cpu_.resize(by_cpu.size());
  for (std::size_t i = 0; i < by_cpu.size(); ++i) {
    by_cpu_[i].nonidle += by_cpu[i].nonidle;
    by_cpu_[i].some += by_cpu[i].some;
    by_cpu_[i].full += by_cpu[i].full;
  }
}

void Psi::collect() {
  double nonidle = 0, some = 0, full = 0;
  for (CpuTime& cpu : by_cpu_) {
    nonidle += cpu.nonidle;
    some += cpu.some * cpu.nonidle;
    full += cpu.full * cpu.nonidle;
    cpu = {};
  }
  if (nonidle <= 0) return;
  some_.total += some / nonidle;
  full_.total += full / nonidle;
}

void Psi::advance(double now) {
  const double elapsed = now - last_;
  last_ = now;
  for (double* total : {&some_.total, &polled_some_}) *total += forced_some_ * elapsed;
  for (double* total : {&full_.total, &polled_full_}) *total += forced_full_ * elapsed;
  while (now >= next_average_) {
    collect();
    average(some_, 2e6);
    average(full_, 2e6);
    next_average_ += 2e6;
  }
  if (triggers_.empty()) return;
  std::erase_if(triggers_, [](const auto& weak) { return weak.expired(); });
  for (const auto& weak : triggers_) {
    if (const auto trigger = weak.lock()) trigger->update(now, trigger->full() ? polled_full_ : polled_some_);
  }
}

PressureTotals Psi::totals() {
  collect();
  return {.some = Usec(std::llround(some_.total)), .full = Usec(std::llround(full_.total))};
}

std::string Psi::text(bool with_full_line) {
  collect();
  const auto line = [](const char* name, const Line& l) {
    char out[128];
    std::snprintf(out, sizeof out, "%s avg10=%.2f avg60=%.2f avg300=%.2f total=%.0f\n", name, l.avg[0],
                  l.avg[1], l.avg[2], l.total);
    return std::string(out);
  };
  return line("some", some_) + (with_full_line ? line("full", full_) : "");
}

}  // namespace sluice::simhost
