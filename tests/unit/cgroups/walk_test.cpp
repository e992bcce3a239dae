#include "cgroups/walk.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <thread>

#include "tests/unit/cgroups/plain_tree.hpp"

namespace sluice::cgroups {
namespace {

using test::PlainTree;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

std::vector<std::string> paths(const Walk& walk) {
  std::vector<std::string> names;
  for (const auto& found : walk.cgroups) names.push_back(found.path);
  return names;
}

TEST(Walk, FindsEveryDirectoryParentsFirst) {
  const PlainTree tree;
  tree.make_cgroup("b/y");
  tree.make_cgroup("a");
  tree.make_cgroup("b/x/deep");
  tree.put("cgroup.procs", "");
  const auto found = walk(tree.root());
  ASSERT_TRUE(found.has_value()) << describe(found.error());
  EXPECT_THAT(paths(*found), ElementsAre("/a", "/b", "/b/x", "/b/x/deep", "/b/y"));
  EXPECT_THAT(found->problems, IsEmpty());
  struct stat status = {};
  ASSERT_EQ(::stat((tree / "b/x").c_str(), &status), 0);
  EXPECT_EQ(found->cgroups[2].id.value, status.st_ino);
}

TEST(Walk, IgnoresLinksAndKeepsHostileNamesWhole) {
  const PlainTree tree;
  const std::string hostile = "\x1b*\xff [";
  tree.make_dir(hostile);
  tree.make_dir(std::string(255, 'z'));
  std::filesystem::create_directory_symlink("/", tree / "link");
  EXPECT_THAT(paths(*walk(tree.root())), ElementsAre("/" + hostile, "/" + std::string(255, 'z')));
}

TEST(Walk, GoesDeeperThanAPathMayBeLong) {
  const PlainTree tree;
  std::error_code ignored;
  auto at = std::filesystem::current_path();
  std::filesystem::current_path(tree.path());
  constexpr int kDepth = 40;
  for (int i = 0; i < kDepth; ++i) {  // 40 x 251 bytes
    const std::string name(250, 'd');
    std::filesystem::create_directory(name);
    std::filesystem::current_path(name);
  }
  std::filesystem::current_path(at);
  const auto found = walk(tree.root());
  ASSERT_TRUE(found.has_value());
  EXPECT_THAT(found->cgroups, SizeIs(kDepth));
  EXPECT_THAT(found->problems, IsEmpty());
}

TEST(Walk, ReportsItsLimits) {
  const PlainTree tree;
  tree.make_dir("a/b/c/d");
  tree.make_dir("e");
  const auto shallow = walk(tree.root(), {.depth = 2, .cgroups = 100});
  EXPECT_THAT(paths(*shallow), ElementsAre("/a", "/a/b", "/e"));
  ASSERT_THAT(shallow->problems, SizeIs(1));
  EXPECT_EQ(shallow->problems[0].path, tree / "a/b");

  const auto few = walk(tree.root(), {.depth = 100, .cgroups = 3});
  EXPECT_THAT(paths(*few), ElementsAre("/a", "/a/b", "/a/b/c"));
  ASSERT_THAT(few->problems, SizeIs(1));
  EXPECT_EQ(few->problems[0].errno_value, E2BIG);
}

TEST(Walk, SurvivesATreeThatChangesUnderIt) {
  const PlainTree tree;
  for (int i = 0; i < 30; ++i) tree.make_dir("stays/" + std::to_string(i));
  std::atomic<bool> stop = false;
  std::jthread churn([&] {
    while (!stop) {
      for (int i = 0; i < 10; ++i) tree.make_dir("comes/" + std::to_string(i) + "/goes");
      tree.remove("comes");
    }
  });
  for (int i = 0; i < 50; ++i) {
    const auto found = walk(tree.root());
    ASSERT_TRUE(found.has_value());
    EXPECT_THAT(found->problems, IsEmpty());
    const auto names = paths(*found);
    EXPECT_EQ(
        std::count_if(names.begin(), names.end(), [](const auto& n) { return n.starts_with("/stays/"); }),
        30);
  }
  stop = true;
}

}  // namespace
}  // namespace sluice::cgroups
