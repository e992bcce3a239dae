#include "tests/simhost/bandwidth.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace sluice::simhost {

void Bandwidth::set(std::optional<double> quota_usec, double period_usec, double burst_usec, double now) {
  catch_up(now);
  const bool was_limited = limited();
  const bool period_changed = period_usec != period_;
  quota_ = quota_usec;
  period_ = period_usec;
  burst_ = burst_usec;
  if (!limited()) {
    next_boundary_ = kForever;
    timer_active_ = false;
  } else {
    // The period timer keeps its phase; a new one starts here.
    if (!was_limited) next_boundary_ = now + period_;
    if (was_limited && period_changed) next_boundary_ = std::min(next_boundary_, now + period_);
    refill(true);
  }
  unthrottle(now);
}

void Bandwidth::consume(double usec) {
  if (!limited() || usec <= 0) return;
  runtime_ = std::max(0.0, runtime_ - usec);
  timer_active_ = true;
  idle_ = false;
}

void Bandwidth::throttle(double now, unsigned cpus) {
  if (throttled_) return;
  throttled_ = true;
  timer_active_ = true;
  idle_ = false;
  throttled_since_ = now;
  throttled_cpus_ = std::max(1U, cpus);
}

void Bandwidth::throttle_also(double now, unsigned cpus) {
  if (!throttled_ || cpus <= throttled_cpus_) return;
  throttled_before_ += (now - throttled_since_) * throttled_cpus_;
  throttled_since_ = now;
  throttled_cpus_ = cpus;
}

void Bandwidth::catch_up(double now) {
  while (limited() && next_boundary_ <= now) {
    const double boundary = next_boundary_;
    next_boundary_ += period_;
    if (!timer_active_) {
      // Nothing ran since the timer stopped: the pool is full, and the missed periods do not count.
      const double missed = std::floor((now - next_boundary_) / period_);
      if (missed > 0) next_boundary_ += missed * period_;
      offered_ += runtime_ * (1 + std::max(0.0, missed));
      continue;
    }
    ++nr_periods_;
    refill(false);
    if (throttled_) {
      ++nr_throttled_;
      unthrottle(boundary);
    } else if (idle_) {
      timer_active_ = false;
    } else {
      idle_ = true;
    }
  }
}

void Bandwidth::refill(bool by_write) {
  const double before = runtime_;
  runtime_ += *quota_;
  if (const double over = runtime_snap_ - runtime_; over > 0) {
    burst_time_ += over;
    ++nr_bursts_;
  }
  runtime_ = std::min(runtime_, *quota_ + burst_);
  runtime_snap_ = runtime_;
  most_ = std::max(most_, runtime_);
  granted_ += std::max(0.0, runtime_ - before);
  offered_ += by_write ? std::max(0.0, runtime_ - before) : runtime_;
}

double Bandwidth::take_most_usec() {
  return std::exchange(most_, runtime_);
}

void Bandwidth::unthrottle(double now) {
  if (!throttled_) return;
  throttled_ = false;
  // cpu.stat counts a throttle when it ends, summed over the run queues.
  throttled_time_ += throttled_before_ + (now - throttled_since_) * throttled_cpus_;
  throttled_before_ = 0;
}

CpuMax Bandwidth::cpu_max() const {
  CpuMax out;
  out.period = Usec(std::llround(period_));
  if (quota_) out.quota = Usec(std::llround(*quota_));
  out.burst = Usec(std::llround(burst_));
  return out;
}

CpuBandwidth Bandwidth::stat() const {
  return {.nr_periods = nr_periods_,
          .nr_throttled = nr_throttled_,
          .throttled = Usec(std::llround(throttled_time_))};
}

}  // namespace sluice::simhost
