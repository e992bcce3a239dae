// The meaning of valid files: values, defaults, classes, and how files combine.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <sstream>

#include "tests/unit/config/good.hpp"

namespace sluice::config::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> matches(const Config& config) {
  std::vector<std::string> units;
  for (const auto& task : config.tasks)
    units.push_back(task.match_unit.value_or(task.match_cgroup.value_or("")));
  return units;
}

TEST(Parse, OfNothingIsTheDefaults) {
  for (const auto& config : {good(std::vector<Source>{}), good(""), good("\n# nothing\r\n[node]\n")}) {
    expect_equal(config.node, Node{});
    EXPECT_THAT(config.tasks, IsEmpty());
  }
}

TEST(Parse, EveryKeyArrives) {
  const auto config = good(R"(
    [node]
    mode = "observe"
    tick = "250ms"
    discovery = "2s"
    sampling = "files"
    cpu_reserve = "750m"
    memory_reserve = "512MiB"
    on_foreign_write = "override"
    share_by = "quota"
    [[task]]
    match.cgroup = "/nomad.slice/*/*"
    name = "nomad"
    weight = 250
    priority = -3
    max_delay = "1m30s"
    [task.cpu]
    enabled = false
    min = "500m"
    max = 8
    initial = "1.5"
    step = 1
    burst = "40%"
    tolerance = "20%"
    writes_per_minute = 20
    scale_up = {stabilization = "3s", policies = [{type = "percent", value = 50, period = "1m"}], select_policy = "min"}
    scale_down.select_policy = "disabled"
    [task.memory]
    enabled = false
    min = "128M"
    max = 4294967296
    pressure_target = "0.2%"
    interval = "1m"
    tolerance = 0.05
    writes_per_minute = 6
    [[task.memory.scale_down.policies]]
    period = "500ms"
    value = "64MiB"
    type = "bytes"
    [[task.memory.scale_down.policies]]
    type = "percent"
    value = 2.5
    period = "30m"
    [[task.schedule]]
    calendar = "Mon..Fri 08:55"
    for = "2h"
    min = "1500m"
    max = 9
    [[task.schedule]]
    calendar = "2027-1-1 0/6:30:15 UTC"
    for = "90s"
    max = 2
    [task.forecast]
    mode = "forecast-only"
    season = "7d"
  )");
  expect_equal(config.node, {Mode::observe, 250ms, 2s, Sampling::files, 0.75, 512ULL << 20,
                             OnForeignWrite::override_it, ShareBy::quota});
  ASSERT_EQ(config.tasks.size(), 1U);
  const auto& task = config.tasks[0];
  EXPECT_EQ(task.match_cgroup, "/nomad.slice/*/*");
  EXPECT_EQ(task.match_unit, std::nullopt);
  EXPECT_EQ(task.name, "nomad");
  EXPECT_EQ(task.class_name, "");
  EXPECT_EQ(task.origin, "t.toml:11");
  const Scaling cpu{{3s, {{ChangeType::percent, 50, 60s}}, SelectPolicy::min},
                    {.select_policy = SelectPolicy::disabled}};
  const Scaling memory{
      {}, {.policies = {{ChangeType::absolute, 64 << 20, 500ms}, {ChangeType::percent, 2.5, 30min}}}};
  expect_equal(task.policy,
               {.weight = 250,
                .priority = -3,
                .max_delay = 90s,
                .cpu = {false, 0.5, 8.0, 1.5, 1, 0.4, 0.2, 20, cpu},
                .memory = {false, 128ULL << 20, 4ULL << 30, 0.002, 60s, 0.05, 6, memory},
                .schedule = {{{.weekdays = 0x1f, .hours = 1U << 8, .minutes = 1ULL << 55}, 2h, 1.5, 9},
                             {{.years = {2027},
                               .months = 2,
                               .days = 2,
                               .hours = 1 | 1U << 6 | 1U << 12 | 1U << 18,
                               .minutes = 1ULL << 30,
                               .seconds = 1ULL << 15,
                               .utc = true},
                              90s,
                              {},
                              2}},
                .forecast = {ForecastMode::forecast_only, 7 * 24h}});
}

TEST(Parse, ATaskInheritsFromItsClassKeyByKey) {
  const auto config = good(R"(
    [[task]]
    match.unit = "a.service"
    class = "stream"   # a class may be defined further down
    cpu.max = 4
    [[task]]
    match.unit = "b.service"
    [class.stream]
    weight = 300
    [class.stream.cpu]
    min = 2
    max = 3
  )");
  TaskPolicy expected{};
  expected.weight = 300;
  expected.cpu.min_cores = 2;
  expected.cpu.max_cores = 4;
  expect_equal(config.tasks.at(0).policy, expected);
  EXPECT_EQ(config.tasks.at(0).class_name, "stream");
  expect_equal(config.tasks.at(1).policy, TaskPolicy{});
}

TEST(Parse, OfScalingTheInnerKeysAreInheritedAndPoliciesAreOneOfThem) {
  const auto config = good(R"(
    [class.stream.cpu]
    scale_down = {stabilization = "5m", policies = [{type = "cores", value = "500m", period = "1m"}]}
    [[task]]
    match.unit = "a.service"
    class = "stream"
    cpu.scale_down.select_policy = "min"
    [[task]]
    match.unit = "b.service"
    class = "stream"
    cpu.scale_down.policies = []
  )");
  const std::vector<ScalingPolicy> half_a_core{{ChangeType::absolute, 0.5, 60s}};
  EXPECT_EQ(config.tasks.at(0).policy.cpu.scaling, (Scaling{{}, {5min, half_a_core, SelectPolicy::min}}));
  EXPECT_EQ(config.tasks.at(1).policy.cpu.scaling, (Scaling{{}, {5min, {}, SelectPolicy::max}}));
  EXPECT_FALSE(config.tasks.at(1).policy.cpu.scaling.none());
  EXPECT_TRUE(config.tasks.at(1).policy.memory.scaling.none());
}

TEST(Parse, AScheduleIsOneKeyAndIsInheritedWhole) {
  const auto config = good(R"(
    [[class.stream.schedule]]
    calendar = "daily"
    for = "1h"
    min = 1
    [[task]]
    match.unit = "a.service"
    class = "stream"
    [[task]]
    match.unit = "b.service"
    class = "stream"
    schedule = [{calendar = "monthly", for = "1d", max = 3}, {calendar = "12:00", for = "1h", min = 2}]
  )");
  ASSERT_EQ(config.tasks.at(0).policy.schedule.size(), 1U);
  EXPECT_EQ(config.tasks[0].policy.schedule[0].min_cores, 1);
  ASSERT_EQ(config.tasks.at(1).policy.schedule.size(), 2U);
  EXPECT_EQ(config.tasks[1].policy.schedule[0].length, 24h);
  EXPECT_EQ(config.tasks[1].policy.schedule[0].min_cores, std::nullopt);
}

TEST(Parse, AForecastIsInheritedKeyByKey) {
  const auto config = good(R"(
    class.stream.forecast.mode = "on"
    [[task]]
    match.unit = "a.service"
    class = "stream"
    forecast.season = "10m"
    [[task]]
    match.unit = "b.service"
  )");
  EXPECT_EQ(config.tasks.at(0).policy.forecast, (Forecast{ForecastMode::on, 10min}));
  EXPECT_EQ(config.tasks.at(1).policy.forecast, (Forecast{ForecastMode::off, 24h}));
}

TEST(Parse, LaterSourcesWinKeyByKey) {
  const auto config =
      good({{"1", "[node]\nmode = \"dry-run\"\ntick = \"50ms\"\n[class.a.cpu]\nmin = 1\nmax = 2"},
            {"2", "[node]\ntick = \"20ms\"\n[class.a]\ncpu.max = 9"},
            {"3", "[[task]]\nmatch.unit = \"a.service\"\nclass = \"a\""}});
  EXPECT_EQ(config.node.mode, Mode::dry_run);
  EXPECT_EQ(config.node.tick, 20ms);
  EXPECT_EQ(config.tasks.at(0).policy.cpu.min_cores, 1);
  EXPECT_EQ(config.tasks.at(0).policy.cpu.max_cores, 9);
}

TEST(Parse, TasksAddUpAndOneOfTheSameNameReplacesInPlace) {
  const auto config =
      good({{"1",
             "[[task]]\nname = \"x\"\nmatch.unit = \"x1.service\"\ncpu.max = 1\n"
             "[[task]]\nmatch.unit = \"anonymous.service\""},
            {"2", "[[task]]\nmatch.cgroup = \"/y\"\n[[task]]\nname = \"x\"\nmatch.unit = \"x2.service\""}});
  EXPECT_THAT(matches(config), ElementsAre("x2.service", "anonymous.service", "/y"));
  EXPECT_EQ(config.tasks[0].policy.cpu.max_cores, std::nullopt) << "replaced whole, not merged";
  EXPECT_EQ(config.tasks[0].origin, "2:3");
}

TEST(Parse, AReplacedTaskIsCheckedNoMoreAcrossKeysButItsValuesAre) {
  const std::string replaced = "[[task]]\nname = \"x\"\nmatch.unit = \"x.service\"\nclass = \"gone\"\n";
  const Source replacing{"2", "[[task]]\nname = \"x\"\nmatch.unit = \"x.service\""};
  EXPECT_EQ(good({{"1", replaced}, replacing}).tasks.size(), 1U);
  EXPECT_THAT(described(parse(std::vector<Source>{{"1", replaced + "weight = 0"}, replacing})),
              ElementsAre("1:5:10: key 'task[0].weight': found 0, must be at least 1"));
}

TEST(Parse, TheSameMatchInAnotherFileIsTheLaterOnesFault) {
  const std::string x = "[[task]]\nmatch.unit = \"x.service\"\n";
  const std::string y = "[[task]]\nname = \"y\"\nmatch.unit = \"y.service\"\n";
  EXPECT_THAT(
      described(parse(std::vector<Source>{{"1", y + x}, {"2", "\n" + x}})),
      ElementsAre(
          "2:3:14: key 'task[0].match.unit': found \"x.service\", must differ from the match of the task at "
          "1:5, which would govern them all"));
  // The replacement stands first, but it was written last.
  EXPECT_THAT(
      described(parse(std::vector<Source>{{"1", y + x}, {"2", x + "name = \"y\""}})),
      ElementsAre(
          "2:2:14: key 'task[0].match.unit': found \"x.service\", must differ from the match of the task at "
          "1:5, which would govern them all"));
}

TEST(Parse, AcrossFilesTheLaterOneIsToBlame) {
  EXPECT_THAT(
      described(parse(std::vector<Source>{{"1", "[class.a]\ncpu.max = 2"}, {"2", "[class.a]\ncpu.min = 3"}})),
      ElementsAre(
          "2:2:11: key 'class.a.cpu.min': found 3 cores, must be at most cpu.max, which is 2 cores (1:2)"));
}

rc::Gen<std::string> some_toml() {
  // Fragments of real files in any order: they pass the parser more often than random bytes.
  return rc::gen::map(
      rc::gen::container<std::vector<std::string>>(rc::gen::element<std::string>(
          "[node]\n", "[[task]]\n", "[task.cpu]\n", "[task.memory]\n", "[class.a]\n", "[class.a.cpu]\n",
          "tick = \"1s\"\n", "min = 1\n", "max = \"9\"\n", "min = \"1G\"\n",
          "scale_up = {policies = [{value = 1}, 2]}\n", "[[task.cpu.scale_up.policies]]\n",
          "type = \"cores\"\n", "[[task.schedule]]\n", "[[class.a.schedule]]\n", "calendar = \"daily\"\n",
          "calendar = \"Mon,Tue 1..2/3:4\"\n", "for = \"1h\"\n", "schedule = [1]\n", "value = 1\n",
          "period = \"1s\"\n", "max = -1\n", "name = \"a\"\n", "class = \"a\"\n", "class = \"b\"\n",
          "match.unit = \"a.service\"\n", "match.cgroup = \"/a\"\n", "match = 1\n", "cpu = {min = inf}\n",
          "weight = nan\n", "x", "\"", "=", "[", "]", "{", "}", ".", "\n", "#", "1", "'", "\xff", "\\u0000")),
      [](const std::vector<std::string>& parts) {
        std::string text;
        for (const auto& part : parts) text += part;
        return text;
      });
}

RC_GTEST_PROP(Parse, NoSourcesCrashIt, ()) {
  const auto texts = *rc::gen::container<std::vector<std::string>>(
      rc::gen::oneOf(some_toml(), rc::gen::string<std::string>()));
  std::vector<Source> sources;
  sources.reserve(texts.size());
  for (const auto& text : texts) sources.push_back({"f" + std::to_string(sources.size()), text});
  const auto result = parse(sources);
  if (result) return;
  RC_ASSERT(!result.error().empty());
  for (const auto& problem : result.error()) {
    RC_ASSERT(!problem.message.empty());
    RC_ASSERT(problem.line >= 1U);
    RC_ASSERT(problem.column >= 1U);
  }
}

RC_GTEST_PROP(Parse, AnyValidPolicyComesBack, ()) {
  const auto in = [](auto low, auto high) { return *rc::gen::inRange(low, high + 1); };
  const int min = in(10, 8192), max = in(min, 8192 * 1000), initial = in(min, max),
            step = in(0, max);  // thousandths
  const std::int64_t low = in(std::int64_t{1} << 20, std::int64_t{1} << 50),
                     high = in(low, std::int64_t{1} << 50);
  const int weight = in(1, 10000), priority = in(-1000, 1000), tolerance = in(0, 49), writes = in(1, 600);
  const std::int64_t delay_us = in(std::int64_t{10'000}, std::int64_t{600'000'000});
  const bool inherited = *rc::gen::arbitrary<bool>();
  const bool percent = *rc::gen::arbitrary<bool>();

  std::ostringstream text;
  text << (inherited ? "[class.c]\n" : "[[task]]\nmatch.unit = \"a.service\"\n");
  text << "weight = " << weight << "\npriority = " << priority << "\nmax_delay = \"" << delay_us << "us\"\n"
       << "cpu.min = \"" << min << "m\"\ncpu.max = \"" << max << "m\"\ncpu.initial = \"" << initial
       << "m\"\ncpu.step = \"" << step << "m\"\ncpu.tolerance = " << (percent ? "\"" : "0.")
       << (percent || tolerance > 9 ? "" : "0") << tolerance << (percent ? "%\"" : "")
       << "\ncpu.writes_per_minute = " << writes << "\nmemory.min = " << low << "\nmemory.max = \"" << high
       << "\"\n";
  if (inherited) text << "[[task]]\nmatch.unit = \"a.service\"\nclass = \"c\"\n";

  const auto result = parse_text(text.str());
  RC_ASSERT(described(result).empty());
  const auto& policy = result->tasks.at(0).policy;
  const auto near = [](double a, double b) { return std::abs(a - b) < 1e-9; };
  RC_ASSERT(near(policy.weight, weight));
  RC_ASSERT(policy.priority == priority);
  RC_ASSERT(policy.max_delay.count() == delay_us);
  RC_ASSERT(near(policy.cpu.min_cores, min / 1000.0));
  RC_ASSERT(near(policy.cpu.max_cores.value(), max / 1000.0));
  RC_ASSERT(near(policy.cpu.initial_cores.value(), initial / 1000.0));
  RC_ASSERT(near(policy.cpu.step_cores, step / 1000.0));
  RC_ASSERT(near(policy.cpu.tolerance, tolerance / 100.0));
  RC_ASSERT(policy.cpu.writes_per_minute == static_cast<std::uint32_t>(writes));
  RC_ASSERT(policy.memory.min_bytes == static_cast<std::uint64_t>(low));
  RC_ASSERT(policy.memory.max_bytes.value() == static_cast<std::uint64_t>(high));
}

}  // namespace
}  // namespace sluice::config::test
