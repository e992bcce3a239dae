// The exact message for each mistake in a forecast.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/config/parse.hpp"

namespace sluice::config::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(ForecastProblems, EachIsAnsweredWithItsPlaceAndItsCure) {
  const std::string head = "[class.a.forecast]\n";
  EXPECT_THAT(problems(head + "mode = true"),
              ElementsAre("t.toml:2:8: key 'class.a.forecast.mode': found true, must be \"off\", "
                          "\"forecast-only\" or \"on\""));
  EXPECT_THAT(problems(head + "season = 86400"),
              ElementsAre("t.toml:2:10: key 'class.a.forecast.season': found 86400, must be a duration with "
                          "its unit, such as \"100ms\" or \"1h30m\""));
  EXPECT_THAT(problems(head + "season = \"9m\""),
              ElementsAre("t.toml:2:10: key 'class.a.forecast.season': found \"9m\", must be at least 10m"));
  EXPECT_THAT(problems("[[task]]\nmatch.unit = \"a.service\"\nforecast.season = \"8d\""),
              ElementsAre("t.toml:3:19: key 'task[0].forecast.season': found \"8d\", must be at most 7d"));
  EXPECT_THAT(problems(head + "sesaon = \"1d\""),
              ElementsAre("t.toml:2:1: key 'class.a.forecast.sesaon': unknown; did you mean 'season'?"));
  EXPECT_THAT(problems("class.a.forecast = \"on\""),
              ElementsAre("t.toml:1:20: key 'class.a.forecast': found \"on\", must be a table: write "
                          "[class.a.forecast]"));
  EXPECT_THAT(problems(head + "mode = \"on\"\nseason = \"1w\""), IsEmpty());
}

}  // namespace
}  // namespace sluice::config::test
