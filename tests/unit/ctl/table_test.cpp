#include "daemon/ctl/table.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

namespace sluice::ctl {
namespace {

TEST(Table, ColumnsLineUpAndLinesEndWithTheirText) {
  EXPECT_EQ(table({{"TASK"}, {"CORES", true}, {"WHY"}}, {{"a", "1.25", "x"}, {"longer", "10.00", ""}}),
            "TASK    CORES  WHY\n"
            "a        1.25  x\n"
            "longer  10.00\n");
  EXPECT_EQ(table({{"TASK"}}, {}), "TASK\n");
}

TEST(Printable, LeavesTextAndEscapesWhatATerminalObeys) {
  EXPECT_EQ(printable("a\nsch\xc3\xb6n \xe6\x97\xa5 \xf0\x9f\x98\x80 \\x1b"),
            "a\nsch\xc3\xb6n \xe6\x97\xa5 \xf0\x9f\x98\x80 \\x1b");
  EXPECT_EQ(printable("\x1b[31m\r\t\x7f"), "\\x1b[31m\\x0d\\x09\\x7f");
  EXPECT_EQ(printable(std::string_view("\0", 1)), "\\x00");
  EXPECT_EQ(printable("\xc2\x9b"
                      "31m"),
            "\\xc2\\x9b31m")
      << "U+009B begins a sequence as ESC [ does";
  EXPECT_EQ(printable("\xff\xc3("), "\\xff\\xc3(");
  EXPECT_EQ(printable("\xc0\xaf\xf5\x80"), "\\xc0\\xaf\\xf5\\x80") << "overlong, and beyond Unicode";
  EXPECT_EQ(printable("\xe6\x97"), "\\xe6\\x97") << "cut off";
}

RC_GTEST_PROP(Printable, NeverGivesAControlCharacter, (const std::string& text)) {
  const std::string shown = printable(text);
  for (const char c : shown) {
    const auto byte = static_cast<unsigned char>(c);
    RC_ASSERT((byte >= 0x20 && byte != 0x7f) || c == '\n');
  }
  RC_ASSERT(shown.find("\xc2\x9b") == std::string::npos);
  RC_ASSERT(printable(shown) == shown);
}

}  // namespace
}  // namespace sluice::ctl
