// Explain is always true: its sentences are compared with the state and with the host in memory, over random
// histories. One test for each wrong sentence of earlier versions.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "daemon/publish/words/words.hpp"
#include "tests/unit/histories.hpp"
#include "tests/unit/policy_inputs.hpp"
#include "tests/unit/run/engine_model.hpp"

namespace sluice::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Op = EngineModel::Op;

const Histories histories_to_run("max_success=1500 max_size=60", "max_success=100 max_size=60");

constexpr const char* kProbe = "A lower limit may be tried";

// The line of the explanation for this knob.
std::string line_of(const std::string& text, Knob which) {
  const std::string head = "\n" + std::string(file_name(which)) + " is ";
  const auto at = text.find(head);
  if (at == std::string::npos) return {};
  return text.substr(at + 1, text.find('\n', at + 1) - at - 1);
}
std::string line_of(const TaskReport& row, Knob which, MonotonicTime now) {
  return line_of(publish::explanation(row, now), which);
}
bool says(const std::string& line, std::string_view words) {
  return line.find(words) != std::string::npos;
}

// A history with checks: what was reported for each task at the last full tick, and what happened.
class Witness {
 public:
  std::string apply(Op op, unsigned dice) {
    plan_.reset();
    model.engine->on_tick = [this](const Input& input, const Plan& plan) {
      if (input.kind == Input::Kind::full) plan_ = plan;
    };
    if (auto wrong = model.apply(op, dice); !wrong.empty()) return wrong;
    const auto report = model.engine->report();
    if (!plan_ || report->now != model.host.now) {
      said_.clear();
      return {};
    }
    std::map<CgroupId, Said> said;
    for (const auto& row : report->tasks) {
      for (const Knob which : {Knob::cpu_max, Knob::memory_high}) {
        const auto line = line_of(row, which, report->now);
        if (auto lie = lie_of(row, which, line); !lie.empty()) return lie + "\n  " + row.name + ": " + line;
      }
      const Said now{line_of(row, Knob::memory_high, report->now), row.memory_probes_again_at};
      if (auto broken = broken_promise(row, now, report->now); !broken.empty())
        return broken + "\n  before: " + said_[row.id].line + "\n  now: " + now.line;
      said[row.id] = now;
    }
    said_ = std::move(said);
    return {};
  }

  EngineModel model;

 private:
  struct Said {
    std::string line;
    std::optional<MonotonicTime> probe_at;
  };

  const TaskState& state_of(CgroupId id) const { return model.engine->state().tasks.at(id); }

  std::string lie_of(const TaskReport& row, Knob which, const std::string& line) {
    const auto& task = state_of(row.id);
    const auto& limit = which == Knob::cpu_max ? task.cpu.limit : task.memory.limit;
    if (line.empty()) return "it says nothing of a knob";
    if (limit.baseline() && !says(line, " is " + publish::value_words(limit.value()) + ","))
      return "it tells another value than is believed to be held";
    if (auto lie = bar_lie(task, which, limit, line); !lie.empty()) return lie;
    return origin_lie(row, which, line);
  }

  // Checks who set the value; the host knows it. Not checked while an order is in flight or the host cannot
  // be seen.
  std::string origin_lie(const TaskReport& row, Knob which, const std::string& line) {
    auto& host = model.host;
    const auto* knob = host.knob_of(row.id, which);
    const bool seen = knob && !host.samples_fail && host.opened.contains(row.id);
    if (!seen) return {};
    // sent before this tick: it may have landed, or its file may have been replaced
    for (const auto& p : host.pending) {
      if (p.order.id == row.id && p.order.knob == which && !write_to(*plan_, which, row.id.value)) return {};
    }
    if (!knob->exists)
      return says(line, "the controller is off") ? "" : "it speaks of a knob that is not there";
    if (says(line, "would be")) return knob->ours ? "ours is in force, and it says dry run" : "";
    if (says(line, "the reason then") || says(line, "set by Sluice"))
      return knob->ours ? "" : "it calls an external value ours";
    return knob->ours ? "our own write is called somebody else's" : "";
  }

  std::string bar_lie(const TaskState& task, Knob which, const ManagedLimit& limit, const std::string& line) {
    const State& state = model.engine->state();
    const auto held = state.holds.tasks.find(task.facts.name);
    const bool has_hold = held != state.holds.tasks.end();
    const bool suspended = state.holds.node || (has_hold && held->second.suspension);
    const bool cpu = which == Knob::cpu_max;
    const auto& config = model.engine->config();
    const auto& policy = rule_of(task.facts, config).policy;
    const bool pinned =
        has_hold && held->second.pin &&
        (cpu ? held->second.pin->cpu_cores.has_value() : held->second.pin->memory_high.has_value());
    const bool enabled = cpu ? policy.cpu.enabled : policy.memory.enabled;
    const bool watched =
        says(line, "The next decision is due") || says(line, kProbe) || says(line, "It is not lowered");
    const bool free = limit.baseline() && task.facts.config_index && enabled && !suspended && !pinned &&
                      state.mode_before != config::Mode::observe &&
                      task.breaker.state != BreakerState::open && task.yield_until <= model.host.now;
    if (watched && !free) return "it announces a look at what is left alone";
    if (says(line, "until it is resumed") && !suspended) return "it calls suspended what is not";
    if (says(line, "It is pinned") && !pinned) return "it calls pinned what is not";
    if (says(line, "configuration leaves it alone") && enabled) return "it is governed by the configuration";
    if (limit.in_flight() && free && !says(line, "was ordered")) return "it is silent on an order under way";
    if (!limit.in_flight() && says(line, "was ordered")) return "it tells of an order that is answered";
    return {};
  }

  // Memory in use, pressure and floor are the same in every sample of this host; only clocks and orders
  // change.
  std::string broken_promise(const TaskReport& row, const Said& now, MonotonicTime at) {
    const auto before = said_.find(row.id);
    if (before == said_.end()) return {};
    const auto* write = write_to(*plan_, Knob::memory_high, row.id.value);
    const bool probed = write && write->reason.rule == Rule::memory_probe;
    if (probed && says(before->second.line, "It is not lowered: it is at the least"))
      return "it was lowered below its lower bound";
    const bool due =
        before->second.probe_at && at >= *before->second.probe_at && says(before->second.line, kProbe);
    const auto next = at + model.engine->config().node.tick;
    const bool same_again = says(now.line, kProbe) && now.probe_at == next;
    if (due && !write && same_again) return "what was announced did not come, and is announced again";
    return {};
  }

  std::map<CgroupId, Said> said_;
  std::optional<Plan> plan_;
};

rc::Gen<std::vector<std::pair<Op, unsigned>>> histories() {
  std::vector<Op> all;
  for (int n = 0; n < static_cast<int>(Op::count); ++n) all.push_back(static_cast<Op>(n));
  for (int n = 0; n < 12; ++n)
    all.push_back(n % 3 == 0 ? Op::land_last : n % 3 == 1 ? Op::answer_last : Op::full_tick);
  std::vector<unsigned> dice;
  for (unsigned n = 0; n < 64; ++n) dice.push_back(n);
  return rc::gen::container<std::vector<std::pair<Op, unsigned>>>(
      rc::gen::pair(rc::gen::elementOf(all), rc::gen::elementOf(dice)));
}

RC_GTEST_PROP(Explain, NeverLies, ()) {
  const auto history = *histories();
  Witness witness;
  for (const auto& [op, dice] : history) RC_ASSERT(witness.apply(op, dice) == std::string());
}

// ---- wrong sentences of earlier versions

std::string memory_line(const Bench& b) {
  return line_of(b.last.report.tasks.front(), Knob::memory_high, b.now);
}
std::string cpu_line(const Bench& b) {
  return line_of(b.last.report.tasks.front(), Knob::cpu_max, b.now);
}

TEST(Explain, OurOwnWriteIsOurs) {
  Bench b;
  b.add(1, cores(1));
  b.full();
  b.hold(b.state.tasks.at(CgroupId{1}).cpu, Knob::cpu_max, cores(2),
         {.rule = Rule::cpu_surplus, .usage_cores = 1});
  b.sample().cpu_max = cores(2);
  b.full();
  EXPECT_THAT(cpu_line(b), HasSubstr("cpu.max is 2.00 cores, set "));
  EXPECT_THAT(cpu_line(b),
              HasSubstr("the reason then: it uses 1.00 cores of its quota, and the rest is surplus"));
}

TEST(Explain, AnExternalValueHasNoReasonOfOurs) {
  Bench b;
  b.add(1, cores(1));
  b.full();
  b.hold(b.state.tasks.at(CgroupId{1}).cpu, Knob::cpu_max, cores(2), {.rule = Rule::cpu_surplus});
  b.sample().cpu_max = cores(3);
  b.full();
  EXPECT_THAT(cpu_line(b), HasSubstr("cpu.max is 3.00 cores, as an external writer set it"));
  EXPECT_THAT(cpu_line(b), Not(HasSubstr("reason")));
  EXPECT_THAT(cpu_line(b), HasSubstr("It is left alone for 60 s"));
  EXPECT_THAT(cpu_line(b), Not(HasSubstr("looked at again")));
}

TEST(Explain, WithoutAnyWriteItSaysSo) {
  Bench b;
  b.add(1, cores(1));
  b.full();
  EXPECT_THAT(memory_line(b), HasSubstr("memory.high is no limit, as it was found: Sluice has not set it."));
}

TEST(Explain, AtItsFloorNoLessIsAnnounced) {
  Bench b;
  auto& sample = b.add(1, {}, mib(100));
  sample.memory_stat->anon = 250 * Bench::kMiB;  // without swap none of it can be freed
  sample.memory_stat->file = 2 * Bench::kMiB;
  for (int i = 0; i < 60; ++i) b.full();
  EXPECT_THAT(memory_line(b), HasSubstr("It is not lowered: it is at its lower bound"));
  EXPECT_FALSE(b.last.report.tasks.front().memory_probes_again_at);
}

TEST(Explain, WithoutPressureNoLessIsAnnounced) {
  Bench b;
  b.add(1, {}, mib(400)).memory_pressure.reset();
  for (int i = 0; i < 60; ++i) b.full();
  EXPECT_THAT(memory_line(b), HasSubstr("It is not lowered: its memory pressure (PSI) is not known."));
  EXPECT_FALSE(b.last.report.tasks.front().memory_probes_again_at);
  EXPECT_EQ(b.last.report.node.pressure_unknown, 1U);
}

TEST(Explain, RoomAfterACutIsNoGrowth) {
  const Reason room{.rule = Rule::memory_room};
  EXPECT_THAT(publish::reason_words(Knob::memory_high, room), Not(HasSubstr("growing")));
}

TEST(Explain, ADryRunSaysWhatWouldBe) {
  auto config = one_task_config();
  config.node.mode = config::Mode::dry_run;
  config.tasks.front().policy.cpu.initial_cores = 1.5;
  Bench b(config);
  b.add(1, cores(2));
  b.full();
  b.full();
  EXPECT_THAT(cpu_line(b), HasSubstr("cpu.max is 1.50 cores, what Sluice would have set"));
  EXPECT_THAT(cpu_line(b), HasSubstr("baseline 2.00 cores"));
}

TEST(Explain, ASuspendedTaskIsNotLookedAt) {
  Bench b;
  b.add(1, cores(1));
  b.full();
  b.commands.push_back(SuspendCommand{"t1", "test"});
  b.full();
  EXPECT_THAT(cpu_line(b), HasSubstr("It is left alone until it is resumed"));
  EXPECT_THAT(cpu_line(b), Not(HasSubstr("looked at again")));
  EXPECT_THAT(memory_line(b), Not(HasSubstr("tried")));
}

TEST(Explain, AKnobThatIsNotGovernedIsSaidToBe) {
  auto config = one_task_config();
  config.tasks.front().policy.memory.enabled = false;
  Bench b(config);
  b.add(1, cores(1));
  b.full();
  EXPECT_THAT(memory_line(b), HasSubstr("The configuration leaves it alone (memory.enabled = false)."));
}

}  // namespace
}  // namespace sluice::testing
