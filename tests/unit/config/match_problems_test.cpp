// Patterns that can match nothing are refused when the configuration is loaded.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/config/parse.hpp"

namespace sluice::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> problems_of(const std::string& match) {
  return test::problems("[[task]]\n" + match);
}

TEST(MatchProblems, WhatCanMatchNoUnitIsRefused) {
  EXPECT_THAT(problems_of("match.unit = 'a.service b.service'"),
              ElementsAre(HasSubstr("one unit, without blanks")));
  EXPECT_THAT(problems_of("match.unit = 'a.service,b.service'"),
              ElementsAre(HasSubstr("one unit, without blanks")));
  EXPECT_THAT(problems_of("match.unit = '{a,b}*.service'"), ElementsAre(HasSubstr("braces")));
  EXPECT_THAT(problems_of("match.unit = 'worker@.service'"), ElementsAre(HasSubstr("NAME@*.service")));
}

TEST(MatchProblems, WhatCanMatchNoPathIsRefused) {
  EXPECT_THAT(problems_of("match.cgroup = '/sys/fs/cgroup/system.slice/*'"),
              ElementsAre(HasSubstr("leave out /sys/fs/cgroup")));
  EXPECT_THAT(problems_of("match.cgroup = '/a/*,/b/*'"), ElementsAre(HasSubstr("one path")));
  EXPECT_THAT(problems_of("match.cgroup = '/a/* /b/*'"), ElementsAre(HasSubstr("one path")));
  EXPECT_THAT(problems_of("match.cgroup = '/{a,b}/*'"), ElementsAre(HasSubstr("braces")));
}

TEST(MatchProblems, WhatLooksOddAndCanMatchIsTaken) {
  for (const char* match :
       {"match.unit = 'worker@*.service'", "match.unit = 'worker@1.service'", "match.cgroup = '/a b/c,d'",
        "match.cgroup = '/sys/*'", "match.cgroup = '/a{b'"}) {
    EXPECT_THAT(problems_of(match), ElementsAre()) << match;
  }
}

}  // namespace
}  // namespace sluice::config
