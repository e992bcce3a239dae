#include "daemon/publish/words/words.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <set>
#include <string>

namespace sluice::publish {
namespace {

using namespace std::chrono_literals;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

CpuMax quota(int percent) {
  return {Usec(percent * 1000), Usec(100'000)};
}
constexpr Bytes kMiB = 1ULL << 20;

TEST(Words, CoresHaveDigitsThatMatter) {
  EXPECT_EQ(cores_words(1.2), "1.20 cores");
  EXPECT_EQ(cores_words(0.052), "0.052 cores");
  EXPECT_EQ(cores_words(0), "0.00 cores");
  EXPECT_EQ(cores_words(128), "128.00 cores");
}

TEST(Words, BytesAreBinaryAndNeverReach1024) {
  EXPECT_EQ(bytes_words(0), "0 B");
  EXPECT_EQ(bytes_words(1023), "1023 B");
  EXPECT_EQ(bytes_words(1024), "1 KiB");
  EXPECT_EQ(bytes_words(1536.0 * kMiB), "1.5 GiB");
  EXPECT_EQ(bytes_words(1024.0 * kMiB - 1), "1.0 GiB") << "not 1024.0 MiB";
  EXPECT_EQ(bytes_words(18446744073709551615.0), "16 EiB");
}

TEST(Words, DurationsFromMicrosecondsToDays) {
  EXPECT_EQ(duration_words(0ns), "0 s");
  EXPECT_EQ(duration_words(730us), "730 us");
  EXPECT_EQ(duration_words(90ms), "90 ms");
  EXPECT_EQ(duration_words(999'900us), "1 s");
  EXPECT_EQ(duration_words(1500ms), "1.5 s");
  EXPECT_EQ(duration_words(180s), "3 min");
  EXPECT_EQ(duration_words(5h), "5 h");
  EXPECT_EQ(duration_words(72h), "3 days");
}

TEST(Words, ValuesOfKnobs) {
  EXPECT_EQ(value_words(quota(40)), "0.40 cores");
  EXPECT_EQ(value_words(CpuMax{}), "no limit");
  EXPECT_EQ(value_words(CpuMax{Usec(50'000), Usec(100'000), Usec(0)}), "0.50 cores");
  EXPECT_EQ(value_words(CpuMax{Usec(50'000), Usec(100'000), Usec(25'000)}), "0.50 cores + 25 ms burst");
  EXPECT_EQ(value_words(CpuMax{Usec(1000), Usec(0)}), "no limit") << "a period of zero divides nothing";
  EXPECT_EQ(value_words(MemoryLimit{512 * kMiB}), "512 MiB");
  EXPECT_EQ(value_words(MemoryLimit{}), "no limit");
}

TEST(Words, Errno) {
  EXPECT_EQ(error_words(EACCES), "EACCES (Permission denied)");
  EXPECT_EQ(error_words(99999), "error 99999");
}

TEST(Words, AnAdjustmentIsOneSentence) {
  Adjustment a;
  a.task = "alpha";
  a.old_value = quota(40);
  a.new_value = quota(120);
  a.reason = {
      .rule = Rule::cpu_throttled, .demand_cores = 1.2, .binding_seconds = 0.9, .throttled_ratio = 0.9};
  EXPECT_EQ(sentence(a),
            "cpu.max 0.40 cores -> 1.20 cores: throttled in 90 % of its periods, for 900 ms without a break; "
            "it would "
            "use 1.20 cores");
  a.reaction = 730us;
  a.dry_run = true;
  EXPECT_THAT(sentence(a), testing::StartsWith("dry run: cpu.max"));
  EXPECT_THAT(sentence(a), testing::EndsWith("(730 us after the event)"));
}

TEST(Words, OldAndNewNeverPrintAlike) {
  const MemoryLimit old_high{1229 * kMiB}, new_high{1260 * kMiB};
  ASSERT_EQ(value_words(old_high), value_words(new_high));
  EXPECT_EQ(change_words(old_high, new_high), "1.20 GiB -> 1.23 GiB");
  EXPECT_EQ(change_words(CpuMax{Usec(50'000), Usec(100'000), Usec(0)},
                         CpuMax{Usec(50'000), Usec(100'000), Usec(50'000)}),
            "0.50 cores -> 0.50 cores + 50 ms burst");
  EXPECT_EQ(change_words(CpuMax{Usec(100'100), Usec(100'000)}, CpuMax{Usec(100'300), Usec(100'000)}),
            "1.001 cores -> 1.003 cores");
  EXPECT_EQ(change_words(quota(40), quota(120)), "0.40 cores -> 1.20 cores");
  EXPECT_EQ(change_words(quota(40), quota(40)), "0.40 cores -> 0.40 cores");
  EXPECT_EQ(change_words(MemoryLimit{}, new_high), "no limit -> 1.2 GiB");
}

TEST(Words, AnEventYoungerThanTheLastLookSpeaksOfNoPercentage) {
  Reason r{.rule = Rule::cpu_throttled, .demand_cores = 1.2, .binding_seconds = 0.4, .throttled_ratio = 0};
  EXPECT_EQ(reason_words(Knob::cpu_max, r),
            "its quota has throttled it for 400 ms without a break; it would use 1.20 cores");
  r.rule = Rule::cpu_undo;
  r.binding_seconds = 0;
  EXPECT_EQ(reason_words(Knob::cpu_max, r),
            "the last cut was wrong: since then its quota has throttled it; it would use 1.20 cores");
}

TEST(Words, ACauseThatTheRuleDoesNotSayIsAdded) {
  Reason r{.rule = Rule::cpu_throttled, .cause = Cause::starved_by_quota, .throttled_ratio = 0.5};
  const auto plain = reason_words(Knob::cpu_max, r);
  EXPECT_THAT(plain, Not(HasSubstr("quota stops")));
  r.cause = Cause::stalled_on_memory;
  EXPECT_EQ(reason_words(Knob::cpu_max, r), plain + "; it stalls on memory");
}

TEST(Words, EveryCauseHasWords) {
  std::set<std::string> all;
  for (int i = 0; i <= static_cast<int>(Cause::thread_bound); ++i) {
    Diagnosis d;
    d.cause = static_cast<Cause>(i);
    d.inputs.usage_cores = 1;
    all.insert(cause_words(d));
    EXPECT_FALSE(cause_words(d).empty()) << i;
  }
  EXPECT_EQ(all.size(), 12U);
  Diagnosis d;
  d.cause = Cause::starved_by_quota;
  d.inputs.throttled_share = 0.8;
  EXPECT_EQ(cause_words(d), "is throttled by its quota 80 % of the time");
}

TEST(Words, ABreakerThatHarmOpenedSaysSo) {
  Notice n;
  n.kind = Notice::Kind::breaker_opened;
  n.trip = BreakerTrip::late;
  EXPECT_THAT(sentence(n), HasSubstr("our quota made it late"));
}

TEST(Words, AnExplanationTellsTheCauseAndWhenItLooksAgain) {
  TaskReport t;
  t.name = "alpha";
  t.diagnosis.cause = Cause::downstream_bound;
  t.diagnosis.inputs.unsent_bytes = 3.0 * kMiB;
  t.diagnosis.since = MonotonicTime{17s};
  t.cpu_max = quota(40);
  t.cpu_looks_again_at = MonotonicTime{20s + 100ms};
  t.memory_high = MemoryLimit{100 * kMiB};
  t.memory_max = 200 * kMiB;
  t.memory_probe.bar = ProbeBar::none;
  t.memory_probes_again_at = MonotonicTime{22s};
  const auto text = explanation(t, MonotonicTime{20s});
  EXPECT_THAT(text,
              HasSubstr("It waits for its consumers: they have not read 3 MiB of its output, for 3 s."));
  EXPECT_THAT(text,
              HasSubstr("The next decision is due within 100 ms, or as soon as its quota throttles it."));
  EXPECT_THAT(text, HasSubstr("A lower limit may be tried within 2 s. More is given as soon as it stalls."));
  t.cpu_story.bar = t.memory_story.bar = Bar::suspended;
  EXPECT_THAT(explanation(t, MonotonicTime{20s}), HasSubstr("It is left alone until it is resumed"));
  EXPECT_THAT(explanation(t, MonotonicTime{20s}), Not(HasSubstr("tried")));
  EXPECT_THAT(explanation(t, MonotonicTime{20s}), Not(HasSubstr("looked at")));
}

TEST(Words, AClampSaysWhatWasWanted) {
  const Reason cpu{.rule = Rule::cpu_deadline, .wanted = 6, .backlog_cpu_seconds = 2, .clamped_max = true};
  EXPECT_EQ(reason_words(Knob::cpu_max, cpu),
            "2 s of CPU of work is waiting and would miss the deadline; it wanted 6.00 cores, and the "
            "maximum limits "
            "that");
  const Reason memory{.rule = Rule::memory_probe,
                      .wanted = 32.0 * kMiB,
                      .pressure_ratio = 0.0004,
                      .clamped_min = true,
                      .clamped_capacity = true};
  EXPECT_THAT(reason_words(Knob::memory_high, memory),
              HasSubstr("it wanted 32 MiB, and the minimum and the node's capacity limits that"));
  EXPECT_THAT(reason_words(Knob::memory_high, memory), HasSubstr("0.04 %"));
  const Reason step{.rule = Rule::cpu_surplus, .wanted = 1.2, .clamped_step = true};
  EXPECT_THAT(reason_words(Knob::cpu_max, step),
              EndsWith("; it wanted 1.20 cores, rounded up to whole steps"));
  const Reason rate{.rule = Rule::cpu_surplus, .wanted = 1, .clamped_rate = true};
  EXPECT_THAT(reason_words(Knob::cpu_max, rate),
              HasSubstr("it wanted 1.00 cores, and its rate policy limits that"));
}

TEST(Words, AScheduleSaysUntilWhenAsTheHostsClocksShowIt) {
  TaskReport t;
  EXPECT_THAT(explanation(t, MonotonicTime{20s}), Not(HasSubstr("schedule")));
  // 2026-03-29 01:00 UTC, where it is 03:00.
  t.scheduled.min = Scheduled::Bound{2, std::chrono::seconds{1'774'746'000}};
  t.scheduled.utc_offset = 2h;
  EXPECT_THAT(explanation(t, MonotonicTime{20s}),
              HasSubstr(" Until Sun 2026-03-29 03:00:00 its schedule sets the minimum to 2.00 cores."));
  const Reason up{.rule = Rule::schedule, .clamped_min = true};
  EXPECT_EQ(reason_words(Knob::cpu_max, up), "its schedule sets a larger minimum for now");
  const Reason down{.rule = Rule::schedule, .clamped_max = true};
  EXPECT_EQ(reason_words(Knob::cpu_max, down), "its schedule sets a smaller maximum for now");
}

TEST(Words, AForecastSaysWhatItIsOfAndWhetherItActs) {
  TaskReport t;
  EXPECT_THAT(explanation(t, MonotonicTime{20s}), Not(HasSubstr("forecast")));
  t.forecast.mode = config::ForecastMode::on;
  EXPECT_THAT(explanation(t, MonotonicTime{20s}),
              HasSubstr(" This time of its season was not seen yet: no forecast."));
  t.forecast = {config::ForecastMode::on, ForecastTrust::trusted, 1.2, 1.05, 0.08, 4};
  EXPECT_THAT(explanation(t, MonotonicTime{20s}),
              HasSubstr(" Forecast: it will need 1.20 cores (4 seasons seen, recent error 8 %): its quota "
                        "stays at 1.05 cores at least."));
  t.forecast.mode = config::ForecastMode::forecast_only;
  EXPECT_THAT(explanation(t, MonotonicTime{20s}),
              HasSubstr("recent error 8 %), which is only reported: forecast.mode is \"forecast-only\"."));
  t.forecast.trust = ForecastTrust::inaccurate;
  t.forecast.seasons = 1;
  EXPECT_THAT(explanation(t, MonotonicTime{20s}),
              HasSubstr("(1 season seen, recent error 8 %), which is too far off to go by."));
  t.forecast.trust = ForecastTrust::learning;
  EXPECT_THAT(explanation(t, MonotonicTime{20s}),
              HasSubstr("recent error 8 %), which is too little to go by yet."));
  const Reason up{.rule = Rule::forecast, .demand_cores = 1.2};
  EXPECT_EQ(reason_words(Knob::cpu_max, up), "it will need 1.20 cores, as at this time of earlier seasons");
  const Reason held{.rule = Rule::cpu_surplus, .wanted = 0.4, .clamped_forecast = true};
  EXPECT_THAT(reason_words(Knob::cpu_max, held),
              HasSubstr("it wanted 0.40 cores, and its forecast limits that"));
}

TEST(Words, EveryOriginAndEveryBarHasItsOwnWords) {
  std::set<std::string> all;
  for (int i = 0; i <= static_cast<int>(Origin::pretended); ++i) {
    KnobStory story;
    story.origin = static_cast<Origin>(i);
    all.insert(origin_words(Knob::cpu_max, story, {}, MonotonicTime{10s}, MonotonicTime{20s}));
  }
  EXPECT_EQ(all.size(), 9U);
  EXPECT_FALSE(all.contains(""));
  std::set<std::string> stories;
  for (int i = 0; i <= static_cast<int>(Bar::write_under_way); ++i) {
    TaskReport t;
    t.cpu_story.origin = Origin::found;
    t.cpu_story.bar = static_cast<Bar>(i);
    t.cpu_story.until = MonotonicTime{80s};
    if (t.cpu_story.bar == Bar::write_under_way) t.cpu_story.ordered = quota(40);
    stories.insert(explanation(t, MonotonicTime{20s}));
  }
  EXPECT_EQ(stories.size(), 12U);
  std::set<std::string> probes;
  for (int i = 0; i <= static_cast<int>(ProbeBar::rate_policy); ++i) {
    TaskReport t;
    t.memory_story.origin = Origin::found;
    t.memory_probe.bar = static_cast<ProbeBar>(i);
    probes.insert(explanation(t, MonotonicTime{20s}));
  }
  EXPECT_EQ(probes.size(), 9U);
}

TEST(Words, AReportedLagThatSaysNothingYetIsToldSo) {
  TaskReport t;
  t.lag = 120;
  EXPECT_THAT(explanation(t, MonotonicTime{20s}),
              HasSubstr("It reports that 120 records wait, and what a record costs is not known"));
  t.record_cpu_seconds = 0.01;
  EXPECT_THAT(explanation(t, MonotonicTime{20s}), HasSubstr("It reports that 120 records wait."));
}

TEST(Words, EveryRuleHasItsOwnWords) {
  for (int i = 0; i <= static_cast<int>(Rule::released); ++i) {
    Reason reason;
    reason.rule = static_cast<Rule>(i);
    const auto name = std::string(to_string(reason.rule));
    ASSERT_NE(name, "unknown");
    const bool memory = name.starts_with("memory-");
    const auto words = reason_words(memory ? Knob::memory_high : Knob::cpu_max, reason);
    EXPECT_NE(words, name) << "the rule's name is not a sentence";
    EXPECT_FALSE(words.empty()) << name;
  }
}

TEST(Words, AReceiptNamesPathErrnoAndWhatWasTried) {
  Receipt r;
  r.knob = Knob::memory_high;
  r.asked = MemoryLimit{512 * kMiB};
  r.path = "/sys/fs/cgroup/bad\x1b/memory.high";
  r.result = Receipt::Result::refused;
  r.error_number = EINVAL;
  EXPECT_EQ(sentence(r),
            "writing 512 MiB to /sys/fs/cgroup/bad\\x1b/memory.high was refused: EINVAL (Invalid argument)");
  r.result = Receipt::Result::timed_out;
  r.started_at = MonotonicTime{1s};
  r.finished_at = MonotonicTime{1s + 200ms};
  EXPECT_THAT(sentence(r), HasSubstr("still blocked after 200 ms"));
  r.result = Receipt::Result::differs;
  r.holds = MemoryLimit{1024 * kMiB};
  EXPECT_THAT(sentence(r), HasSubstr("but it holds 1 GiB"));
}

TEST(Words, EveryNoticeHasWords) {
  for (int i = 0; i <= static_cast<int>(Notice::Kind::pressure_known); ++i) {
    Notice n;
    n.kind = static_cast<Notice::Kind>(i);
    n.cgroup = "system.slice/a.service";
    EXPECT_FALSE(sentence(n).empty()) << i;
  }
  Notice foreign;
  foreign.kind = Notice::Kind::foreign_write;
  foreign.expected = quota(40);
  foreign.found = CpuMax{};
  EXPECT_EQ(sentence(foreign), "somebody else wrote cpu.max: it held no limit and not 0.40 cores");
  foreign.writer = Writer{.pid = 812, .uid = 0, .command = "s\xff", .cgroup = "system.slice/foo.service/sub"};
  EXPECT_EQ(sentence(foreign),
            "PID 812 (s\\xff, in foo.service) wrote cpu.max: it held no limit and not 0.40 cores");
  foreign.writer->cgroup = "a/b";
  foreign.kind = Notice::Kind::knob_reset;
  EXPECT_EQ(sentence(foreign),
            "cpu.max was reset by its owner, PID 812 (s\\xff, in a/b): it held no limit and not 0.40 cores");
}

TEST(Words, AnExplanationTellsBothKnobsAndTheBreaker) {
  TaskReport t;
  t.name = "al\xffpha";
  t.cpu_max = quota(40);
  t.cpu_max_cores = 4;
  t.cpu_story.origin = Origin::ours;
  t.cpu_reason.rule = Rule::cpu_idle;
  t.cpu_changed_at = MonotonicTime{10s};
  t.memory_story.origin = Origin::found;
  t.breaker = BreakerState::open;
  t.breaker_trip = BreakerTrip::write_failed;
  t.breaker_cause = "EACCES";
  t.breaker_retry_at = MonotonicTime{80s};
  const auto text = explanation(t, MonotonicTime{20s});
  EXPECT_THAT(text, HasSubstr("al\\xffpha is governed"));
  EXPECT_THAT(text, HasSubstr("cpu.max is 0.40 cores, set 10 s ago; the reason then: nothing has run."));
  EXPECT_THAT(text, HasSubstr("memory.high is no limit, as it was found: Sluice has not set it."));
  EXPECT_THAT(text, HasSubstr("Its breaker is open: EACCES. Tried again in 60 s."));
  EXPECT_THAT(text, Not(HasSubstr("\xff")));
}

}  // namespace
}  // namespace sluice::publish
