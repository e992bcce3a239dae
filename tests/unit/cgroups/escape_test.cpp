#include "cgroups/escape.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

namespace sluice::cgroups {
namespace {

TEST(Escape, LeavesOrdinaryPathsAsTheyAre) {
  EXPECT_EQ(escape("/system.slice/a@1.service"), "/system.slice/a@1.service");
}

TEST(Escape, MakesEverythingElsePrintable) {
  EXPECT_EQ(escape("a b"), "a\\x20b");
  EXPECT_EQ(escape("\x1b[31m"), "\\x1b[31m");
  EXPECT_EQ(escape("\xff\xc3\xa9"), "\\xff\\xc3\\xa9");
  EXPECT_EQ(escape("\\x20"), "\\\\x20") << "systemd's own escapes stay distinct from ours";
  EXPECT_EQ(escape(std::string_view("\0", 1)), "\\x00");
}

TEST(Unescape, TakesOnlyWhatEscapeMakes) {
  for (const char* text :
       {"a b", "\\", "\\x", "\\x2", "\\xZZ", "\\x2G", "\\n", "tab\t", "\\x41", "\\x5c", "\\xFF"}) {
    EXPECT_EQ(unescape(text), std::nullopt) << text;
  }
  EXPECT_EQ(unescape("a\\x20\\\\b"), "a \\b");
  EXPECT_EQ(unescape(""), "");
}

RC_GTEST_PROP(Escape, RoundTripsAnyBytes, (const std::string& raw)) {
  const auto escaped = escape(raw);
  RC_ASSERT(std::all_of(escaped.begin(), escaped.end(), [](char c) { return c > ' ' && c <= '~'; }));
  RC_ASSERT(unescape(escaped) == raw);
}

RC_GTEST_PROP(Escape, OneNameHasOneForm, (const std::string& text)) {
  if (const auto raw = unescape(text)) RC_ASSERT(escape(*raw) == text);
}

}  // namespace
}  // namespace sluice::cgroups
