// The shipped file changes nothing, and its keys and defaults are correct.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <sstream>

#include "tests/unit/config/good.hpp"

namespace sluice::config::test {
namespace {

using testing::IsEmpty;

std::string shipped() {
  std::ifstream file(SLUICE_SOURCE_DIR "/config/sluice.toml");
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Shipped, IsValidAndHarmless) {
  ASSERT_FALSE(shipped().empty()) << "not found below " SLUICE_SOURCE_DIR;
  const auto config = good(shipped());
  Node expected{};
  expected.mode = Mode::dry_run;
  expect_equal(config.node, expected);
  EXPECT_THAT(config.tasks, IsEmpty());
}

// A line that starts with '#' and no space is a key with its default. Setting all of them must change
// nothing.
TEST(Shipped, DocumentsTheDefaults) {
  std::istringstream lines(shipped());
  std::string text;
  for (std::string line; std::getline(lines, line);) {
    const bool key = line.size() > 1 && line[0] == '#' && line[1] != ' ';
    text += (key ? line.substr(1) : line) + "\n";
  }
  const auto config = good(text);
  Node node{};
  node.mode = Mode::dry_run;
  expect_equal(config.node, node);
  ASSERT_EQ(config.tasks.size(), 1U);
  TaskPolicy policy{};  // except for keys without a default
  policy.cpu.max_cores = 8;
  policy.cpu.initial_cores = 1;
  policy.cpu.burst_ratio = 1;
  policy.memory.max_bytes = 4ULL << 30;
  expect_equal(config.tasks[0].policy, policy);
}

// The shipped file explains every key that the parser lists for an unknown key.
TEST(Shipped, DocumentsEveryKey) {
  const auto text = shipped();
  for (const auto* table : {"[node]", "[class.a]", "[class.a.cpu]", "[class.a.memory]",
                            "[class.a.cpu.scale_up]", "[[class.a.schedule]]", "[class.a.forecast]",
                            "[[class.a.cpu.scale_up.policies]]", "[[task]]\nmatch"}) {
    const auto answers =
        problems(std::string(table) +
                 (std::string_view(table).ends_with("match") ? ".zzzzzzzz = 1" : "\nzzzzzzzz = 1"));
    ASSERT_FALSE(answers.empty());
    std::size_t keys = 0;
    const auto& answer = answers.back();
    for (auto open = answer.find('\'', answer.find("known are")); open != std::string::npos; ++keys) {
      const auto close = answer.find('\'', open + 1);
      const auto key = answer.substr(open + 1, close - open - 1);
      const bool is_table = key == "cpu" || key == "memory" || key == "schedule" || key == "forecast";
      EXPECT_NE(text.find(is_table ? "." + key + "]" : key + " = "), std::string::npos)
          << key << " in " << table;
      open = answer.find('\'', close + 1);
    }
    EXPECT_GE(keys, 2U) << answer;
  }
}

}  // namespace
}  // namespace sluice::config::test
