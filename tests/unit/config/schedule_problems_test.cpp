// The exact message for each mistake in a schedule.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/config/parse.hpp"

namespace sluice::config::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::StartsWith;

const std::string kHead = "[[class.a.schedule]]\n";

TEST(ScheduleProblems, WhatIsMissingIsNamedWithItsCure) {
  EXPECT_THAT(
      problems(kHead),
      ElementsAre(
          "t.toml:1:1: key 'class.a.schedule[0].calendar': missing; add calendar = \"Mon..Fri 08:55\"",
          "t.toml:1:1: key 'class.a.schedule[0].for': missing; add for = \"2h\"",
          "t.toml:1:1: key 'class.a.schedule[0].min': missing; add min = 2, or max = 2: cores of the "
          "quota meanwhile"));
}

TEST(ScheduleProblems, ACalendarIsAnsweredWithItsFormOrThePartThatIsWrong) {
  const auto answer = [](const std::string& calendar) {
    return problems(kHead + "for = \"1h\"\nmin = 1\ncalendar = " + calendar);
  };
  const std::string at = "t.toml:4:12: key 'class.a.schedule[0].calendar': found ";
  EXPECT_THAT(answer("5"), ElementsAre(at + "5, must be a string in quotes, such as \"Mon..Fri 08:55\""));
  EXPECT_THAT(answer("\"half past two\""),
              ElementsAre(at + "\"half past two\", must have as its weekdays a list of Mon to Sun, as "
                               "\"Mon..Wed,Sat\"; a week begins with Mon, not \"half\""));
  EXPECT_THAT(answer("\"12\""),
              ElementsAre(StartsWith(at + "\"12\", must be \"[WEEKDAYS] [[YEAR-]MONTH-DAY]")));
  EXPECT_THAT(answer("\"25:00\""),
              ElementsAre(at + "\"25:00\", must have as its hour \"*\" or a list of 0..23, as "
                               "\"0\", \"0..23\" or \"0/2\", not \"25\""));
  EXPECT_THAT(
      answer("\"10:00 CET\""),
      ElementsAre(at + "\"10:00 CET\", must end with \"UTC\" or with no time zone, which is the host's own "
                       "(timedatectl), not \"CET\""));
  EXPECT_THAT(answer("\"10:00\""), IsEmpty());
}

TEST(ScheduleProblems, OfKindsAndRanges) {
  EXPECT_THAT(
      problems("class.a.schedule = \"daily\""),
      ElementsAre("t.toml:1:20: key 'class.a.schedule': found \"daily\", must be an array of tables: write "
                  "[[class.a.schedule]], in two brackets"));
  EXPECT_THAT(problems("[[task]]\nmatch.unit = \"a.service\"\nschedule = [\"daily\"]"),
              ElementsAre("t.toml:3:13: key 'task[0].schedule[0]': found \"daily\", must be a table: write "
                          "[[task.schedule]]"));
  EXPECT_THAT(problems(kHead + "calendar = \"daily\"\nfor = \"32d\"\nmin = 0\nmix = 1"),
              ElementsAre("t.toml:3:7: key 'class.a.schedule[0].for': found \"32d\", must be at most 31d",
                          "t.toml:4:7: key 'class.a.schedule[0].min': found 0, must be at least 0.01 cores",
                          "t.toml:5:1: key 'class.a.schedule[0].mix': unknown; did you mean 'min'?"));
  std::string many = "class.a.schedule = [";
  for (int i = 0; i < 65; ++i) many += "{calendar = \"daily\", for = \"1h\", min = 1},";
  EXPECT_THAT(problems(many + "]"),
              ElementsAre("t.toml:1:20: key 'class.a.schedule': found 65 entries, must be at most 64"));
}

TEST(ScheduleProblems, ItsBoundsAndTheTasksMustFitTogether) {
  const std::string entry = "calendar = \"daily\"\nfor = \"1h\"\n";
  EXPECT_THAT(
      problems(kHead + entry + "min = 3\nmax = 2"),
      ElementsAre("t.toml:5:7: key 'class.a.schedule[0].max': found 2 cores, must be at least its schedule's "
                  "min, which is 3 cores (t.toml:4)"));
  EXPECT_THAT(
      problems("[class.a]\ncpu.max = 2\n" + kHead + entry + "min = 3"),
      ElementsAre("t.toml:6:7: key 'class.a.schedule[0].min': found 3 cores, must be at most cpu.max, which "
                  "is 2 cores (t.toml:2)"));
  EXPECT_THAT(
      problems(kHead + entry + "max = 0.02"),
      ElementsAre("t.toml:4:7: key 'class.a.schedule[0].max': found 0.02 cores, must be at least cpu.min, "
                  "which is 0.05 cores (the default)"));
  // The class itself is valid; the task that inherits it is reported.
  EXPECT_THAT(
      problems(kHead + entry + "min = 3\n[[task]]\nmatch.unit = \"a.service\"\nclass = \"a\"\ncpu.max = 2"),
      ElementsAre("t.toml:8:11: key 'task[0].cpu.max': found 2 cores, must be at least its schedule's min, "
                  "which is 3 cores (t.toml:4)"));
  EXPECT_THAT(problems("[class.a]\ncpu.max = 2\n" + kHead + entry + "min = 3\nmax = 4"), IsEmpty())
      << "both replace the task's own";
}

}  // namespace
}  // namespace sluice::config::test
