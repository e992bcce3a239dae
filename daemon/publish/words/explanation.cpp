// The explanation of one task, in English.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>

#include "daemon/publish/words/names.hpp"
#include "daemon/publish/words/words.hpp"

namespace sluice::publish {

namespace {

using std::string;

// "The next decision is due within 66 ms, or as soon as its quota throttles it."
string within(const char* what, const std::optional<MonotonicTime>& at, MonotonicTime now) {
  return !at || *at <= now ? fmt::format("{} at once", what)
                           : fmt::format("{} within {}", what, duration_words(*at - now));
}

string for_words(const std::optional<MonotonicTime>& until, MonotonicTime now, const char* otherwise) {
  return until && *until > now ? "for " + duration_words(*until - now) : string(otherwise);
}

// What prevents the controller from changing this knob; empty: nothing.
string bar_words(Knob knob, const TaskReport& t, const KnobStory& story, MonotonicTime now) {
  switch (story.bar) {
    case Bar::none:
    case Bar::absent:
    case Bar::write_under_way:
      return {};
    case Bar::disabled:
      return fmt::format(" The configuration leaves it alone ({}.enabled = false).",
                         knob == Knob::cpu_max ? "cpu" : "memory");
    case Bar::leaving:
      return " No rule matches the task any more: what Sluice has set is given back.";
    case Bar::observing:
      return " Sluice only observes: it sets nothing, and gives back what it has set.";
    case Bar::stopping:
      return " sluiced stops: every limit that it has set goes back to its baseline.";
    case Bar::suspended:
      return " It is left alone until it is resumed; what Sluice has set is given back.";
    case Bar::breaker:
      return fmt::format(" It is left alone while its breaker is open, {}.",
                         for_words(story.until, now, "not long"));
    case Bar::yielding:
      return fmt::format(" It is left alone {}, as an external writer has set a limit of this task.",
                         for_words(story.until, now, "for a moment"));
    case Bar::pinned:
      return fmt::format(" It is pinned {}.",
                         story.until ? for_words(story.until, now, "for a moment")
                         : t.pinned_by.empty()
                             ? string("until it is unpinned")
                             : string("while its owner stays on the bus, or until it is unpinned"));
    case Bar::budget:
      return fmt::format(
          " The writes of the last minute are used up: the next is allowed {}.",
          story.until && *story.until > now ? "in " + duration_words(*story.until - now) : "now");
  }
  return {};
}

string order_words(const KnobStory& story, MonotonicTime now) {
  if (!story.ordered) return {};
  return fmt::format(" {} was ordered {} ago; until the kernel has answered, nothing else is written.",
                     value_words(*story.ordered), duration_words(now - story.ordered_at));
}

string probe_words(const TaskReport& t, MonotonicTime now) {
  switch (t.memory_probe.bar) {
    case ProbeBar::none:
      return fmt::format(" {}.", within("A lower limit may be tried", t.memory_probes_again_at, now));
    case ProbeBar::unknown_pressure:
      return " It is not lowered: its memory pressure (PSI) is not known.";
    case ProbeBar::unknown_memory:
      return " It is not lowered: what the task has in use is not known.";
    case ProbeBar::floor:
      return " It is not lowered: it is at its lower bound, which is its minimum or the memory that reclaim "
             "cannot free.";
    case ProbeBar::nothing_to_take:
      return " It is not lowered: the memory that could be reclaimed is needed, or too little to justify a "
             "write.";
    case ProbeBar::stalls:
      return " It is not lowered: the task stalls on memory, or has done so too much.";
    case ProbeBar::refaults:
      return " It is not lowered: the task reads evicted pages back.";
    case ProbeBar::budget:
      return " It is not lowered for now: the writes that are left of this minute are kept for raises.";
    case ProbeBar::rate_policy:
      return " It is not lowered for now: its scale_down policy does not allow it.";
  }
  return {};
}

bool below(const MemoryLimit& limit, Bytes max) {
  return limit.bytes && *limit.bytes < max;
}

// "cpu.max is 1.13 cores, set 3.49 s ago; the reason then: ... Bounds ..., baseline ...."
string knob_words(Knob knob, const KnobValue& value, const KnobStory& story, const Reason& reason,
                  const std::optional<MonotonicTime>& changed_at, MonotonicTime now) {
  const bool has_value = story.origin != Origin::absent && story.origin != Origin::unread;
  return fmt::format("{} is {}{}.", file_name(knob), has_value ? value_words(value) + ", " : string(),
                     origin_words(knob, story, reason, changed_at, now));
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

// " Forecast: it will need 1.20 cores (4 seasons seen, recent error 8 %): its quota stays at 1.05 at least."
string forecast_words(const Forecast& f) {
  if (f.mode == config::ForecastMode::off) return {};
  if (f.seasons == 0) return " This time of its season was not seen yet: no forecast.";
  string text = fmt::format(" Forecast: it will need {} ({} {} seen, recent error {})", cores_words(f.cores),
                            f.seasons, f.seasons == 1 ? "season" : "seasons", percent_words(f.error_ratio));
  if (f.acts()) return text + fmt::format(": its quota stays at {} at least.", cores_words(f.floor_cores));
  if (f.trust == ForecastTrust::learning) return text + ", which is too little to go by yet.";
  if (f.trust == ForecastTrust::inaccurate) return text + ", which is too far off to go by.";
  return text + ", which is only reported: forecast.mode is \"forecast-only\".";
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
    case Cause::frozen:
      return "is frozen: its limits stay until it runs again";
    case Cause::starved_by_quota:
      return "is throttled by its quota " + share(in.throttled_share);
    case Cause::starved_by_ancestor:
      return "is throttled by the cpu.max of a cgroup above it " + share(in.ancestor_throttled_share);
    case Cause::starved_by_node:
      return "waits for a CPU " + share(in.wait_share) + " and not for its quota: the node is busy";
    case Cause::stalled_on_memory:
      return "stalls on memory " + share(in.memory_stall_share);
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
      return fmt::format("waits for its consumers: they have not read {} of its output",
                         bytes_words(in.unsent_bytes.value_or(0)));
    case Cause::thread_bound:
      return "has a backlog, but all its runnable threads are running: more CPU would not help";
  }
  return {};
}

string explanation(const TaskReport& t, MonotonicTime now) {
  string text = fmt::format("{} is {}", c_escape(t.name), to_string(t.mode));
  if (!t.pinned_by.empty()) text += " by " + c_escape(t.pinned_by);
  if (!t.hold_reason.empty()) text += fmt::format(" ({})", printable_line(t.hold_reason));
  text += ".\n" + knob_words(Knob::cpu_max, t.cpu_max, t.cpu_story, t.cpu_reason, t.cpu_changed_at, now);
  if (t.cpu_story.bar != Bar::absent) {
    text += fmt::format(" Bounds {} to {}, baseline {}.", cores_words(t.cpu_min_cores),
                        cores_words(t.cpu_max_cores), value_words(t.cpu_baseline));
    text += schedule_words(t.scheduled) + forecast_words(t.forecast);
  }
  if (t.cpu_usage_cores) text += fmt::format(" It uses {}", cores_words(*t.cpu_usage_cores));
  if (t.cpu_usage_cores && t.cpu_demand_cores)
    text += fmt::format(" and would use {}", cores_words(*t.cpu_demand_cores));
  if (t.cpu_usage_cores) text += ".";
  if (t.lag)
    text += fmt::format(" It reports that {:.0f} records wait{}.", *t.lag,
                        t.record_cpu_seconds || t.backlog_cpu_seconds.value_or(0) > 0
                            ? ""
                            : ", and what a record costs is not known yet: report processed, too");
  text += order_words(t.cpu_story, now) + bar_words(Knob::cpu_max, t, t.cpu_story, now);
  if (t.cpu_story.bar == Bar::none)
    text += fmt::format(" {}{}.", within("The next decision is due", t.cpu_looks_again_at, now),
                        t.cpu_max.quota ? ", or as soon as its quota throttles it" : "");
  // Until someone other than the owner sets cpu.weight, it is not mentioned.
  if (t.weight_story.origin != Origin::absent && t.weight_story.origin != Origin::unread &&
      t.weight_story.origin != Origin::found)
    text += fmt::format(
        "\n{} Baseline {}.{}",
        knob_words(Knob::cpu_weight, t.cpu_weight, t.weight_story, t.weight_reason, t.weight_changed_at, now),
        value_words(t.cpu_weight_baseline), order_words(t.weight_story, now));
  text += "\n" + knob_words(Knob::memory_high, t.memory_high, t.memory_story, t.memory_reason,
                            t.memory_changed_at, now);
  if (t.memory_story.bar != Bar::absent)
    text += fmt::format(" Bounds {} to {}, baseline {}.", bytes_words(static_cast<double>(t.memory_min)),
                        bytes_words(static_cast<double>(t.memory_max)), value_words(t.memory_baseline));
  if (t.memory_current)
    text += fmt::format(" It holds {}.", bytes_words(static_cast<double>(*t.memory_current)));
  text += order_words(t.memory_story, now) + bar_words(Knob::memory_high, t, t.memory_story, now);
  if (t.memory_story.bar == Bar::none) {
    text += probe_words(t, now);
    if (below(t.memory_high, t.memory_max)) text += " More is given as soon as it stalls.";
  }
  if (const string why = cause_words(t.diagnosis); !why.empty()) {
    text += fmt::format("\nIt {}", why);
    if (t.diagnosis.since != MonotonicTime{})
      text += fmt::format(", for {}", duration_words(now - t.diagnosis.since));
    if (t.diagnosis.cause == Cause::starved_by_ancestor && t.ancestor_cpu) {
      text += fmt::format(": {} has {} for all that is in it", c_escape(t.ancestor_cpu->path),
                          cores_words(t.ancestor_cpu->max_cores));
    }
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
