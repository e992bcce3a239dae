// CFS bandwidth control of one cgroup: quota, refill, burst and throttling as in kernel/sched/fair.c, without
// its per-CPU slices (a group's runtime is one pool, exact to the microsecond).
#pragma once

#include <cstdint>
#include <limits>
#include <optional>

#include "cgroups/types.hpp"

namespace sluice::simhost {

class Bandwidth {
 public:
  static constexpr double kForever = std::numeric_limits<double>::infinity();

  // Times are model microseconds. Every write refills the pool and unthrottles the group.
  void set(std::optional<double> quota_usec, double period_usec, double burst_usec, double now);

  bool limited() const { return quota_.has_value(); }
  bool throttled() const { return throttled_; }
  double runtime() const { return limited() ? runtime_ : kForever; }
  double next_boundary() const { return limited() ? next_boundary_ : kForever; }

  // Removes CPU time that was used. The caller never takes more than runtime().
  void consume(double usec);
  // The pool is empty, and `cpus` run queues still have runnable threads.
  void throttle(double now, unsigned cpus);
  // Number of run queues with runnable threads while throttled: a thread that wakes on another CPU stops that
  // run queue too.
  void throttle_also(double now, unsigned cpus);
  // Performs every refill due up to `now`.
  void catch_up(double now);

  std::optional<double> quota_usec() const { return quota_; }
  double period_usec() const { return period_; }
  double burst_usec() const { return burst_; }
  CpuMax cpu_max() const;
  double granted_usec() const { return granted_; }  // everything that refills put into the pool
  // What it could have run: the content of the pool at each boundary, and refills by writes. Runtime that a
  // burst keeps is offered again in each period.
  double offered_usec() const { return offered_; }
  // The maximum of the pool since the last call: what one period could have run.
  double take_most_usec();

  CpuBandwidth stat() const;
  std::uint64_t nr_bursts() const { return nr_bursts_; }
  double burst_time_usec() const { return burst_time_; }

 private:
  void refill(bool by_write);
  void unthrottle(double now);

  std::optional<double> quota_;
  double period_ = 100'000;
  double burst_ = 0;
  double runtime_ = 0;
  double runtime_snap_ = 0;
  double granted_ = 0;
  double offered_ = 0;
  double most_ = 0;
  double next_boundary_ = kForever;
  bool timer_active_ = false;
  bool idle_ = true;
  bool throttled_ = false;
  double throttled_since_ = 0;  // for `throttled_cpus_` run queues
  unsigned throttled_cpus_ = 0;
  double throttled_before_ = 0;  // earlier part of this throttle, with fewer run queues

  std::uint64_t nr_periods_ = 0;
  std::uint64_t nr_throttled_ = 0;
  double throttled_time_ = 0;
  std::uint64_t nr_bursts_ = 0;
  double burst_time_ = 0;
};

}  // namespace sluice::simhost
