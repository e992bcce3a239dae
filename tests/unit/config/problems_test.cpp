// The exact message for each mistake: these messages are the interface of an invalid file.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/config/mistakes.hpp"

namespace sluice::config::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

class One : public testing::TestWithParam<Mistake> {};

TEST_P(One, IsAnsweredExactly) {
  EXPECT_THAT(problems(GetParam().text), ElementsAre(GetParam().answer));
}

// The words in the middle are from toml++ and depend on its version.
TEST(Syntax, IsPlacedAndTheCommonSlipsHaveACure) {
  EXPECT_THAT(problems("[node]\ntick = 100ms\n"),
              ElementsAre(AllOf(StartsWith("t.toml:2:11: not valid TOML: "),
                                EndsWith("; a number with a unit is written in quotes, as \"100ms\""))));
  EXPECT_THAT(problems("[node]\nmode = enforce\n"),
              ElementsAre(AllOf(StartsWith("t.toml:2:8: not valid TOML: "),
                                EndsWith("; text is written in quotes"))));
  EXPECT_THAT(problems("[node]\ntick = \"1s\"\ntick = \"2s\"\n"),
              ElementsAre(AllOf(StartsWith("t.toml:3:8: not valid TOML: "), HasSubstr("'tick'"))));
  EXPECT_THAT(problems("[node]\nmemory_reserve = 99999999999999999999\n"),
              ElementsAre(AllOf(StartsWith("t.toml:2:"), HasSubstr("not representable in 64 bits"))));
  EXPECT_THAT(problems("[node]\n\xff = 1"), ElementsAre(HasSubstr(": not valid TOML: ")));
}

TEST(Syntax, StopsTheFileAndTheChecksAcrossKeysButNotOtherFiles) {
  const std::vector<Source> sources{{"a.toml", "[class.stream"},
                                    {"b.toml", "[node]\ntik = 1\n[[task]]\nclass = \"stream\""}};
  EXPECT_THAT(described(parse(sources)),
              ElementsAre(StartsWith("a.toml:1:14: not valid TOML: "),
                          "b.toml:2:1: key 'node.tik': unknown; did you mean 'tick'?"));
}

INSTANTIATE_TEST_SUITE_P(
    UnknownKey, One,
    testing::Values(
        Mistake{"near", "[node]\n  tik = 1\n", "t.toml:2:3: key 'node.tik': unknown; did you mean 'tick'?"},
        Mistake{
            "far", "[class.a.memory]\nreclaim = \"auto\"\n",
            "t.toml:2:1: key 'class.a.memory.reclaim': unknown; known are 'enabled', 'min', 'max', "
            "'pressure_target', 'interval', 'tolerance', 'writes_per_minute', 'scale_up' and 'scale_down'"},
        Mistake{"table", "[Node]\ntick = \"1s\"\n", "t.toml:1:2: key 'Node': unknown; did you mean 'node'?"},
        Mistake{"strange", "[node]\n\"a\\n b\" = 1\n",
                "t.toml:2:1: key 'node.\"a\\u000A b\"': unknown; known are 'mode', 'tick', 'discovery', "
                "'sampling', "
                "'cpu_reserve', 'memory_reserve', 'on_foreign_write' and 'share_by'"},
        Mistake{"in_match", "[[task]]\nmatch.unit = \"a.service\"\nmatch.units = \"b.service\"\n",
                "t.toml:3:7: key 'task[0].match.units': unknown; did you mean 'unit'?"}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    WrongKind, One,
    testing::Values(
        Mistake{"node", "node = 1", "t.toml:1:8: key 'node': found 1, must be a table: write [node]"},
        Mistake{"class_and_not_its_task", "class.a = 1\ntask = [{match.unit = \"a.service\", class = \"a\"}]",
                "t.toml:1:11: key 'class.a': found 1, must be a table: write [class.a]"},
        Mistake{"task", "[task]\nname = \"a\"",
                "t.toml:1:1: key 'task': found a table, must be an array of tables: write [[task]], in two "
                "brackets"},
        Mistake{"task_entry", "task = [1979-05-27]",
                "t.toml:1:9: key 'task[0]': found a date, must be a table: write [[task]]"},
        Mistake{"part", "[[task]]\nmatch.unit = \"a.service\"\ncpu = 2",
                "t.toml:3:7: key 'task[0].cpu': found 2, must be a table: write [task.cpu]"},
        Mistake{"match", "[[task]]\nmatch = \"a.service\"",
                "t.toml:2:9: key 'task[0].match': found \"a.service\", must be a table: write [task.match]"},
        Mistake{"number_without_unit", "[node]\ntick = 100",
                "t.toml:2:8: key 'node.tick': found 100, must be a duration with its unit, such as \"100ms\" "
                "or \"1h30m\""},
        Mistake{"string_without_unit", "[node]\ntick = \"100\"",
                "t.toml:2:8: key 'node.tick': found \"100\", must be a duration with its unit, such as "
                "\"100ms\" or "
                "\"1h30m\""},
        Mistake{"bytes", "[node]\nmemory_reserve = \"5%\"",
                "t.toml:2:18: key 'node.memory_reserve': found \"5%\", must be bytes, such as \"512MiB\", "
                "\"1G\" (of 1024) "
                "or 536870912"},
        Mistake{"half_bytes", "[node]\nmemory_reserve = 1.5",
                "t.toml:2:18: key 'node.memory_reserve': found 1.5, must be bytes, such as \"512MiB\", "
                "\"1G\" (of 1024) or "
                "536870912"},
        Mistake{"cores", "[node]\ncpu_reserve = true",
                "t.toml:2:15: key 'node.cpu_reserve': found true, must be a number of cores, such as 0.5, "
                "\"500m\" or "
                "\"50%\""},
        Mistake{"ratio", "[class.a]\ncpu.tolerance = []",
                "t.toml:2:17: key 'class.a.cpu.tolerance': found an array, must be a ratio, such as 0.1 or "
                "\"10%\""},
        Mistake{"number", "[class.a]\nweight = \"100\"",
                "t.toml:2:10: key 'class.a.weight': found \"100\", must be a number"},
        Mistake{"whole", "[class.a]\npriority = 1.5",
                "t.toml:2:12: key 'class.a.priority': found 1.5, must be a whole number"},
        Mistake{
            "boolean", "[class.a]\ncpu.enabled = \"yes\"",
            "t.toml:2:15: key 'class.a.cpu.enabled': found \"yes\", must be true or false, without quotes"},
        Mistake{"text", "[[task]]\nmatch.unit = 1",
                "t.toml:2:14: key 'task[0].match.unit': found 1, must be a string in quotes"},
        Mistake{
            "choice", "[node]\nmode = \"enforc\"",
            "t.toml:2:8: key 'node.mode': found \"enforc\", must be \"enforce\", \"dry-run\" or \"observe\""},
        Mistake{"choice_number", "[node]\nsampling = 1",
                "t.toml:2:12: key 'node.sampling': found 1, must be \"auto\", \"bpf\" or \"files\""},
        Mistake{
            "foreign", "[node]\non_foreign_write = \"fight\"",
            "t.toml:2:20: key 'node.on_foreign_write': found \"fight\", must be \"yield\" or \"override\""}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    OutOfRange, One,
    testing::Values(
        Mistake{"tick_low", "[node]\ntick = \"9ms\"",
                "t.toml:2:8: key 'node.tick': found \"9ms\", must be at least 10ms"},
        Mistake{"tick_high", "[node]\ntick = \"1h\"",
                "t.toml:2:8: key 'node.tick': found \"1h\", must be at most 10s"},
        Mistake{"huge_duration", "[node]\ntick = \"99999999999999999999w\"",
                "t.toml:2:8: key 'node.tick': found \"99999999999999999999w\", must be at most 10s"},
        Mistake{"discovery", "[node]\ndiscovery = \"61s\"",
                "t.toml:2:13: key 'node.discovery': found \"61s\", must be at most 1m"},
        Mistake{"nan", "[node]\ncpu_reserve = nan",
                "t.toml:2:15: key 'node.cpu_reserve': found nan, must be at least 0 cores"},
        Mistake{"inf", "[class.a]\nweight = inf",
                "t.toml:2:10: key 'class.a.weight': found inf, must be at most 10000"},
        Mistake{"minus_inf", "[class.a]\nweight = -inf",
                "t.toml:2:10: key 'class.a.weight': found -inf, must be at least 1"},
        Mistake{"negative_cores", "[[task]]\nmatch.unit = \"a.service\"\ncpu.min = \"-1\"",
                "t.toml:3:11: key 'task[0].cpu.min': found \"-1\", must be at least 0.01 cores"},
        Mistake{"many_cores", "[class.a]\ncpu.max = 9223372036854775807",
                "t.toml:2:11: key 'class.a.cpu.max': found 9223372036854775807, must be at most 8192 cores"},
        Mistake{"burst", "[class.a]\ncpu.burst = 1.5",
                "t.toml:2:13: key 'class.a.cpu.burst': found 1.5, must be at most 100%"},
        Mistake{"tolerance", "[class.a]\ncpu.tolerance = 0.5",
                "t.toml:2:17: key 'class.a.cpu.tolerance': found 0.5, must be below 50%"},
        Mistake{"memory_tolerance", "[class.a]\nmemory.tolerance = \"60%\"",
                "t.toml:2:20: key 'class.a.memory.tolerance': found \"60%\", must be below 50%"},
        Mistake{"no_writes", "[class.a]\ncpu.writes_per_minute = 0",
                "t.toml:2:25: key 'class.a.cpu.writes_per_minute': found 0, must be at least 1"},
        Mistake{"writes", "[class.a]\nmemory.writes_per_minute = 4294967297",
                "t.toml:2:28: key 'class.a.memory.writes_per_minute': found 4294967297, must be at most 600"},
        Mistake{"priority", "[class.a]\npriority = -1001",
                "t.toml:2:12: key 'class.a.priority': found -1001, must be at least -1000"},
        Mistake{"max_delay", "[class.a]\nmax_delay = \"11m\"",
                "t.toml:2:13: key 'class.a.max_delay': found \"11m\", must be at most 10m"},
        Mistake{"memory_low", "[class.a]\nmemory.min = 4096",
                "t.toml:2:14: key 'class.a.memory.min': found 4096, must be at least 1MiB"},
        Mistake{"memory_high", "[class.a]\nmemory.max = \"2P\"",
                "t.toml:2:14: key 'class.a.memory.max': found \"2P\", must be at most 1PiB"},
        Mistake{"negative_bytes", "[node]\nmemory_reserve = -1",
                "t.toml:2:18: key 'node.memory_reserve': found -1, must be at least 0 bytes"},
        Mistake{"pressure", "[class.a]\nmemory.pressure_target = 0",
                "t.toml:2:26: key 'class.a.memory.pressure_target': found 0, must be at least 0.001%"},
        Mistake{"interval", "[class.a]\nmemory.interval = \"100ms\"",
                "t.toml:2:19: key 'class.a.memory.interval': found \"100ms\", must be at least 500ms"}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    Match, One,
    testing::Values(
        Mistake{"none", "[node]\n\n  [[task]]\nname = \"a\"",
                "t.toml:3:3: key 'task[0].match': missing; add match.unit = \"NAME.service\" or match.cgroup "
                "= \"/PATH\""},
        Mistake{
            "both", "[[task]]\nmatch.unit = \"a.service\"\nmatch.cgroup = \"/a\"",
            "t.toml:1:1: key 'task[0].match': found both match.unit and match.cgroup, must be exactly one"},
        Mistake{"empty_unit", "[[task]]\nmatch.unit = \"\"",
                "t.toml:2:14: key 'task[0].match.unit': found \"\", must name a unit, such as "
                "\"NAME.service\" or "
                "\"NAME@*.service\""},
        Mistake{"unit_path", "[[task]]\nmatch.unit = \"a.slice/b.service\"",
                "t.toml:2:14: key 'task[0].match.unit': found \"a.slice/b.service\", must be a unit's name, "
                "without '/'; for "
                "a path use match.cgroup"},
        Mistake{"unit_suffix", "[[task]]\nmatch.unit = \"flink\"",
                "t.toml:2:14: key 'task[0].match.unit': found \"flink\", must end with \".service\", "
                "\".scope\" or "
                "\".slice\""},
        Mistake{"unit_nul", "[[task]]\nmatch.unit = \"a\\u0000.service\"",
                "t.toml:2:14: key 'task[0].match.unit': found \"a\\u0000.service\", must not contain a NUL"},
        Mistake{"empty_cgroup", "[[task]]\nmatch.cgroup = \"\"",
                "t.toml:2:16: key 'task[0].match.cgroup': found \"\", must begin with '/', the cgroup root; "
                "for a unit use "
                "match.unit"},
        Mistake{"relative", "[[task]]\nmatch.cgroup = \"a/b\"",
                "t.toml:2:16: key 'task[0].match.cgroup': found \"a/b\", must begin with '/', the cgroup "
                "root; for a unit "
                "use match.unit"},
        Mistake{"root", "[[task]]\nmatch.cgroup = \"/\"",
                "t.toml:2:16: key 'task[0].match.cgroup': found \"/\", must be below the root: the root "
                "itself has no "
                "limits"},
        Mistake{"dots", "[[task]]\nmatch.cgroup = \"/a/../b\"",
                "t.toml:2:16: key 'task[0].match.cgroup': found \"/a/../b\", must not contain the component "
                "'..'"},
        Mistake{
            "trailing_slash", "[[task]]\nmatch.cgroup = \"/a/\"",
            "t.toml:2:16: key 'task[0].match.cgroup': found \"/a/\", must not contain '//' nor end with '/'"},
        Mistake{"same_unit",
                "[[task]]\nmatch.unit = \"a.service\"\n[[task]]\nmatch.cgroup = "
                "\"/a.service\"\n[[task]]\nmatch.unit = "
                "\"a.service\"",
                "t.toml:6:14: key 'task[2].match.unit': found \"a.service\", must differ from the match of "
                "the task at "
                "t.toml:2, which would govern them all"}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    Names, One,
    testing::Values(
        Mistake{"blank", "[[task]]\nmatch.unit = \"a.service\"\nname = \"a b\"",
                "t.toml:3:8: key 'task[0].name': found \"a b\", must be 1 to 128 letters, digits and any of "
                "_ - . : @"},
        Mistake{"class_header", "[class.\"a b\"]\nweight = 1",
                "t.toml:1:8: key 'class.\"a b\"': the class's name must be 1 to 128 letters, digits and any "
                "of _ - . : @"},
        Mistake{
            "twice",
            "[[task]]\nmatch.unit = \"a.service\"\nname = \"x\"\n[[task]]\nmatch.unit = \"b.service\"\nname "
            "= \"x\"",
            "t.toml:6:8: key 'task[1].name': found \"x\", must differ from the name of the task at t.toml:1"},
        Mistake{
            "no_class", "[[task]]\nmatch.unit = \"a.service\"\nclass = \"strem\"",
            "t.toml:3:9: key 'task[0].class': found \"strem\", but no class is defined; add [class.strem]"},
        Mistake{"unknown_class",
                "[class.stream]\n[class.batch]\n[[task]]\nmatch.unit = \"a.service\"\nclass = \"strem\"",
                "t.toml:5:9: key 'task[0].class': found \"strem\", must be \"batch\" or \"stream\"; or add "
                "[class.strem]"}),
    name_of);

INSTANTIATE_TEST_SUITE_P(
    AcrossKeys, One,
    testing::Values(
        Mistake{
            "tick_discovery", "[node]\ndiscovery = \"1s\"\ntick = \"2s\"",
            "t.toml:3:8: key 'node.tick': found 2s, must be at most node.discovery, which is 1s (t.toml:2)"},
        Mistake{"tick_default", "[node]\ntick = \"2s\"",
                "t.toml:2:8: key 'node.tick': found 2s, must be at most node.discovery, which is 1s (the "
                "default)"},
        Mistake{"min_max", "[class.a.cpu]\nmin = 4\nmax = 2",
                "t.toml:3:7: key 'class.a.cpu.max': found 2 cores, must be at least cpu.min, which is 4 "
                "cores (t.toml:2)"},
        Mistake{"max_below_default_min", "[[task]]\nmatch.unit = \"a.service\"\ncpu.max = 0.02",
                "t.toml:3:11: key 'task[0].cpu.max': found 0.02 cores, must be at least cpu.min, which is "
                "0.05 cores (the "
                "default)"},
        Mistake{"initial_low", "[class.a.cpu]\ninitial = 1\nmin = 2",
                "t.toml:3:7: key 'class.a.cpu.min': found 2 cores, must be at most cpu.initial, which is 1 "
                "core (t.toml:2)"},
        Mistake{"initial_high", "[class.a.cpu]\nmax = 2\ninitial = 3",
                "t.toml:3:11: key 'class.a.cpu.initial': found 3 cores, must be at most cpu.max, which is 2 "
                "cores "
                "(t.toml:2)"},
        Mistake{"step", "[class.a.cpu]\nmax = 2\nstep = 4",
                "t.toml:3:8: key 'class.a.cpu.step': found 4 cores, must be at most cpu.max, which is 2 "
                "cores (t.toml:2)"},
        Mistake{"memory", "[class.a.memory]\nmin = \"2G\"\nmax = \"1G\"",
                "t.toml:3:7: key 'class.a.memory.max': found 1GiB, must be at least memory.min, which is "
                "2GiB (t.toml:2)"},
        Mistake{"task_against_class",
                "[class.a]\ncpu.min = 4\n[[task]]\nmatch.unit = \"a.service\"\nclass = \"a\"\ncpu.max = 2",
                "t.toml:6:11: key 'task[0].cpu.max': found 2 cores, must be at least cpu.min, which is 4 "
                "cores (t.toml:2)"},
        Mistake{"class_once",
                "[class.a]\ncpu.min = 4\ncpu.max = 2\n[[task]]\nmatch.unit = \"a.service\"\nclass = "
                "\"a\"\n[[task]]\n"
                "match.unit = \"b.service\"\nclass = \"a\"",
                "t.toml:3:11: key 'class.a.cpu.max': found 2 cores, must be at least cpu.min, which is 4 "
                "cores (t.toml:2)"},
        Mistake{"broken_key_is_not_checked_further", "[class.a.cpu]\nmin = \"4 cores\"\nmax = 0.02",
                "t.toml:2:7: key 'class.a.cpu.min': found \"4 cores\", must be a number of cores, such as "
                "0.5, \"500m\" or "
                "\"50%\""}),
    name_of);

TEST(Problems, AllComeAtOnceInTheOrderOfTheFile) {
  EXPECT_THAT(
      problems("[[task]]\n"
               "class = \"none\"\n"
               "cpu = {min = \"-1\", max = 99999, wat = 1}\n"
               "[node]\n"
               "tick = \"2s\"\n"
               "mode = 1\n"
               "[class.a]\n"
               "memory.min = \"2G\"\n"
               "memory.max = \"1G\"\n"
               "oops = 1\n"),
      ElementsAre(
          HasSubstr("t.toml:1:1: key 'task[0].match'"), HasSubstr("t.toml:2:9: key 'task[0].class'"),
          HasSubstr("t.toml:3:14: key 'task[0].cpu.min'"), HasSubstr("t.toml:3:26: key 'task[0].cpu.max'"),
          HasSubstr("t.toml:3:33: key 'task[0].cpu.wat'"), HasSubstr("t.toml:5:8: key 'node.tick'"),
          HasSubstr("t.toml:6:8: key 'node.mode'"), HasSubstr("t.toml:9:14: key 'class.a.memory.max'"),
          HasSubstr("t.toml:10:1: key 'class.a.oops'")));
}

TEST(Problems, OfTextsThatCouldHarmTheParser) {
  EXPECT_THAT(problems(std::string((1 << 20) + 1, '\n')),
              ElementsAre("t.toml: found 1048577 bytes, must be at most 1MiB"));
  std::string dots = "a";
  for (int i = 0; i < 100'000; ++i) dots += ".a";
  EXPECT_THAT(
      problems("\n" + dots + " = 1"),
      ElementsAre("t.toml:2:1: found more than 64 dots in the line, must be fewer; no key nests that deep"));
  EXPECT_THAT(problems("# " + dots), IsEmpty());
  for (const auto* text :
       {"[[[a]]]", "[[=", "[", "[[", "[[a]", "a.", "a = [1979-05-2", "a = é", "é = 1", "§"}) {
    EXPECT_THAT(problems(text), ElementsAre(HasSubstr(": not valid TOML: "))) << text;
  }
  EXPECT_THAT(problems("a = " + std::string(10'000, '[')),
              ElementsAre(HasSubstr(
                  "t.toml:1:21: not valid TOML: Error while parsing value: exceeded maximum nested")));
}

TEST(Problems, DescribedWithoutAPlaceOrKey) {
  EXPECT_EQ(describe({"f", 0, 0, "", "bad"}), "f: bad");
  EXPECT_EQ(describe({"f", 3, 4, "", "bad"}), "f:3:4: bad");
  EXPECT_EQ(describe({"f", 3, 4, "a.b", "bad"}), "f:3:4: key 'a.b': bad");
}

TEST(Problems, QuoteLongTextsShortened) {
  const std::string name(59, 'x');
  EXPECT_THAT(problems("[node]\nmode = \"" + name + "äöü\""),
              ElementsAre("t.toml:2:8: key 'node.mode': found \"" + name +
                          "…\", must be \"enforce\", \"dry-run\" or \"observe\""));
}

}  // namespace
}  // namespace sluice::config::test
