// Handles receipts of earlier orders, and what the change of a limit means for its task.
#include <cerrno>
#include <utility>

#include "daemon/tick/parts.hpp"
#include "daemon/values/knob_value.hpp"

namespace sluice::parts {
namespace {

constexpr auto kYield = std::chrono::seconds(60);
constexpr auto kResetWindow = std::chrono::minutes(1);
constexpr std::size_t kResetsMax = 5;  // per minute; more is a conflict with a writer, not a daemon-reload

using Event = ManagedLimit::Event;

// The rate history counts our own changes only. A value that returned to ours or to the baseline is no change
// of ours. After an external writer's value the history is cleared.
void note_move(const Tick& t, const TaskState& task, Knob which, KnobState& knob,
               const ManagedLimit::Change& change, const Receipt& r) {
  const double before = number_of(change.before), after = number_of(change.after);
  const Rule rule = knob.limit.reason().rule;
  if (after == before || rule == Rule::reasserted) return;
  if (change.event != Event::confirmed || rule == Rule::pinned || after != number_of(r.asked)) {
    knob.rates = {};
    return;
  }
  if (which == Knob::cpu_weight) return;  // cpu.weight has no rate policies
  const auto& policy = t.policy_of(task);
  const auto at = r.finished_at == MonotonicTime{} ? t.input.now : r.finished_at;
  note_change(which == Knob::cpu_max ? policy.cpu.scaling : policy.memory.scaling, at, before, knob.rates);
}

void yield(Tick& t, TaskState& task, KnobState& knob) {
  knob.rates = {};
  task.yield_until = t.input.now + kYield;
}

// An external writer restored the baseline, as systemd does at a daemon-reload. Our value is written again,
// unless that repeats too often.
void follow_reset(Tick& t, TaskState& task, KnobState& knob, const KnobValue& ours) {
  if (t.config.node.on_foreign_write == config::OnForeignWrite::override_it) {
    knob.reassert = ours;
    return;
  }
  while (!task.reset_times.empty() && t.input.now - task.reset_times.front() > kResetWindow)
    task.reset_times.pop_front();
  task.reset_times.push_back(t.input.now);
  if (task.reset_times.size() <= kResetsMax) {
    knob.reassert = ours;
  } else {
    yield(t, task, knob);
  }
}

// An external writer set its own value. We yield for a while, unless the configuration overrides external
// writes.
void follow_external(Tick& t, TaskState& task, KnobState& knob, const KnobValue& ours) {
  if (t.config.node.on_foreign_write == config::OnForeignWrite::override_it) {
    knob.rates = {};
    knob.reassert = ours;
  } else {
    yield(t, task, knob);
  }
}

Notice& writer_notice(Tick& t, TaskState& task, Notice::Kind kind, const ManagedLimit::Change& change,
                      const Receipt* receipt) {
  ++task.drift_total;
  Notice& n = t.notice(kind, task);
  n.expected = change.before;
  n.found = change.after;
  if (receipt) n.receipt = *receipt;
  return n;
}

// Our process ran out of file descriptors; the task is not at fault.
bool is_our_lack(const Receipt& r) {
  return r.error_number == EMFILE || r.error_number == ENFILE;
}

// Nothing was written, and the task is not at fault. Reported once per series.
void lack(Tick& t, TaskState& task, KnobState& knob, const Receipt& r, bool release) {
  if (!release && !knob.writes.empty()) knob.writes.pop_back();
  if (!std::exchange(knob.not_tried, true)) t.notice(Notice::Kind::write_failed, task).receipt = r;
}

void fail(Tick& t, TaskState& task, const Receipt& r, bool release) {
  t.notice(Notice::Kind::write_failed, task).receipt = r;
  if (!release) trip_on(t, task, r);
}

void apply(Tick& t, TaskState& task, const Receipt& r) {
  KnobState& knob = task.knob(r.knob);
  const auto order = knob.limit.order();
  const bool release = order && order->reason.rule == Rule::released;
  if (r.knob == Knob::memory_high && r.interrupted && r.result == Receipt::Result::written)
    t.notice(Notice::Kind::write_failed, task).receipt =
        r;  // the limit holds, and the task's memory exceeds it
  if (r.knob == Knob::memory_high && (r.interrupted || r.result == Receipt::Result::timed_out))
    task.memory_write_blocked = true;
  const auto change = knob.limit.answer(r);
  const bool failed = change.event == Event::failed || change.event == Event::undecided;
  if (change.event == Event::not_tried || (failed && is_our_lack(r))) return lack(t, task, knob, r, release);
  knob.not_tried = false;
  switch (change.event) {
    case Event::confirmed:
    case Event::released:
      note_move(t, task, r.knob, knob, change, r);
      if (change.event == Event::confirmed) close_after_write(t, task);
      ++task.writes_total;
      ++t.state.writes_total;
      break;
    case Event::external:
      ++task.writes_total;
      ++t.state.writes_total;
      break;
    case Event::failed:
      note_move(t, task, r.knob, knob, change, r);
      fail(t, task, r, release);
      break;
    case Event::undecided:
      fail(t, task, r, release);
      break;
    case Event::overdue:  // slow is not failed: the receipt may still come
      t.notice(Notice::Kind::write_failed, task).receipt = r;
      break;
    default:
      break;
  }
  follow_change(t, task, r.knob, change, &r);
}

}  // namespace

void follow_change(Tick& t, TaskState& task, Knob which, const ManagedLimit::Change& change,
                   const Receipt* receipt) {
  KnobState& knob = task.knob(which);
  const bool enforcing = t.mode == config::Mode::enforce;
  switch (change.event) {
    case Event::moved:
      knob.rates = {};
      if (enforcing) writer_notice(t, task, Notice::Kind::foreign_write, change, receipt);
      break;
    case Event::reset:
      writer_notice(t, task, Notice::Kind::knob_reset, change, receipt);
      if (enforcing) follow_reset(t, task, knob, change.before);
      break;
    case Event::external:
      writer_notice(t, task, Notice::Kind::foreign_write, change, receipt);
      follow_external(t, task, knob, change.before);
      break;
    case Event::confirmed:
    case Event::landed:
    case Event::released:
      report_adjustment(t, task, which, change, receipt);
      break;
    default:
      break;
  }
}

void report_adjustment(Tick& t, const TaskState& task, Knob which, const ManagedLimit::Change& change,
                       const Receipt* receipt) {
  if (change.after == change.before) return;
  const auto& limit = task.knob(which).limit;
  Adjustment a;
  a.id = task.facts.id;
  a.task = task.facts.name;
  a.cgroup = task.facts.cgroup;
  a.knob = which;
  a.old_value = change.before;
  a.new_value = change.after;
  a.reason = limit.reason();
  a.at = limit.changed_at().value_or(t.input.now);
  a.dry_run = limit.pretends();
  if (receipt && receipt->caused_at != MonotonicTime{} && receipt->written_at != MonotonicTime{})
    a.reaction = receipt->written_at - receipt->caused_at;
  t.report.adjustments.push_back(std::move(a));
}

void apply_receipts(Tick& t) {
  for (const auto& r : t.input.receipts) {
    const auto found = t.state.tasks.find(r.id);
    if (found != t.state.tasks.end()) apply(t, found->second, r);
  }
}

void project_lease(Tick& t) {
  for (const auto& each : t.tasks) {
    TaskState& task = *each.task;
    for (const Knob which : kKnobs) {
      KnobState& knob = task.knob(which);
      if (knob.leased_revision == knob.limit.lease_revision()) continue;
      knob.leased_revision = knob.limit.lease_revision();
      LeaseChange change{{task.facts.id, which}, std::nullopt};
      knob.leased = knob.limit.touched();
      if (knob.leased)
        change.entry =
            LeaseEntry{task.facts.id, task.facts.cgroup, which, *knob.limit.baseline(), knob.limit.ours()};
      t.lease.push_back(std::move(change));
    }
  }
}

}  // namespace sluice::parts

namespace sluice {

std::vector<LeaseEntry> lease_of(const State& state) {
  std::vector<LeaseEntry> out;
  for (const auto& [id, task] : state.tasks) {
    for (const Knob which : kKnobs) {
      const auto& limit = task.knob(which).limit;
      if (limit.touched()) out.push_back({id, task.facts.cgroup, which, *limit.baseline(), limit.ours()});
    }
  }
  return out;
}

const config::Task& rule_of(const TaskFacts& facts, const config::Config& config) {
  static const config::Task none = [] {
    config::Task rule;
    rule.policy.cpu.enabled = rule.policy.memory.enabled = false;
    return rule;
  }();
  return facts.config_index ? config.tasks[*facts.config_index] : none;
}

}  // namespace sluice
