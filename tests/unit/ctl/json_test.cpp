#include "daemon/ctl/json.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace sluice::ctl {
namespace {

TEST(Json, KeepsTypesAndNamesAndNullsWhatIsInfiniteOrNotKnown) {
  const Dictionary task{{"Name", {std::string("a\"b")}},
                        {"Saturated", {true}},
                        {"WritesTotal", {std::uint64_t{17}}},
                        {"MemoryHigh", {kInfinity}},
                        {"Lag", {std::numeric_limits<double>::quiet_NaN()}},
                        {"ThrottledRatio", {0.25}},
                        {"Last", {List{{std::string("x")}, {std::uint64_t{1}}}}},
                        {"CauseInputs", {Dictionary{}}}};
  EXPECT_EQ(json({task}), R"({
  "CauseInputs": {},
  "Lag": null,
  "Last": [
    "x",
    1
  ],
  "MemoryHigh": null,
  "Name": "a\"b",
  "Saturated": true,
  "ThrottledRatio": 0.25,
  "WritesTotal": 17
})");
  EXPECT_EQ(json({List{}}), "[]");
  EXPECT_EQ(json({kInfinity - 1}), "18446744073709551614");
}

TEST(Json, IsPlainAsciiWhateverTheTextHolds) {
  EXPECT_EQ(json({std::string("\x1b\xc2\x9b\xc3\xb6\xff")}), "\"\\u001b\\u009b\\u00f6\\ufffd\"");
}

}  // namespace
}  // namespace sluice::ctl
