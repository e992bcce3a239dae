#include "daemon/actuate/single_instance.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "tests/unit/cgroups/plain_tree.hpp"

namespace sluice::actuate {
namespace {

using test::PlainTree;
using testing::HasSubstr;

TEST(SingleInstance, TheSecondIsToldWhoTheFirstIs) {
  const PlainTree tree;
  const auto dir = tree / "run";
  std::optional first = SingleInstance::acquire(dir);
  ASSERT_TRUE(first->has_value()) << cgroups::describe(first->error());
  const auto second = SingleInstance::acquire(dir);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().errno_value, EWOULDBLOCK);
  EXPECT_THAT(cgroups::describe(second.error()), HasSubstr("pid " + std::to_string(::getpid())));
  first.reset();
  EXPECT_TRUE(SingleInstance::acquire(dir).has_value()) << "the lock ends with its holder";
}

TEST(SingleInstance, AnOldPidInTheFileDoesNotMatter) {
  const PlainTree tree;
  tree.put("run/lock", "4194304000 what is this");
  EXPECT_TRUE(SingleInstance::acquire(tree / "run").has_value());
  EXPECT_EQ(tree.get("run/lock"), std::to_string(::getpid()) + "\n");
}

TEST(SingleInstance, NeedsADirectory) {
  const PlainTree tree;
  tree.put("file", "");
  EXPECT_EQ(SingleInstance::acquire(tree / "file").error().errno_value, ENOTDIR);
}

}  // namespace
}  // namespace sluice::actuate
