// The message for each mistake in a rate policy.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/config/mistakes.hpp"

namespace sluice::config::test {
namespace {

using testing::ElementsAre;

class OneOfScaling : public testing::TestWithParam<Mistake> {};

TEST_P(OneOfScaling, IsAnsweredExactly) {
  EXPECT_THAT(problems(GetParam().text), ElementsAre(GetParam().answer));
}

INSTANTIATE_TEST_SUITE_P(
    Scaling, OneOfScaling,
    testing::Values(
        Mistake{"no_table", "[class.a.cpu]\nscale_up = 3",
                "t.toml:2:12: key 'class.a.cpu.scale_up': found 3, must be a table: write "
                "[class.a.cpu.scale_up]"},
        Mistake{"unknown", "[class.a.cpu]\nscale_up = {policy = []}",
                "t.toml:2:13: key 'class.a.cpu.scale_up.policy': unknown; did you mean 'policies'?"},
        Mistake{"no_list", "[class.a.cpu]\nscale_up.policies = \"fast\"",
                "t.toml:2:21: key 'class.a.cpu.scale_up.policies': found \"fast\", must be an array of "
                "tables: [{type = \"percent\", value = 100, period = \"15s\"}]"},
        Mistake{"no_policy", "[class.a.cpu]\nscale_up.policies = [7]",
                "t.toml:2:22: key 'class.a.cpu.scale_up.policies[0]': found 7, must be a table: {type = "
                "\"percent\", value = 100, period = \"15s\"}"},
        Mistake{"many", "[class.a.cpu]\nscale_up.policies = [{},{},{},{},{},{},{},{},{}]",
                "t.toml:2:21: key 'class.a.cpu.scale_up.policies': found 9 policies, must be at most 8"},
        Mistake{"type", "[class.a.cpu.scale_up]\npolicies = [{type = \"bytes\", value = 1, period = \"1s\"}]",
                "t.toml:2:21: key 'class.a.cpu.scale_up.policies[0].type': found \"bytes\", must be "
                "\"percent\" or \"cores\""},
        Mistake{
            "value",
            "[class.a.memory]\nscale_up.policies = [{period = \"1s\", value = 0.5, type = \"bytes\"}]",
            "t.toml:2:46: key 'class.a.memory.scale_up.policies[0].value': found 0.5, must be bytes, such "
            "as \"512MiB\", \"1G\" (of 1024) or 536870912"},
        Mistake{
            "percent",
            "[class.a.cpu.scale_down]\npolicies = [{type = \"percent\", value = 101, period = \"1s\"}]",
            "t.toml:2:40: key 'class.a.cpu.scale_down.policies[0].value': found 101, must be at most 100"},
        Mistake{"period",
                "[class.a.cpu.scale_down]\npolicies = [{type = \"cores\", value = 1, period = \"1h\"}]",
                "t.toml:2:50: key 'class.a.cpu.scale_down.policies[0].period': found \"1h\", must be at most "
                "30m"},
        Mistake{"missing", "[[class.a.cpu.scale_down.policies]]\ntype = \"percent\"\nvalue = 10",
                "t.toml:1:1: key 'class.a.cpu.scale_down.policies[0].period': missing; add period = \"15s\""},
        Mistake{"select", "[class.a.cpu]\nscale_down.select_policy = \"Max\"",
                "t.toml:2:28: key 'class.a.cpu.scale_down.select_policy': found \"Max\", must be \"max\", "
                "\"min\" or \"disabled\""},
        Mistake{"stabilization", "[class.a.cpu]\nscale_down.stabilization = \"2h\"",
                "t.toml:2:28: key 'class.a.cpu.scale_down.stabilization': found \"2h\", must be at most 1h"}),
    name_of);

TEST(ScalingProblems, OfAPolicyComeAllAtOnce) {
  EXPECT_THAT(
      problems("[class.a.cpu]\nscale_up.policies = [{}, {type = 1, value = 9, preiod = \"1s\"}]"),
      ElementsAre("t.toml:2:22: key 'class.a.cpu.scale_up.policies[0].type': missing; add type = "
                  "\"percent\" or \"cores\"",
                  "t.toml:2:22: key 'class.a.cpu.scale_up.policies[0].value': missing; add value = 100",
                  "t.toml:2:22: key 'class.a.cpu.scale_up.policies[0].period': missing; add period = "
                  "\"15s\"",
                  "t.toml:2:26: key 'class.a.cpu.scale_up.policies[1].period': missing; add period = "
                  "\"15s\"",
                  "t.toml:2:34: key 'class.a.cpu.scale_up.policies[1].type': found 1, must be "
                  "\"percent\" or \"cores\"",
                  "t.toml:2:48: key 'class.a.cpu.scale_up.policies[1].preiod': unknown; did you mean "
                  "'period'?"));
}

}  // namespace
}  // namespace sluice::config::test
