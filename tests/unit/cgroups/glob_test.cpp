#include "cgroups/glob.hpp"

#include <fnmatch.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>

namespace sluice::cgroups {
namespace {

TEST(GlobMatch, StarStopsAtASlash) {
  EXPECT_TRUE(glob_match("/nomad.slice/*/*", "/nomad.slice/share.slice/a.scope"));
  EXPECT_FALSE(glob_match("/nomad.slice/*/*", "/nomad.slice/a.scope"));
  EXPECT_FALSE(glob_match("/nomad.slice/*", "/nomad.slice/share.slice/a.scope"));
  EXPECT_FALSE(glob_match("/a?b", "/a/b"));
  EXPECT_FALSE(glob_match("/a", "/a/b"));
}

TEST(GlobMatch, KnowsBrackets) {
  EXPECT_TRUE(glob_match("tm-[0-9]", "tm-7"));
  EXPECT_FALSE(glob_match("tm-[!0-9]", "tm-7"));
  EXPECT_TRUE(glob_match("tm-[^0-9]", "tm-x"));
  EXPECT_TRUE(glob_match("[]a]", "]"));
  EXPECT_TRUE(glob_match("[[:alpha:]_]x", "_x"));
  EXPECT_FALSE(glob_match("[[:digit:]]", "x"));
  EXPECT_TRUE(glob_match("[a", "[a")) << "never closed: it stands for itself";
  EXPECT_TRUE(glob_match("[a-]", "-"));
}

TEST(GlobMatch, HostileNamesAreOnlyBytes) {
  EXPECT_TRUE(glob_match("\\*", "*"));
  EXPECT_FALSE(glob_match("\\*", "x"));
  EXPECT_FALSE(glob_match("a.service", "*")) << "a name is never a pattern";
  EXPECT_TRUE(glob_match("*.service", "\xff\xfe\x1b[2J.service"));
  EXPECT_TRUE(glob_match("?", "\xff"));
  EXPECT_TRUE(glob_match("[\x80-\xff]", "\xc3")) << "bytes are unsigned";
}

TEST(GlobMatch, IsNotExponential) {
  // About 10^17 steps for a matcher that tries every position for every star.
  const std::string name(255, 'a');
  EXPECT_FALSE(glob_match("*a*a*a*a*a*a*a*a*a*b", name));
}

TEST(UnitMatch, LooksAtTheLastComponentOnly) {
  EXPECT_TRUE(unit_match("flink@*.service", "/system.slice/flink@1.service"));
  EXPECT_FALSE(unit_match("flink@*.service", "/system.slice/flink@1.service/init.scope"));
  EXPECT_TRUE(unit_match("flink@*.service", "/a/b/c/flink@1.service"));
}

TEST(UnitMatch, SeesThroughSystemdsUnderscore) {
  EXPECT_TRUE(unit_match("cpu.heavy.service", "/system.slice/_cpu.heavy.service"));
  EXPECT_TRUE(unit_match("_hidden.service", "/system.slice/__hidden.service"));
  EXPECT_TRUE(unit_match("_cpu.heavy.service", "/system.slice/_cpu.heavy.service"));
  EXPECT_FALSE(unit_match("hidden.service", "/system.slice/__hidden.service"));
}

// Patterns and names of few characters, so that they often match.
rc::Gen<std::string> over(const std::string& alphabet) {
  return rc::gen::scale(0.3, rc::gen::container<std::string>(rc::gen::elementOf(alphabet)));
}

RC_GTEST_PROP(GlobMatch, AgreesWithFnmatch, ()) {
  const auto pattern = *over("aab*?/\\");
  const auto name = *over("aaab/*\\");
  RC_PRE(pattern.empty() || pattern.back() != '\\');  // fnmatch never matches these
  RC_PRE(pattern.find("\\/") == std::string::npos);
  const bool expected = ::fnmatch(pattern.c_str(), name.c_str(), FNM_PATHNAME) == 0;
  RC_CLASSIFY(expected, "matches");
  RC_ASSERT(glob_match(pattern, name) == expected);
}

RC_GTEST_PROP(GlobMatch, AgreesWithFnmatchOnBrackets, ()) {
  const auto inside = *over("abcd-!^]");
  const auto around = rc::gen::element<std::string>("", "*", "a", "?");
  const auto pattern = *around + "[" + inside + "]" + *around;
  const auto name = *rc::gen::mapcat(rc::gen::inRange(1, 4), [](int size) {
    return rc::gen::container<std::string>(size, rc::gen::elementOf(std::string("abcd-]!^")));
  });
  RC_PRE(inside.find("d-a") == std::string::npos);
  const bool expected = ::fnmatch(pattern.c_str(), name.c_str(), FNM_PATHNAME) == 0;
  RC_CLASSIFY(expected, "matches");
  RC_ASSERT(glob_match(pattern, name) == expected);
}

}  // namespace
}  // namespace sluice::cgroups
