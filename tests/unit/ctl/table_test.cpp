#include "daemon/ctl/table.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <sstream>

namespace sluice::ctl {
namespace {

TEST(Table, ColumnsLineUpAndLinesEndWithTheirText) {
  EXPECT_EQ(table({{"TASK"}, {"CORES", true}, {"WHY"}}, {{"a", "1.25", "x"}, {"longer", "10.00", ""}}),
            "TASK    CORES  WHY\n"
            "a        1.25  x\n"
            "longer  10.00\n");
  EXPECT_EQ(table({{"TASK"}}, {}), "TASK\n");
}

constexpr const char* kLong = "flink-taskmanager@orders-17.service";
const std::vector<Column> kColumns{{"TASK"}, {"CAUSE", false, 1}, {"CORES", true}, {"BOUNDS", true, 2}};
const std::vector<std::vector<std::string>> kRows{{kLong, "idle", "1.25", "0.10..4.00"},
                                                  {"b", "starved-by-quota", "0.10", "0..4"}};

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) out.push_back(line);
  return out;
}

std::size_t characters(const std::string& line) {
  return static_cast<std::size_t>(std::count_if(
      line.begin(), line.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

TEST(Table, WithRoomEnoughNothingIsLeftOut) {
  const auto whole = table(kColumns, kRows);
  EXPECT_EQ(table(kColumns, kRows, 200), whole);
  EXPECT_EQ(table(kColumns, kRows, characters(lines(whole)[1])), whole) << "to the last column";
}

TEST(Table, ANarrowTerminalGetsTheColumnsThatMatterAndIsToldOfTheRest) {
  const auto narrow = lines(table(kColumns, kRows, 44));
  ASSERT_EQ(narrow.size(), 4U);
  EXPECT_EQ(narrow[0], "TASK                 CAUSE             CORES");
  EXPECT_EQ(narrow[1], "flink-tas…7.service  idle               1.25") << "both ends tell tasks apart";
  EXPECT_EQ(narrow[2], "b                    starved-by-quota   0.10");
  EXPECT_EQ(narrow[3], "(left out: BOUNDS; a wider terminal, or a pipe, shows all)");
}

RC_GTEST_PROP(Table, RowsFitAnyTerminalThatIsNotAbsurd, ()) {
  const auto width = *rc::gen::inRange<std::size_t>(19, 200);  // the shortest TASK, and CORES
  const auto shown = lines(table(kColumns, kRows, width));
  for (std::size_t i = 0; i <= kRows.size(); ++i) RC_ASSERT(characters(shown[i]) <= width);
}

TEST(Table, CutsNamesBetweenCharacters) {
  const auto shown = lines(table({{"TASK"}}, {{"sch\xc3\xb6n-sch\xc3\xb6n-sch\xc3\xb6n"}}, 12));
  EXPECT_EQ(shown[1], "sch\xc3\xb6n-…sch\xc3\xb6n");
  EXPECT_EQ(shown[2], "(names are cut: a wider terminal, or a pipe, shows them whole)");
}

}  // namespace
}  // namespace sluice::ctl
