// The circuit breaker of a task. Closed: the task is governed. Open: its baseline is restored and it is left
// alone; the waiting time doubles with each consecutive trip. Half-open: governed again, on trial. Two things
// open it:
//   failed write  at once; the next successful write closes it
//   harm          governing makes the task worse; a minute without harm closes it
//
// Harm is something that only our limit can cause: the knob is below its baseline and its upper bound, it is
// not pinned, neither bounds nor the node's capacity set it, and one of these holds:
//   late     the task was throttled, and its work waited for the limit longer than max_delay
//   stalled  the task stalled on memory 5 % of the time, with at least 90 % of memory.high in use
// Time without harm is subtracted from time with harm. The breaker opens at 10 s, or at 5 s if three cuts of
// the last minute had to be undone.
// cuts of the last minute had to be undone: a controller that is wrong time and again is given less.
#include <algorithm>
#include <system_error>

#include "daemon/tick/parts.hpp"
#include "daemon/values/knob_value.hpp"

namespace sluice::parts {
namespace {

constexpr Nsec kWait = std::chrono::seconds(30);
constexpr Nsec kWaitMax = std::chrono::minutes(10);
constexpr Nsec kTrial = std::chrono::minutes(1);
constexpr Nsec kUndoWindow = std::chrono::minutes(1);
constexpr std::size_t kUndosMany = 3;
constexpr double kHarmSeconds = 10, kHarmSecondsAfterUndos = 5;
constexpr double kBelow = 0.99;       // of the baseline or bound; closer values count as equal
constexpr double kStallShare = 0.05;  // PSI some; the classifier's threshold, above what probes may cause
constexpr double kAtTheLimit = 0.9;   // of memory.high in use; below it, our limit does not cause the stalls

Notice& open(Tick& t, TaskState& task, BreakerTrip trip) {
  Breaker& b = task.breaker;
  b.retry_at = t.input.now + std::min(kWait * (1 << std::min(b.failures, 5U)), kWaitMax);
  ++b.failures;
  b.state = BreakerState::open;
  b.trip = trip;
  b.cause.clear();
  task.harm = {};
  Notice& n = t.notice(Notice::Kind::breaker_opened, task);
  n.trip = trip;
  return n;
}

void close(Tick& t, TaskState& task) {
  task.breaker = {};
  t.notice(Notice::Kind::breaker_closed, task);
}

// True if bounds, capacity or an administrator set the value.
bool imposed(const Reason& r) {
  return r.clamped_capacity || r.clamped_max || r.rule == Rule::capacity || r.rule == Rule::bound ||
         r.rule == Rule::schedule || r.rule == Rule::pinned;
}

// True if the knob is below its baseline and below its upper bound by our choice.
bool squeezed(const KnobState& knob, double bound) {
  const auto& limit = knob.limit;
  if (!limit.present() || !limit.touched() || !limit.baseline() || imposed(limit.reason())) return false;
  const double holds = number_of(limit.value());
  return holds < kBelow * number_of(*limit.baseline()) && holds < kBelow * bound;
}

bool late(const Tick& t, TaskState& task, const Bounds& bounds) {
  const Signals& g = task.signals;
  if (!g.periods || !g.throttled_periods) return false;
  if (*g.throttled_periods == 0) return false;
  const auto waited = std::chrono::duration<double>(longest_wait_seconds(t.input.now, task.cpu_control));
  if (waited <= t.policy_of(task).max_delay) return false;
  const bool wished = (pin_of(task) && pin_of(task)->cpu_cores) || task.deferred_cpu_intent;
  return !wished && squeezed(task.cpu, bounds.cpu_max) && !memory_is_the_cure(task.cause.now);
}

bool stalled(const TaskState& task, const Bounds& bounds) {
  if (task.cause.now.inputs.memory_stall_share.value_or(0) < kStallShare) return false;
  if ((pin_of(task) && pin_of(task)->memory_high) || !squeezed(task.memory, bounds.memory_max)) return false;
  return static_cast<double>(task.sample->memory_current.value_or(0)) >=
         kAtTheLimit * number_of(task.memory.limit.value());
}

void account(double& owed, bool harmed, double interval) {
  owed = std::max(0.0, owed + (harmed ? interval : -interval));
}

}  // namespace

void trip_on(Tick& t, TaskState& task, const Receipt& r) {
  open(t, task, BreakerTrip::write_failed).receipt = r;
  task.breaker.cause = r.path + ": " + std::generic_category().message(r.error_number);
}

void close_after_write(Tick& t, TaskState& task) {
  if (task.breaker.state != BreakerState::half_open || task.breaker.trip != BreakerTrip::write_failed) return;
  close(t, task);
}

void try_again(Tick& t, TaskState& task) {
  Breaker& b = task.breaker;
  if (b.state == BreakerState::open && t.input.now >= b.retry_at) {
    b.state = BreakerState::half_open;
    b.trial_until = t.input.now + kTrial;
  } else if (b.state == BreakerState::half_open && b.trip != BreakerTrip::write_failed &&
             t.input.now >= b.trial_until) {
    close(t, task);
  }
}

void note_undo(TaskState& task, Rule rule, MonotonicTime now) {
  const bool memory = rule == Rule::memory_refault || rule == Rule::memory_futile;
  // Cuts by bounds, capacity or a pin do not count as ours.
  if (rule == Rule::cpu_undo || (memory && !task.memory_control.cut_by_others))
    task.harm.undos.push_back(now);
}

void watch_harm(Tick& t, TaskState& task, const Bounds& bounds) {
  auto& undos = task.harm.undos;
  while (!undos.empty() && t.input.now - undos.front() > kUndoWindow) undos.pop_front();
  if (!task.fresh) return;  // no sample, no conclusion
  if (t.mode != config::Mode::enforce || !governable(t, task)) {
    task.harm = {};
    return;
  }
  const double interval = task.signals.interval_seconds;
  account(task.harm.late_debt_seconds, late(t, task, bounds), interval);
  account(task.harm.stalled_seconds, stalled(task, bounds), interval);
  const double most = undos.size() >= kUndosMany ? kHarmSecondsAfterUndos : kHarmSeconds;
  if (task.harm.late_debt_seconds >= most) {
    open(t, task, BreakerTrip::late);
  } else if (task.harm.stalled_seconds >= most) {
    open(t, task, BreakerTrip::memory_stalled);
  }
}

}  // namespace sluice::parts
