// Which files are used, and in which order. On real directories, because masking uses links and names.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "tests/unit/config/parse.hpp"

namespace sluice::config::test {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;

class Files : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "sluice-config-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
    search_.files = {root_ / "usr/sluice.toml", root_ / "etc/sluice.toml"};
    for (const auto* base : {"usr", "run", "etc"})
      search_.drop_in_directories.push_back(root_ / base / "sluice.toml.d");
  }
  void TearDown() override { fs::remove_all(root_); }

  fs::path write(const std::string& name, const std::string& text) {
    const auto path = root_ / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
    return path;
  }
  fs::path link(const std::string& name, const fs::path& target) {
    const auto path = root_ / name;
    fs::create_directories(path.parent_path());
    fs::create_symlink(target, path);
    return path;
  }
  // The weight of the one task that every file may set, or what is wrong.
  static std::string weight(int value) { return "[class.c]\nweight = " + std::to_string(value) + "\n"; }
  double loaded_weight() {
    write("usr/sluice.toml.d/00-task.toml",
          "[class.c]\n[[task]]\nmatch.unit = \"a.service\"\nclass = \"c\"\n");
    const auto result = load_default(search_);
    EXPECT_THAT(described(result), ElementsAre());
    return result ? result->tasks.at(0).policy.weight : -1;
  }

  fs::path root_;
  Search search_;
};

TEST_F(Files, NoneAtAllAreTheDefaults) {
  const auto result = load_default(search_);
  ASSERT_TRUE(result.has_value());
  EXPECT_TRUE(result->tasks.empty());
  EXPECT_EQ(result->node.mode, Mode::enforce);
}

TEST_F(Files, EtcWinsOverUsrAndDropInsOverBoth) {
  write("usr/sluice.toml", weight(1));
  EXPECT_EQ(loaded_weight(), 1);
  write("etc/sluice.toml", weight(2));
  EXPECT_EQ(loaded_weight(), 2);
  write("usr/sluice.toml.d/20.toml", weight(3));
  EXPECT_EQ(loaded_weight(), 3);
}

TEST_F(Files, DropInsGoByNameNotByDirectory) {
  write("etc/sluice.toml.d/10.toml", weight(1));
  write("usr/sluice.toml.d/30.toml", weight(3));
  write("run/sluice.toml.d/20.toml", weight(2));
  EXPECT_EQ(loaded_weight(), 3);
}

TEST_F(Files, ANameMasksTheSameNameInWeakerDirectories) {
  write("usr/sluice.toml.d/20.toml", weight(2));
  write("run/sluice.toml.d/20.toml", weight(3));
  EXPECT_EQ(loaded_weight(), 3);
  write("etc/sluice.toml.d/20.toml", weight(4));
  EXPECT_EQ(loaded_weight(), 4);
}

TEST_F(Files, AnEmptyFileOrALinkToDevNullMasks) {
  write("usr/sluice.toml", weight(1));
  write("usr/sluice.toml.d/20.toml", weight(2));
  write("usr/sluice.toml.d/30.toml", weight(3));
  link("etc/sluice.toml.d/30.toml", "/dev/null");
  EXPECT_EQ(loaded_weight(), 2);
  write("run/sluice.toml.d/20.toml", "");
  EXPECT_EQ(loaded_weight(), 1);
}

TEST_F(Files, OnlyTomlFilesCount) {
  write("usr/sluice.toml", weight(1));
  for (const auto* name : {"20.toml~", "20.toml.dpkg-old", "20", ".toml", "20.conf"}) {
    write(std::string("etc/sluice.toml.d/") + name, "broken");
  }
  EXPECT_EQ(loaded_weight(), 1);
}

TEST_F(Files, ALinkToAFileIsFollowed) {
  link("etc/sluice.toml.d/20.toml", write("elsewhere", weight(7)));
  EXPECT_EQ(loaded_weight(), 7);
}

TEST_F(Files, WhatCannotBeReadIsAProblemBesideThoseOfTheRest) {
  const auto bad = write("etc/sluice.toml", "[node]\ntik = 1");
  const auto dangling = link("etc/sluice.toml.d/10.toml", "nowhere");
  const auto directory = root_ / "etc/sluice.toml.d/20.toml";
  fs::create_directory(directory);
  const auto fifo = root_ / "etc/sluice.toml.d/30.toml";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  write("run/sluice.toml.d", "a file in the place of the directory");
  const std::string special = ": cannot be read: found no regular file, must be one (or a link to /dev/null)";
  EXPECT_THAT(described(load_default(search_)),
              ElementsAre((root_ / "run/sluice.toml.d").string() + ": cannot be read: Not a directory",
                          dangling.string() + ": cannot be read: No such file or directory",
                          directory.string() + special, fifo.string() + special,
                          bad.string() + ":2:1: key 'node.tik': unknown; did you mean 'tick'?"));
}

// Root can read everything, so a test that runs as root changes its user.
class AsNobody {
 public:
  AsNobody() : done_(::geteuid() != 0 || ::seteuid(65534) == 0) {}
  ~AsNobody() {
    if (::getuid() == 0 && ::seteuid(0) != 0) std::abort();
  }
  bool done() const { return done_; }

 private:
  bool done_;
};

TEST_F(Files, AnUnreadableFileIsAProblem) {
  const auto path = write("etc/sluice.toml", "");
  fs::permissions(path, fs::perms::none);
  fs::permissions(root_, fs::perms::owner_all | fs::perms::group_exec | fs::perms::others_exec);
  const AsNobody nobody;
  if (!nobody.done()) GTEST_SKIP() << "root that may not become nobody reads everything";
  EXPECT_THAT(described(load_default(search_)),
              ElementsAre(path.string() + ": cannot be read: Permission denied"));
}

TEST_F(Files, OneFileAloneMustExist) {
  const auto path = write("one.toml", "[node]\nmode = \"observe\"");
  EXPECT_EQ(load_file(path).value().node.mode, Mode::observe);
  EXPECT_THAT(described(load_file(root_ / "none.toml")),
              ElementsAre((root_ / "none.toml").string() + ": cannot be read: No such file or directory"));
}

TEST_F(Files, AHugeFileIsRefusedUnread) {
  const auto path = write("huge.toml", "");
  fs::resize_file(path, 1ULL << 40);
  const auto problems = described(load_file(path));
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_THAT(problems[0], testing::EndsWith("must be at most 1MiB"));
}

}  // namespace
}  // namespace sluice::config::test
