// Sizes that the node cannot provide: warnings with a cure.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/config/parse.hpp"

namespace sluice::config::test {
namespace {

constexpr std::uint64_t kGiB = 1ULL << 30;

std::vector<std::string> warnings(const std::string& text) {
  std::vector<std::string> out;
  for (const auto& p : check_sizes(parse_text(text).value(), 8, 16 * kGiB)) out.push_back(describe(p));
  return out;
}

TEST(Sizes, ThatTheNodeHasAreFine) {
  EXPECT_TRUE(
      warnings("node.cpu_reserve = 1\n[[task]]\nmatch.unit = 'a.service'\ncpu.max = 8\ncpu.min = '200%'\n"
               "memory.max = '16GiB'\n")
          .empty());
}

TEST(Sizes, ThatLookLikeAPercentageNameIt) {
  EXPECT_THAT(warnings("[[task]]\nmatch.unit = 'a.service'\ncpu.max = 200\n"),
              testing::ElementsAre(
                  "t.toml:3:11: key 'task[0].cpu.max': found 200 cores, which this node has not: it has 8 "
                  "cores; if percent of a CPU are meant, write \"200%\", which is 2 cores"));
}

TEST(Sizes, BeyondTheNodeAreToldWithTheirPlace) {
  EXPECT_THAT(
      warnings("[class.x]\nmemory.max = '64GiB'\n[[task]]\nmatch.unit = 'a.service'\nclass = 'x'\n"
               "[[task.schedule]]\ncalendar = 'daily'\nfor = '1h'\nmin = 9\n"),
      testing::ElementsAre(testing::StartsWith("t.toml:2:14: key 'class.x.memory.max': found 64GiB, which"),
                           testing::StartsWith("t.toml:9:7: key 'task[0].schedule[0].min': found 9 cores")));
}

TEST(Sizes, AReserveOfEverythingLeavesNothing) {
  EXPECT_THAT(warnings("node.cpu_reserve = 8\n"),
              testing::ElementsAre(testing::HasSubstr("nothing is left to give")));
  EXPECT_THAT(warnings("node.memory_reserve = '16GiB'\n"),
              testing::ElementsAre(testing::HasSubstr("nothing is left to give")));
}

}  // namespace
}  // namespace sluice::config::test
