#include "daemon/publish/words/words.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <cstring>
#include <string_view>
#include <vector>

#include "daemon/publish/journal/journal_fields.hpp"
#include "daemon/publish/words/names.hpp"

namespace sluice::publish {

namespace {

using std::string;

string seconds_words(double seconds) {
  return duration_words(Nsec(static_cast<std::int64_t>(std::min(seconds, 9e8) * 1e9)));
}

string clamps(const Reason& reason, bool memory) {
  std::vector<std::string_view> by;
  if (reason.clamped_min) by.push_back("the minimum");
  if (reason.clamped_max) by.push_back("the maximum");
  if (reason.clamped_capacity) by.push_back("the node's capacity");
  if (reason.clamped_forecast) by.push_back("its forecast");
  if (reason.clamped_rate) by.push_back("its rate policy");
  if (by.empty() && !reason.clamped_step) return {};
  const string wanted = std::isinf(reason.wanted) ? "no limit"
                        : memory                  ? bytes_words(reason.wanted)
                                                  : cores_words(reason.wanted);
  string text = "; it wanted " + wanted;
  if (reason.clamped_step) text += ", rounded up to whole steps";
  if (!by.empty()) text += fmt::format(", and {} limits that", fmt::join(by, " and "));
  return text;
}

// The ratio is from the last full tick. A throttle event may be newer; the ratio is then zero and not shown.
string throttled_words(const Reason& r) {
  constexpr double kNone = 0.005;
  const string lasting =
      r.binding_seconds > 0 ? fmt::format("for {} without a break", seconds_words(r.binding_seconds)) : "";
  if (r.throttled_ratio < kNone) return "its quota has throttled it" + (lasting.empty() ? "" : " " + lasting);
  return fmt::format("throttled in {} of its periods{}{}", percent_words(r.throttled_ratio),
                     lasting.empty() ? "" : ", ", lasting);
}

string why_cpu(const Reason& r) {
  const string demand =
      r.demand_cores > 0 ? fmt::format("; it would use {}", cores_words(r.demand_cores)) : "";
  switch (r.rule) {
    case Rule::cpu_deadline:
      return fmt::format("{} of work is waiting and would miss the deadline{}",
                         seconds_words(r.backlog_cpu_seconds) + " of CPU", demand);
    case Rule::cpu_throttled:
      return throttled_words(r) + demand;
    case Rule::cpu_unlimited:
      return "it had no quota yet" + demand;
    case Rule::cpu_surplus:
      return fmt::format("it uses {} of its quota, and the rest is surplus", cores_words(r.usage_cores)) +
             (r.demand_cores > 0 ? fmt::format("; it needs {}", cores_words(r.demand_cores)) : "");
    case Rule::cpu_idle:
      return "nothing has run";
    case Rule::cpu_undo:
      return "the last cut was wrong: since then " + throttled_words(r) + demand;
    case Rule::forecast:
      return fmt::format("it will need {}, as at this time of earlier seasons", cores_words(r.demand_cores));
    default:
      return {};
  }
}

string why_memory(const Reason& r) {
  switch (r.rule) {
    case Rule::memory_probe:
      return fmt::format(
          "memory pressure of {} leaves room under the target, so there is memory it does not need",
          percent_words(r.pressure_ratio));
    case Rule::memory_pressure:
      return fmt::format("memory pressure {} is over target", percent_words(r.pressure_ratio));
    case Rule::memory_refault:
      return fmt::format("evicted pages are read back: {:.0f} refaults/s", r.refaults_per_second);
    case Rule::memory_growth:
      return "it is growing and needs head-room";
    case Rule::memory_room:
      return "its memory use varies, and the last cut left too little head-room";
    case Rule::memory_futile:
      return fmt::format("reclaim frees nothing ({} of the pages it scans)",
                         percent_words(r.steal_scan_ratio));
    case Rule::memory_floor:
      return "the limit was below the memory that reclaim cannot free";
    default:
      return {};
  }
}

string found_words(const Notice& notice) {
  const string expected = notice.expected ? value_words(*notice.expected) : "our value";
  const string found = notice.found ? value_words(*notice.found) : "another";
  return fmt::format("it held {} and not {}", found, expected);
}

// "PID 812 (sh, in foo.service)"
string writer_words(const Writer& writer) {
  const std::string_view unit = unit_of(writer.cgroup);
  const string where(unit.empty() ? std::string_view(writer.cgroup) : unit);
  return fmt::format("PID {} ({}{}{})", writer.pid, c_escape(writer.command), where.empty() ? "" : ", in ",
                     c_escape(where));
}

std::string_view knob_of(const Notice& notice) {
  const auto& value = notice.found ? notice.found : notice.expected;
  return value ? file_name(sluice::knob_of(*value)) : "a knob";
}

// The cause of a decision, unless the rule already implies it.
string cause_clause(const Reason& r) {
  const bool said =
      (r.cause == Cause::starved_by_quota &&
       (r.rule == Rule::cpu_throttled || r.rule == Rule::cpu_undo || r.rule == Rule::cpu_deadline)) ||
      (r.cause == Cause::idle && r.rule == Rule::cpu_idle);
  if (said) return {};
  switch (r.cause) {
    case Cause::starved_by_quota:
      return "; its quota throttles it";
    case Cause::starved_by_ancestor:
      return "; the cpu.max of a cgroup above throttles it";
    case Cause::starved_by_node:
      return "; the node's CPUs are busy";
    case Cause::stalled_on_memory:
      return "; it stalls on memory";
    case Cause::reclaiming:
      return "; reclaim takes its CPU time";
    case Cause::stalled_on_io:
      return "; it waits for the disk";
    case Cause::downstream_bound:
      return "; its consumers do not read its output";
    case Cause::thread_bound:
      return "; all its threads run already";
    default:
      return {};  // idle, input-bound, unknown: nothing holds it up
  }
}

string burst_words(const CpuMax& cpu) {
  const Usec burst = cpu.burst.value_or(Usec{0});
  return burst > Usec{0} ? fmt::format(" + {} burst", duration_words(burst)) : string();
}

string value_in(const KnobValue& value, int digits) {
  if (const auto* weight = std::get_if<CpuWeight>(&value)) return std::to_string(weight->weight);
  if (const auto* cpu = std::get_if<CpuMax>(&value)) {
    if (!cpu->quota || cpu->period.count() <= 0) return "no limit";
    const double cores = static_cast<double>(cpu->quota->count()) / static_cast<double>(cpu->period.count());
    return fmt::format("{:.{}f} cores{}", cores, digits + 1, burst_words(*cpu));
  }
  const auto& limit = std::get<MemoryLimit>(value);
  return limit.bytes ? bytes_in(static_cast<double>(*limit.bytes), digits) : "no limit";
}

}  // namespace

string value_words(const KnobValue& value) {
  if (const auto* weight = std::get_if<CpuWeight>(&value)) return std::to_string(weight->weight);
  if (const auto* cpu = std::get_if<CpuMax>(&value)) {
    if (!cpu->quota || cpu->period.count() <= 0) return "no limit";
    return cores_words(static_cast<double>(cpu->quota->count()) / static_cast<double>(cpu->period.count())) +
           burst_words(*cpu);
  }
  const auto& limit = std::get<MemoryLimit>(value);
  return limit.bytes ? bytes_words(static_cast<double>(*limit.bytes)) : "no limit";
}

string change_words(const KnobValue& from, const KnobValue& to) {
  string old_words = value_words(from), new_words = value_words(to);
  for (int digits = 2; old_words == new_words && from != to && digits <= 6; ++digits) {
    old_words = value_in(from, digits);
    new_words = value_in(to, digits);
  }
  return old_words + " -> " + new_words;
}

string error_words(int error_number) {
  // The _np functions need glibc 2.32: thread-safe, untranslated.
  const char* name = ::strerrorname_np(error_number);
  const char* words = ::strerrordesc_np(error_number);
  if (name == nullptr || words == nullptr) return fmt::format("error {}", error_number);
  return fmt::format("{} ({})", name, words);
}

string reason_words(Knob knob, const Reason& reason) {
  const bool memory = knob == Knob::memory_high;
  switch (reason.rule) {
    case Rule::none:
      return "there is no reason of ours";
    case Rule::initial:
      return "the first value, from the configuration" + clamps(reason, memory);
    case Rule::bound:
      return "moved into the bounds in force" + clamps(reason, memory);
    case Rule::schedule:
      return reason.clamped_min ? "its schedule sets a larger minimum for now"
                                : "its schedule sets a smaller maximum for now";
    case Rule::burst:
      return "the quota stays, its burst follows the configuration";
    case Rule::capacity:
      return "the node's capacity is used up" + clamps(reason, memory);
    case Rule::by_weight:
      return "the node is full: quotas are at their maxima, and the kernel shares it by cpu.weight" +
             clamps(reason, memory);
    case Rule::weight:
      return "of a full node it gets its minimum first, then its share by priority and weight";
    case Rule::reasserted:
      return "an external writer had changed it" + clamps(reason, memory);
    case Rule::pinned:
      return "pinned by an administrator" + clamps(reason, memory);
    case Rule::released:
      return "released: the baseline is restored";
    default:
      break;
  }
  string why = memory ? why_memory(reason) : why_cpu(reason);
  if (why.empty()) why = memory ? why_cpu(reason) : why_memory(reason);  // the cause is of the other resource
  if (why.empty()) why = to_string(reason.rule);
  return why + cause_clause(reason) + clamps(reason, memory);
}

string origin_words(Knob knob, const KnobStory& story, const Reason& reason,
                    std::optional<MonotonicTime> changed_at, MonotonicTime now) {
  const string ago = changed_at ? fmt::format(" {} ago", duration_words(now - *changed_at)) : string();
  switch (story.origin) {
    case Origin::absent:
      return "not there: the controller is off for it";
    case Origin::unread:
      return "not read yet";
    case Origin::found:
      return "as it was found: Sluice has not set it";
    case Origin::ours:
      return fmt::format("set{}; the reason then: {}", ago, reason_words(knob, reason));
    case Origin::inherited:
      return "set by Sluice; the reason is not known: an earlier process set it, or the kernel's answer was "
             "lost";
    case Origin::external:
      return fmt::format("as an external writer set it, which was seen{}", changed_at ? ago : " just now");
    case Origin::reset:
      return fmt::format("its baseline, which an external writer brought back{}", ago);
    case Origin::released:
      return fmt::format("its baseline, which Sluice gave back{}", ago);
    case Origin::pretended:
      return fmt::format("what Sluice would have set{}, were this not a dry run; the reason: {}", ago,
                         reason_words(knob, reason));
  }
  return {};
}

string pressure_words(std::size_t tasks) {
  return fmt::format(
      "The memory pressure (PSI) of {} {} cannot be read: memory.high is never lowered there, and cpu.max is "
      "governed by throttling and usage alone; boot with psi=1, and see that cgroup.pressure is 1",
      tasks, tasks == 1 ? "task" : "tasks");
}

string trip_words(BreakerTrip trip, const string& cause) {
  switch (trip) {
    case BreakerTrip::none:
      return "nothing is wrong";
    case BreakerTrip::write_failed:
      return cause.empty() ? "a write failed" : c_escape(cause);
    case BreakerTrip::late:
      return "our quota made it late: throttled without a break for longer than its max_delay";
    case BreakerTrip::memory_stalled:
      return "our memory.high made it stall";
  }
  return {};
}

string sentence(const Adjustment& a) {
  string line = fmt::format("{}{} {}: {}", a.dry_run ? "dry run: " : "", file_name(a.knob),
                            change_words(a.old_value, a.new_value), reason_words(a.knob, a.reason));
  if (a.reaction) line += fmt::format(" ({} after the event)", duration_words(*a.reaction));
  return line;
}

string sentence(const Write& write) {
  return fmt::format("{} to {}: {}", file_name(write.knob), value_words(write.value),
                     reason_words(write.knob, write.reason));
}

string sentence(const Receipt& r) {
  string what = fmt::format("writing {} to {}", value_words(r.asked),
                            r.path.empty() ? string(file_name(r.knob)) : c_escape(r.path));
  switch (r.result) {
    case Receipt::Result::written:
      if (r.interrupted)
        return fmt::format("{} still blocked after {} and was interrupted; it holds {}", what,
                           duration_words(r.finished_at - r.started_at),
                           value_words(r.holds.value_or(r.asked)));
      return fmt::format("{}: done{}", what,
                         r.holds && *r.holds != r.asked ? ", it holds " + value_words(*r.holds) : "");
    case Receipt::Result::refused:
      return fmt::format("{} was refused: {}", what, error_words(r.error_number));
    case Receipt::Result::vanished:
      return fmt::format("{}: the cgroup is gone", what);
    case Receipt::Result::timed_out:
      return fmt::format(
          "{} still blocked after {}{}", what, duration_words(r.finished_at - r.started_at),
          r.may_land ? "; it has not returned, and may still take effect" : " and was interrupted");
    case Receipt::Result::differs:
      return fmt::format("{} was accepted, but it holds {}", what,
                         r.holds ? value_words(*r.holds) : "something else");
    case Receipt::Result::not_tried:
      return fmt::format("{} was not tried: {}", what,
                         r.error_number == EBUSY ? "every writer waits for a write that has not returned"
                                                 : error_words(r.error_number));
  }
  return what;
}

string sentence(const Notice& n) {
  switch (n.kind) {
    case Notice::Kind::task_added:
      return fmt::format("governing {}", c_escape(n.cgroup));
    case Notice::Kind::task_removed:
      return fmt::format("{} is gone", c_escape(n.cgroup));
    case Notice::Kind::write_failed:
      return n.receipt ? sentence(*n.receipt) : "a write failed";
    case Notice::Kind::breaker_opened:
      return "governing it failed, so its baseline is restored and it is left alone for a while: " +
             (n.receipt ? sentence(*n.receipt) : trip_words(n.trip, {}));
    case Notice::Kind::breaker_closed:
      return "governing it works again";
    case Notice::Kind::foreign_write:
      return fmt::format("{} wrote {}: {}", n.writer ? writer_words(*n.writer) : "somebody else", knob_of(n),
                         found_words(n));
    case Notice::Kind::knob_reset:
      return fmt::format("{} was reset by its owner{}: {}", knob_of(n),
                         n.writer ? ", " + writer_words(*n.writer) : "", found_words(n));
    case Notice::Kind::saturated:
      return fmt::format("the node is saturated: {} and {} are missing", cores_words(n.missing_cores),
                         bytes_words(static_cast<double>(n.missing_bytes)));
    case Notice::Kind::unsaturated:
      return "the node has enough for every task again";
    case Notice::Kind::mode_changed:
      return "the mode changed";
    case Notice::Kind::plan_violation:
      return fmt::format("a planned value{} broke the invariant '{}' and was not written: please report this",
                         n.expected ? " of " + value_words(*n.expected) : "", n.invariant);
    case Notice::Kind::reading_unknown:
      return fmt::format("{} is not believed, and counts as unknown: {}", n.file, n.fault);
    case Notice::Kind::pressure_unknown:
      return pressure_words(n.tasks);
    case Notice::Kind::pressure_known:
      return "The memory pressure (PSI) of every task can be read again";
    case Notice::Kind::minima_exceed_capacity:
      return fmt::format(
          "the tasks' minima exceed the node by {} and {}; every task gets its share of what there is",
          cores_words(n.missing_cores), bytes_words(static_cast<double>(n.missing_bytes)));
  }
  return {};
}

}  // namespace sluice::publish
