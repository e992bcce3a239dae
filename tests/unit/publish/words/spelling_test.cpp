#include "daemon/publish/words/spelling.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

namespace sluice::publish {
namespace {

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

TEST(Printable, ALineHasNoLineFeed) {
  EXPECT_EQ(printable_line("gr\xc3\xbc\xc3\x9f\x65 \\ and\nmore"), "gr\xc3\xbc\xc3\x9f\x65 \\ and\\x0amore");
}

// Strings that sd-bus refuses: a reply that contains one is never sent.
TEST(Printable, GivesNothingThatDBusRefuses) {
  for (const std::string refused : {"\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80",
                                    "\xef\xbf\xbf", "\xef\xb7\x90"}) {
    EXPECT_FALSE(is_text(refused));
    EXPECT_EQ(printable(refused).find(refused), std::string::npos) << printable(refused);
  }
  EXPECT_TRUE(is_text("sch\xc3\xb6n \xe6\x97\xa5 \xf0\x9f\x98\x80\x1b"));
  EXPECT_FALSE(is_text(std::string_view("a\0b", 3)));
}

RC_GTEST_PROP(Printable, IsTextWhateverTheBytes, (const std::string& bytes)) {
  RC_ASSERT(is_text(printable(bytes)));
  RC_ASSERT(printable_line(bytes).find('\n') == std::string::npos);
}

TEST(Shortened, CutsLongTextBetweenCharacters) {
  EXPECT_EQ(shortened("short"), "short");
  EXPECT_EQ(shortened(std::string(100, 'x')), std::string(100, 'x'));
  EXPECT_EQ(shortened(std::string(15 << 20, 'x')), std::string(100, 'x') + "…");
  EXPECT_EQ(shortened("aaa\xc3\xb6", 4), "aaa…");
  EXPECT_EQ(shortened("\x80\x80\x80\x80\x80\x80\x80\x80", 6), "\x80\x80…") << "no text at all is cut as well";
}

RC_GTEST_PROP(Shortened, TextStaysText, (const std::string& bytes)) {
  const auto text = printable(bytes);
  const auto most = *rc::gen::inRange<std::size_t>(0, 20);
  RC_ASSERT(is_text(shortened(text, most)));
  RC_ASSERT(shortened(text, most).size() <= most + std::string("…").size());
}

}  // namespace
}  // namespace sluice::publish
