#include "daemon/publish/words.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <cmath>
#include <cstring>
#include <string_view>
#include <vector>

#include "daemon/publish/journal_fields.hpp"
#include "daemon/publish/names.hpp"

namespace sluice::publish {

namespace {

using std::string;

string percent(double ratio) {
  const double value = ratio * 100;
  return value != 0 && std::abs(value) < 10 ? fmt::format("{:.2g} %", value)
                                            : fmt::format("{:.0f} %", value);
}

string seconds_words(double seconds) {
  return duration_words(
      Nsec(static_cast<std::int64_t>(std::min(seconds, 9e8) * 1e9)));
}

string clamps(const Reason &reason, bool memory) {
  std::vector<std::string_view> by;
  if (reason.clamped_min)
    by.push_back("the minimum");
  if (reason.clamped_max)
    by.push_back("the maximum");
  if (reason.clamped_capacity)
    by.push_back("the node's capacity");
  if (by.empty())
    return {};
  return fmt::format("; it wanted {}, and {} limits that",
                     memory ? bytes_words(reason.wanted)
                            : cores_words(reason.wanted),
                     fmt::join(by, " and "));
}

string why_cpu(const Reason &r) {
  const string demand =
      r.demand_cores > 0
          ? fmt::format("; it would use {}", cores_words(r.demand_cores))
          : "";
  switch (r.rule) {
  case Rule::cpu_deadline:
    return fmt::format("{} of work is waiting and would miss the deadline{}",
                       seconds_words(r.backlog_cpu_seconds) + " of CPU",
                       demand);
  case Rule::cpu_throttled:
    return r.binding_seconds > 0
               ? fmt::format(
                     "throttled in {} of its periods, for {} without a break{}",
                     percent(r.throttled_ratio),
                     seconds_words(r.binding_seconds), demand)
               : fmt::format("throttled in {} of its periods{}",
                             percent(r.throttled_ratio), demand);
  case Rule::cpu_unlimited:
    return "it had no quota yet" + demand;
  case Rule::cpu_surplus:
    return fmt::format("it uses {} and leaves the rest",
                       cores_words(r.usage_cores)) +
           (r.demand_cores > 0
                ? fmt::format("; it needs {}", cores_words(r.demand_cores))
                : "");
  case Rule::cpu_idle:
    return "nothing has run";
  case Rule::cpu_undo:
    return fmt::format(
        "the last cut was wrong: throttled in {} of its periods since{}",
        percent(r.throttled_ratio), demand);
  default:
    return {};
  }
}

string why_memory(const Reason &r) {
  switch (r.rule) {
  case Rule::memory_probe:
    return fmt::format("memory pressure {} is under target, so there is memory "
                       "it does not need",
                       percent(r.pressure_ratio));
  case Rule::memory_pressure:
    return fmt::format("memory pressure {} is over target",
                       percent(r.pressure_ratio));
  case Rule::memory_refault:
    return fmt::format("its working set came back: {:.0f} refaults/s",
                       r.refaults_per_second);
  case Rule::memory_growth:
    return "it is growing and needs head-room";
  case Rule::memory_futile:
    return fmt::format("reclaim frees nothing ({} of the pages it scans)",
                       percent(r.steal_scan_ratio));
  case Rule::memory_floor:
    return "the limit was below what reclaim could free";
  default:
    return {};
  }
}

string found_words(const Notice &notice) {
  const string expected =
      notice.expected ? value_words(*notice.expected) : "our value";
  const string found = notice.found ? value_words(*notice.found) : "another";
  return fmt::format("it held {} and not {}", found, expected);
}

// "PID 812 (sh, in foo.service)"
string writer_words(const Writer &writer) {
  const std::string_view unit = unit_of(writer.cgroup);
  const string where(unit.empty() ? std::string_view(writer.cgroup) : unit);
  return fmt::format("PID {} ({}{}{})", writer.pid, c_escape(writer.command),
                     where.empty() ? "" : ", in ", c_escape(where));
}

std::string_view knob_of(const Notice &notice) {
  const auto &value = notice.found ? notice.found : notice.expected;
  return value ? file_name(std::holds_alternative<CpuMax>(*value)
                               ? Knob::cpu_max
                               : Knob::memory_high)
               : "a knob";
}

} // namespace

string cores_words(double cores) {
  if (cores != 0 && std::abs(cores) < 0.1)
    return fmt::format("{:.3f} cores", cores);
  return fmt::format("{:.2f} cores", cores);
}

string bytes_words(double bytes) {
  static constexpr std::array units{"B",   "KiB", "MiB", "GiB",
                                    "TiB", "PiB", "EiB"};
  std::size_t unit = 0;
  while (std::abs(bytes) >= 1024 && unit + 1 < units.size()) {
    bytes /= 1024;
    ++unit;
  }
  // 1023.96 would print as "1024.0": the next unit's 1.0.
  if (std::abs(bytes) >= 1023.95 && unit + 1 < units.size()) {
    bytes /= 1024;
    ++unit;
  }
  return unit == 0 || bytes == std::floor(bytes)
             ? fmt::format("{:.0f} {}", bytes, units[unit])
             : fmt::format("{:.1f} {}", bytes, units[unit]);
}

string duration_words(Nsec duration) {
  const double seconds = std::chrono::duration<double>(duration).count();
  const double magnitude = std::abs(seconds);
  if (magnitude == 0)
    return "0 s";
  if (magnitude < 1e-3)
    return fmt::format("{:.3g} us", seconds * 1e6);
  if (magnitude < 0.9995)
    return fmt::format("{:.3g} ms", seconds * 1e3);
  if (magnitude < 120)
    return fmt::format("{:.3g} s", seconds);
  if (magnitude < 7200)
    return fmt::format("{:.0f} min", seconds / 60);
  if (magnitude < 172'800)
    return fmt::format("{:.0f} h", seconds / 3600);
  return fmt::format("{:.0f} days", seconds / 86'400);
}

string value_words(const KnobValue &value) {
  if (const auto *cpu = std::get_if<CpuMax>(&value)) {
    if (!cpu->quota || cpu->period.count() <= 0)
      return "no limit";
    return cores_words(static_cast<double>(cpu->quota->count()) /
                       static_cast<double>(cpu->period.count()));
  }
  const auto &limit = std::get<MemoryLimit>(value);
  return limit.bytes ? bytes_words(static_cast<double>(*limit.bytes))
                     : "no limit";
}

string error_words(int error_number) {
  // The _np functions are glibc 2.32's: thread-safe, untranslated.
  const char *name = ::strerrorname_np(error_number);
  const char *words = ::strerrordesc_np(error_number);
  if (name == nullptr || words == nullptr)
    return fmt::format("error {}", error_number);
  return fmt::format("{} ({})", name, words);
}

string reason_words(Knob knob, const Reason &reason) {
  const bool memory = knob == Knob::memory_high;
  switch (reason.rule) {
  case Rule::none:
    return "nothing has changed it";
  case Rule::initial:
    return "the first value, from the configuration" + clamps(reason, memory);
  case Rule::bound:
    return "moved into the bounds in force" + clamps(reason, memory);
  case Rule::capacity:
    return "the node has no more to give" + clamps(reason, memory);
  case Rule::reasserted:
    return "another hand had undone it" + clamps(reason, memory);
  case Rule::pinned:
    return "an administrator holds it" + clamps(reason, memory);
  case Rule::released:
    return "released: the baseline is restored";
  default:
    break;
  }
  string why = memory ? why_memory(reason) : why_cpu(reason);
  if (why.empty())
    why = memory ? why_cpu(reason)
                 : why_memory(reason); // a cause of the other resource
  if (why.empty())
    why = to_string(reason.rule);
  return why + clamps(reason, memory);
}

string sentence(const Adjustment &a) {
  string line =
      fmt::format("{}{} {} -> {}: {}", a.dry_run ? "dry run: " : "",
                  file_name(a.knob), value_words(a.old_value),
                  value_words(a.new_value), reason_words(a.knob, a.reason));
  if (a.reaction)
    line += fmt::format(" ({} after the event)", duration_words(*a.reaction));
  return line;
}

string sentence(const Write &write) {
  return fmt::format("{} to {}: {}", file_name(write.knob),
                     value_words(write.value),
                     reason_words(write.knob, write.reason));
}

string sentence(const Receipt &r) {
  string what = fmt::format("writing {} to {}", value_words(r.asked),
                            r.path.empty() ? string(file_name(r.knob))
                                           : c_escape(r.path));
  switch (r.result) {
  case Receipt::Result::written:
    return fmt::format("{}: done{}", what,
                       r.holds && *r.holds != r.asked
                           ? ", it holds " + value_words(*r.holds)
                           : "");
  case Receipt::Result::refused:
    return fmt::format("{} was refused: {}", what, error_words(r.error_number));
  case Receipt::Result::vanished:
    return fmt::format("{}: the cgroup is gone", what);
  case Receipt::Result::timed_out:
    return fmt::format("{} still blocked after {} and was interrupted", what,
                       duration_words(r.finished_at - r.started_at));
  case Receipt::Result::differs:
    return fmt::format("{} was accepted, but it holds {}", what,
                       r.holds ? value_words(*r.holds) : "something else");
  case Receipt::Result::dry_run:
    return fmt::format("{} was left out: dry run", what);
  }
  return what;
}

string sentence(const Notice &n) {
  switch (n.kind) {
  case Notice::Kind::task_added:
    return fmt::format("governing {}", c_escape(n.cgroup));
  case Notice::Kind::task_removed:
    return fmt::format("{} is gone", c_escape(n.cgroup));
  case Notice::Kind::write_failed:
    return n.receipt ? sentence(*n.receipt) : "a write failed";
  case Notice::Kind::breaker_opened:
    return "governing it failed, so its baseline is restored and it is left "
           "alone for a while" +
           (n.receipt ? ": " + sentence(*n.receipt) : "");
  case Notice::Kind::breaker_closed:
    return "governing it works again";
  case Notice::Kind::foreign_write:
    return fmt::format("{} wrote {}: {}",
                       n.writer ? writer_words(*n.writer) : "somebody else",
                       knob_of(n), found_words(n));
  case Notice::Kind::knob_reset:
    return fmt::format("{} was reset by its owner{}: {}", knob_of(n),
                       n.writer ? ", " + writer_words(*n.writer) : "",
                       found_words(n));
  case Notice::Kind::saturated:
    return fmt::format("the node is saturated: {} and {} are missing",
                       cores_words(n.missing_cores),
                       bytes_words(static_cast<double>(n.missing_bytes)));
  case Notice::Kind::unsaturated:
    return "the node has enough for every task again";
  case Notice::Kind::mode_changed:
    return "the mode changed";
  case Notice::Kind::plan_violation:
    return fmt::format("a planned value{} broke the invariant '{}' and was not "
                       "written: please report this",
                       n.expected ? " of " + value_words(*n.expected) : "",
                       n.invariant);
  case Notice::Kind::minima_exceed_capacity:
    return fmt::format("the tasks' minima exceed the node by {} and {}; every "
                       "task gets its share of what there is",
                       cores_words(n.missing_cores),
                       bytes_words(static_cast<double>(n.missing_bytes)));
  }
  return {};
}

string explanation(const TaskReport &t, MonotonicTime now) {
  const auto ago = [&](const std::optional<MonotonicTime> &at) {
    return at ? fmt::format(", set {} ago", duration_words(now - *at))
              : string();
  };
  string text = fmt::format("{} is {}", c_escape(t.name), to_string(t.mode));
  if (!t.pinned_by.empty())
    text += " by " + c_escape(t.pinned_by);
  if (!t.hold_reason.empty())
    text += fmt::format(" ({})", c_escape(t.hold_reason));
  text += fmt::format(
      ".\ncpu.max is {}{}: {}. Bounds {} to {}, baseline {}.",
      value_words(t.cpu_max), ago(t.cpu_changed_at),
      reason_words(Knob::cpu_max, t.cpu_reason), cores_words(t.cpu_min_cores),
      cores_words(t.cpu_max_cores), value_words(t.cpu_baseline));
  if (t.cpu_usage_cores)
    text += fmt::format(" It uses {}", cores_words(*t.cpu_usage_cores));
  if (t.cpu_usage_cores && t.cpu_demand_cores)
    text += fmt::format(" and would use {}", cores_words(*t.cpu_demand_cores));
  if (t.cpu_usage_cores)
    text += ".";
  text +=
      fmt::format("\nmemory.high is {}{}: {}. Bounds {} to {}, baseline {}.",
                  value_words(t.memory_high), ago(t.memory_changed_at),
                  reason_words(Knob::memory_high, t.memory_reason),
                  bytes_words(static_cast<double>(t.memory_min)),
                  bytes_words(static_cast<double>(t.memory_max)),
                  value_words(t.memory_baseline));
  if (t.memory_current)
    text += fmt::format(" It holds {}.",
                        bytes_words(static_cast<double>(*t.memory_current)));
  if (t.breaker != BreakerState::closed) {
    text += fmt::format("\nIts breaker is {}: {}.", to_string(t.breaker),
                        c_escape(t.breaker_cause));
    if (t.breaker_retry_at && *t.breaker_retry_at > now) {
      text += fmt::format(" Tried again in {}.",
                          duration_words(*t.breaker_retry_at - now));
    }
  }
  return text;
}

} // namespace sluice::publish
