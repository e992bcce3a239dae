#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cerrno>
#include <csignal>
#include <filesystem>

#include "daemon/files/directory.hpp"
#include "tests/unit/cgroups/plain_tree.hpp"

namespace sluice::files {
namespace {

using test::PlainTree;

template <class T>
int errno_of(const Result<T>& result) {
  return result ? 0 : result.error().errno_value;
}

class PosixFiles : public testing::Test {
 protected:
  std::string path() const { return tree / "d"; }
  Directory open() { return Directory::open(files, path(), 0700).value(); }
  PlainTree tree;
  Files& files = posix_files();
};

TEST_F(PosixFiles, MakesOneDirectoryWithItsMode) {
  (void)open();
  struct stat status = {};
  ASSERT_EQ(::stat(path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0700u);
  const auto missing = Directory::open(files, tree / "no/parent", 0700);
  EXPECT_EQ(errno_of(missing), ENOENT);
  EXPECT_EQ(missing.error().path, tree / "no/parent");
  tree.put("file", "");
  EXPECT_EQ(errno_of(Directory::open(files, tree / "file", 0700)), ENOTDIR);
}

TEST_F(PosixFiles, ADirectoryThatOthersCanChangeIsNotOurs) {
  (void)open();
  for (const auto mode : {0770, 0707, 0720, 01777}) {
    ASSERT_EQ(::chmod(path().c_str(), static_cast<mode_t>(mode)), 0);
    EXPECT_EQ(errno_of(Directory::open(files, path(), 0700)), EPERM);
    EXPECT_EQ(errno_of(Directory::find(files, path(), Whose::ours)), EPERM);
    EXPECT_TRUE(Directory::find(files, path(), Whose::anyones)) << "but may be named";
  }
  EXPECT_EQ(errno_of(Directory::find(files, tree / "none", Whose::anyones)), ENOENT);
  EXPECT_FALSE(tree.exists("none"));
}

TEST_F(PosixFiles, FilesAreTheirOwnersOnly) {
  auto d = open();
  ASSERT_TRUE(d.replace("a", "x", Survives::machine));
  struct stat status = {};
  ASSERT_EQ(::stat((path() + "/a").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
}

TEST_F(PosixFiles, AFifoInTheWayIsRefusedAtOnce) {
  auto d = open();
  ASSERT_EQ(::mkfifo((path() + "/a").c_str(), 0600), 0);
  for (const auto how : {Open::read, Open::append})
    EXPECT_EQ(errno_of(files.open(d.handle(), "a", how)), EINVAL);
  EXPECT_EQ(errno_of(d.read("a", 10)), EINVAL);
  EXPECT_EQ(errno_of(d.has("a")), EINVAL);
  EXPECT_EQ(errno_of(AppendLog(d, "a", 0).append("x")), EINVAL);
  EXPECT_TRUE(d.replace("a", "x", Survives::process)) << "a rename takes its place";
  EXPECT_EQ(d.read("a", 10).value(), "x");
}

TEST_F(PosixFiles, ALinkIsNotFollowed) {
  auto d = open();
  tree.put("elsewhere", "secret");
  std::filesystem::create_symlink(tree / "elsewhere", tree / "d/a");
  for (const auto how : {Open::read, Open::append})
    EXPECT_EQ(errno_of(files.open(d.handle(), "a", how)), ELOOP);
  EXPECT_EQ(errno_of(files.open(d.handle(), "a", Open::make)), EEXIST);
  std::filesystem::create_symlink(tree / "elsewhere", tree / "d/b.new");
  EXPECT_TRUE(d.replace("b", "x", Survives::process));
  EXPECT_EQ(tree.get("elsewhere"), "secret");
}

TEST_F(PosixFiles, ADirectoryInTheWayIsRefused) {
  auto d = open();
  tree.make_dir("d/a/full");
  EXPECT_EQ(errno_of(d.read("a", 10)), EINVAL);
  EXPECT_EQ(errno_of(AppendLog(d, "a", 0).append("x")), EISDIR);
  EXPECT_EQ(errno_of(d.replace("a", "x", Survives::process)), EISDIR);
  EXPECT_FALSE(tree.exists("d/a.new"));
}

TEST_F(PosixFiles, AFileThatIsTooLargeIsNotRead) {
  auto d = open();
  const std::string text(100'000, 'x');
  ASSERT_TRUE(d.replace("a", text, Survives::process));
  EXPECT_EQ(d.read("a", text.size()).value(), text);
  EXPECT_EQ(errno_of(d.read("a", text.size() - 1)), EFBIG);
  EXPECT_EQ(errno_of(d.read("a", 0)), EFBIG);
  EXPECT_EQ(errno_of(d.read("b", 0)), ENOENT);
  EXPECT_EQ(d.read("b", 0).error().path, path() + "/b");
}

// A file size limit simulates a full disk without root: the write is shortened, then refused.
TEST_F(PosixFiles, ADiskThatIsFullInTheMiddleTakesAPart) {
  auto d = open();
  rlimit before = {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  auto limited = before;
  limited.rlim_cur = 10;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limited), 0);
  const auto file = files.open(d.handle(), "a", Open::make);
  const auto taken = file ? files.write(*file, "0123456789abcdef") : tl::unexpected(file.error());
  const auto refused = file ? files.write(*file, "abcdef") : tl::unexpected(file.error());
  AppendLog log(d, "b", 0);
  const auto whole = log.append("whole\n");
  const auto torn = log.append("a longer one\n");
  const auto replaced = d.replace("b", "a text of more than ten bytes", Survives::process);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(taken.value(), 10u);
  EXPECT_EQ(errno_of(refused), EFBIG);
  EXPECT_TRUE(whole);
  EXPECT_EQ(errno_of(torn), EFBIG);
  EXPECT_EQ(torn.error().path, path() + "/b");
  EXPECT_EQ(errno_of(replaced), EFBIG);
  EXPECT_FALSE(tree.exists("d/b.new"));
  EXPECT_EQ(tree.get("d/b"), "whole\n");
  EXPECT_TRUE(log.append("next\n"));
  EXPECT_EQ(tree.get("d/b"), "whole\nnext\n");
  files.close(*file);
}

TEST_F(PosixFiles, KeepsAnUnlinkedFile) {
  auto d = open();
  AppendLog log(d, "a", 0);
  ASSERT_TRUE(log.append("one\n"));
  ASSERT_TRUE(d.keep_as("a", "a.corrupt"));
  ASSERT_TRUE(d.keep_as("a", "a.corrupt")) << "an older one gives way";
  ASSERT_TRUE(d.remove("a"));
  EXPECT_TRUE(d.remove("a")) << "none is as good";
  EXPECT_TRUE(log.append("two\n"));
  EXPECT_EQ(tree.get("d/a.corrupt"), "one\ntwo\n");
}

}  // namespace
}  // namespace sluice::files
