// The whole story of one task, in English.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>

#include "daemon/publish/words/names.hpp"
#include "daemon/publish/words/words.hpp"

namespace sluice::publish {

namespace {

using std::string;

string next_look(const char* what, const std::optional<MonotonicTime>& at, MonotonicTime now,
                 const char* unless) {
  if (!at) return " It stays until that is lifted.";
  if (*at <= now) return fmt::format(" {} at once.", what);
  return fmt::format(" {} within {}{}.", what, duration_words(*at - now), unless);
}

// " Until Tue 2026-03-31 18:00:00 its schedule sets the minimum to 2.00 cores."
string schedule_words(const Scheduled& s) {
  const auto bound = [&](const std::optional<Scheduled::Bound>& b, const char* which) {
    if (!b) return string();
    const std::time_t shown = (b->until + s.utc_offset).count();
    return fmt::format(" Until {:%a %F %T} its schedule sets the {} to {}.", fmt::gmtime(shown), which,
                       cores_words(b->cores));
  };
  return bound(s.min, "minimum") + bound(s.max, "maximum");
}

// " It is expected to need 1.20 cores (4 seasons seen, off by 8 % of late): the quota stays at 1.05 or more."
string forecast_words(const Forecast& f) {
  if (f.mode == config::ForecastMode::off) return {};
  if (f.seasons == 0) return " This time of its season was not seen yet: no forecast.";
  string text =
      fmt::format(" It is expected to need {} ({} {} seen, off by {} of late)", cores_words(f.cores),
                  f.seasons, f.seasons == 1 ? "season" : "seasons", percent_words(f.error_ratio));
  if (f.acts()) return text + fmt::format(": its quota stays at {} at least.", cores_words(f.floor_cores));
  if (f.trust == ForecastTrust::learning) return text + ", which is too little to go by yet.";
  if (f.trust == ForecastTrust::inaccurate) return text + ", which is too far off to go by.";
  return text + ", which is only told: forecast.mode is \"forecast-only\".";
}

string share(const std::optional<double>& value) {
  return value ? percent_words(*value) + " of the time" : "some of the time";
}

}  // namespace

string cause_words(const Diagnosis& d) {
  const CauseInput& in = d.inputs;
  switch (d.cause) {
    case Cause::unknown:
      if (!in.usage_cores) return "cannot be diagnosed: its signals are missing";
      return in.backlog_seconds
                 ? "is short of neither CPU nor memory; what it waits for does not show"
                 : "is short of neither CPU nor memory; what it waits for would show in sockets only";
    case Cause::idle:
      return "is idle";
    case Cause::input_bound:
      return "keeps up with its input";
    case Cause::starved_by_quota:
      return "is stopped by its quota " + share(in.throttled_share);
    case Cause::starved_by_node:
      return "waits for a CPU " + share(in.wait_share) + " while its quota leaves it room: the node is busy";
    case Cause::stalled_on_memory:
      return "stands still for memory " + share(in.memory_stall_share);
    case Cause::reclaiming:
      if (in.served_share && in.system_share.value_or(0) < 0.2)
        return fmt::format(
            "works, and only {} of it is on what it reads: garbage collection, or work that became dearer",
            percent_words(*in.served_share));
      return fmt::format("spends {} of its CPU time in the kernel, which scans {:.0f} pages/s for it",
                         percent_words(in.system_share.value_or(0)), in.pgscan_per_second.value_or(0));
    case Cause::stalled_on_io:
      return "waits for the disk " + share(in.io_stall_share);
    case Cause::downstream_bound:
      return fmt::format("waits for those downstream: {} that it wrote are not taken",
                         bytes_words(in.unsent_bytes.value_or(0)));
    case Cause::thread_bound:
      return "is behind, and every thread that wants to run does: more CPU would not help";
  }
  return {};
}

string explanation(const TaskReport& t, MonotonicTime now) {
  const auto ago = [&](const std::optional<MonotonicTime>& at) {
    return at ? fmt::format(", set {} ago", duration_words(now - *at)) : string();
  };
  string text = fmt::format("{} is {}", c_escape(t.name), to_string(t.mode));
  if (!t.pinned_by.empty()) text += " by " + c_escape(t.pinned_by);
  if (!t.hold_reason.empty()) text += fmt::format(" ({})", printable_line(t.hold_reason));
  text +=
      fmt::format(".\ncpu.max is {}{}: {}. Bounds {} to {}, baseline {}.", value_words(t.cpu_max),
                  ago(t.cpu_changed_at), reason_words(Knob::cpu_max, t.cpu_reason),
                  cores_words(t.cpu_min_cores), cores_words(t.cpu_max_cores), value_words(t.cpu_baseline));
  text += schedule_words(t.scheduled) + forecast_words(t.forecast);
  if (t.cpu_usage_cores) text += fmt::format(" It uses {}", cores_words(*t.cpu_usage_cores));
  if (t.cpu_usage_cores && t.cpu_demand_cores)
    text += fmt::format(" and would use {}", cores_words(*t.cpu_demand_cores));
  if (t.cpu_usage_cores) text += ".";
  text += next_look("It is looked at again", t.cpu_looks_again_at, now, ", or as soon as its quota stops it");
  text += fmt::format("\nmemory.high is {}{}: {}. Bounds {} to {}, baseline {}.", value_words(t.memory_high),
                      ago(t.memory_changed_at), reason_words(Knob::memory_high, t.memory_reason),
                      bytes_words(static_cast<double>(t.memory_min)),
                      bytes_words(static_cast<double>(t.memory_max)), value_words(t.memory_baseline));
  if (t.memory_current)
    text += fmt::format(" It holds {}.", bytes_words(static_cast<double>(*t.memory_current)));
  text += next_look("Less may be tried", t.memory_probes_again_at, now, ", more whenever it stalls");
  if (const string why = cause_words(t.diagnosis); !why.empty()) {
    text += fmt::format("\nIt {}", why);
    if (t.diagnosis.since != MonotonicTime{})
      text += fmt::format(", for {}", duration_words(now - t.diagnosis.since));
    text += ".";
  }
  if (t.breaker != BreakerState::closed) {
    text += fmt::format("\nIts breaker is {}: {}.", to_string(t.breaker),
                        trip_words(t.breaker_trip, t.breaker_cause));
    if (t.breaker_retry_at && *t.breaker_retry_at > now) {
      text += fmt::format(" Tried again in {}.", duration_words(*t.breaker_retry_at - now));
    }
  }
  return text;
}

}  // namespace sluice::publish
