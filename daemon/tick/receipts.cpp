// What came of the last plan: the knobs as they are now, and adjustments to tell.

#include "daemon/tick/parts.hpp"
#include "daemon/values/knob_value.hpp"

namespace sluice::parts {
namespace {

constexpr auto kReleaseRetry = std::chrono::seconds(10);

// Before `holds` follows. A value that came back, to ours or to the baseline, is no step on our way, and
// where another chose the value the way begins anew.
void note_move(const Tick& t, const TaskState& task, KnobState& knob, const Receipt& r,
               const KnobValue& now) {
  const Rule rule = knob.asked_reason.rule;
  const double before = number_of(knob.holds), after = number_of(now);
  if (after == before || rule == Rule::reasserted) return;
  if (rule == Rule::pinned || rule == Rule::released || after != number_of(r.asked)) {
    knob.rates = {};
    return;
  }
  const auto& policy = t.policy_of(task);
  const auto at = r.finished_at == MonotonicTime{} ? t.input.now : r.finished_at;
  note_change(r.knob == Knob::cpu_max ? policy.cpu.scaling : policy.memory.scaling, at, before, knob.rates);
}

void confirmed(Tick& t, TaskState& task, KnobState& knob, const Receipt& r) {
  const KnobValue now = r.holds.value_or(r.asked);
  note_move(t, task, knob, r, now);
  if (!(now == knob.holds)) {
    Adjustment a;
    a.id = r.id;
    a.task = task.facts.name;
    a.cgroup = task.facts.cgroup;
    a.knob = r.knob;
    a.old_value = knob.holds;
    a.new_value = now;
    a.reason = knob.asked_reason;
    a.at = r.finished_at;
    a.dry_run = r.result == Receipt::Result::dry_run;
    if (r.caused_at != MonotonicTime{} && r.written_at != MonotonicTime{})
      a.reaction = r.written_at - r.caused_at;
    t.report.adjustments.push_back(std::move(a));
    knob.reason = knob.asked_reason;
    knob.changed_at = r.finished_at;
  }
  knob.holds = now;
  if (knob.asked_reason.rule == Rule::released) {
    knob.touched = false;
  } else {
    close_after_write(t, task);
  }
  if (r.result != Receipt::Result::dry_run) {
    ++task.writes_total;
    ++t.state.writes_total;
  }
}

void take(Tick& t, TaskState& task, const Receipt& r) {
  KnobState& knob = r.knob == Knob::cpu_max ? task.cpu : task.memory;
  knob.in_flight = false;
  knob.confirmed_at = r.finished_at;
  const bool release = knob.asked_reason.rule == Rule::released;
  switch (r.result) {
    case Receipt::Result::written:
    case Receipt::Result::dry_run:
      confirmed(t, task, knob, r);
      return;
    case Receipt::Result::vanished:
      knob.touched = false;  // nothing is left to restore; the next full tick drops the task
      return;
    case Receipt::Result::differs:
      ++task.drift_total;
      confirmed(t, task, knob, r);
      t.notice(Notice::Kind::foreign_write, task).receipt = r;
      return;
    case Receipt::Result::timed_out:
      // memory.high takes effect before its reclaim is done: the limit stands, and it is too low.
      t.notice(Notice::Kind::write_failed, task).receipt = r;
      if (r.knob == Knob::memory_high) {
        task.memory_write_blocked = true;
        note_move(t, task, knob, r, r.holds.value_or(r.asked));
        knob.holds = r.holds.value_or(r.asked);
      } else {
        if (r.holds) note_move(t, task, knob, r, *r.holds);
        if (r.holds) knob.holds = *r.holds;
        trip_on(t, task, r);
      }
      if (release) knob.release_retry_at = t.input.now + kReleaseRetry;
      return;
    case Receipt::Result::refused:
      t.notice(Notice::Kind::write_failed, task).receipt = r;
      if (r.holds) note_move(t, task, knob, r, *r.holds);
      if (r.holds) knob.holds = *r.holds;
      if (release) {
        knob.release_retry_at = t.input.now + kReleaseRetry;
      } else {
        trip_on(t, task, r);
      }
      return;
  }
}

}  // namespace

void take_receipts(Tick& t) {
  for (const auto& r : t.input.receipts) {
    const auto found = t.state.tasks.find(r.id);
    if (found != t.state.tasks.end()) take(t, found->second, r);
  }
}

}  // namespace sluice::parts
