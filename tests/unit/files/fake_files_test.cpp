// The fake must agree with a real file system, so both get the same calls.
#include "tests/support/fake_files.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>
#include <cerrno>
#include <map>

#include "tests/unit/cgroups/plain_tree.hpp"

namespace sluice::files {
namespace {

using test::FakeFiles;
using test::PlainTree;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::array<const char*, 3> kNames{"a", "b", "c"};

template <class T>
int errno_of(const Result<T>& result) {
  return result ? 0 : result.error().errno_value;
}

// The same steps on both; a number stands for each pair of handles.
class Both {
 public:
  explicit Both(const std::string& path) : path_(path) { step(0, 0, 0); }

  void step(std::uint32_t kind, std::uint32_t which, std::uint32_t amount) {
    const std::string name = kNames[which % kNames.size()], other = kNames[which / 3 % kNames.size()];
    const std::string text(amount % 50 + 1, static_cast<char>('a' + amount % 26));
    switch (kind % 10) {
      case 0:
        return keep(real_.open_directory(path_, 0700), fake_.open_directory(path_, 0700), true);
      case 1:
      case 2:
        return keep(real_.open(folder().first, name, Open{static_cast<std::uint8_t>(amount % 3)}),
                    fake_.open(folder().second, name, Open{static_cast<std::uint8_t>(amount % 3)}), false);
      case 3: {
        const auto a = real_.write(any(which).first, text), b = fake_.write(any(which).second, text);
        return same(a, b, "write");
      }
      case 4: {
        const auto a = real_.read(any(which).first, amount % 400),
                   b = fake_.read(any(which).second, amount % 400);
        return same(a, b, "read");
      }
      case 5:
        return same(real_.truncate(any(which).first, amount % 60),
                    fake_.truncate(any(which).second, amount % 60), "truncate");
      case 6:
        return same(real_.sync(any(which).first), fake_.sync(any(which).second), "sync");
      case 7:
        return same(real_.rename(folder().first, name, other), fake_.rename(folder().second, name, other),
                    "rename");
      case 8:
        return same(real_.link(folder().first, name, other), fake_.link(folder().second, name, other),
                    "link");
      default:
        return same(real_.remove(folder().first, name), fake_.remove(folder().second, name), "remove");
    }
  }
  void close_all() {
    for (const auto& [a, b] : handles_) real_.close(a), fake_.close(b);
    RC_ASSERT(fake_.open_handles() == 0u);
    RC_ASSERT(fake_.bad_closes() == 0u);
  }
  [[nodiscard]] FakeFiles& fake() { return fake_; }

 private:
  using Pair = std::pair<Handle, Handle>;
  // Without directories: pread of a directory gives EISDIR, and no code here reads one.
  Pair any(std::uint32_t which) const {
    return files_.empty() ? Pair{-1, -1} : files_[which % files_.size()];
  }
  Pair folder() const { return handles_.front(); }
  void keep(const Result<Handle>& a, const Result<Handle>& b, bool is_folder) {
    RC_LOG() << "open\n";
    RC_ASSERT(errno_of(a) == errno_of(b));
    if (!a) return;
    handles_.emplace_back(*a, *b);
    if (!is_folder) files_.emplace_back(*a, *b);
  }
  template <class T>
  void same(const Result<T>& a, const Result<T>& b, const char* what) {
    RC_LOG() << what << "\n";
    RC_ASSERT(errno_of(a) == errno_of(b));
    if constexpr (!std::is_void_v<T>) {
      if (a) RC_ASSERT(*a == *b);
    }
  }

  std::string path_;
  Files& real_ = posix_files();
  FakeFiles fake_;
  std::vector<Pair> handles_, files_;
};

RC_GTEST_PROP(FakeFiles, AnswersAsAFileSystemDoes, ()) {
  const PlainTree tree;
  Both both(tree / "d");
  for (auto n = *rc::gen::inRange(0, 60); n > 0; --n) {
    const auto kind = *rc::gen::inRange(0u, 10u), which = *rc::gen::inRange(0u, 90u);
    both.step(kind, which, *rc::gen::inRange(0u, 400u));
  }
  for (const char* name : kNames) {
    RC_ASSERT(both.fake().content(tree / "d" + "/" + name).has_value() ==
              tree.exists(std::string("d/") + name));
    RC_ASSERT(both.fake().content(tree / "d" + "/" + name).value_or("") ==
              tree.get(std::string("d/") + name));
  }
  both.close_all();
}

class Fake : public testing::Test {
 protected:
  Handle make(const std::string& name) { return files.open(folder, name, Open::make).value(); }
  FakeFiles files;
  Handle folder = files.open_directory("d", 0700).value();
};

TEST_F(Fake, FailsTheStepThatItIsToldTo) {
  files.fail_step(2, EIO);
  EXPECT_TRUE(files.open(folder, "a", Open::append));
  EXPECT_TRUE(files.fault_is_pending());
  EXPECT_EQ(errno_of(files.open(folder, "b", Open::append)), EIO);
  EXPECT_FALSE(files.fault_is_pending());
  EXPECT_TRUE(files.open(folder, "b", Open::append)) << "once";
  files.fail_every(FakeFiles::Step::remove, EROFS);
  EXPECT_EQ(errno_of(files.remove(folder, "a")), EROFS);
  EXPECT_EQ(errno_of(files.remove(folder, "a")), EROFS);
  files.clear_faults();
  EXPECT_TRUE(files.remove(folder, "a"));
  EXPECT_THAT(files.names("d"), ElementsAre("b"));
  EXPECT_EQ(files.steps(FakeFiles::Step::remove), 3u);
  EXPECT_EQ(files.steps(), 7u);
}

TEST_F(Fake, TakesAPartOfAWriteAndThenNothing) {
  const auto a = make("a");
  files.fail_step(1, EDQUOT, 3);
  EXPECT_EQ(files.write(a, "abcdef").value(), 3u);
  EXPECT_EQ(errno_of(files.write(a, "def")), EDQUOT);
  EXPECT_TRUE(files.write(a, "def"));
  files.limit_space(2);
  EXPECT_EQ(files.write(a, "ghi").value(), 2u);
  EXPECT_EQ(errno_of(files.write(a, "i")), ENOSPC);
  EXPECT_EQ(files.content("d/a"), "abcdefgh");
}

TEST_F(Fake, AnUnlinkedFileLivesUntilItIsClosed) {
  const auto a = make("a");
  ASSERT_TRUE(files.remove(folder, "a"));
  EXPECT_TRUE(files.write(a, "still"));
  const auto second = make("a");
  EXPECT_TRUE(files.write(second, "new"));
  EXPECT_EQ(files.content("d/a"), "new");
  files.close(a);
  files.close(a);
  EXPECT_EQ(files.bad_closes(), 1u);
}

TEST_F(Fake, AKillKeepsWhatWasWrittenAndMayTearTheLastWrite) {
  const auto a = make("a");
  ASSERT_TRUE(files.write(a, "first "));
  ASSERT_TRUE(files.write(a, "second"));
  files.crash_process(3);
  EXPECT_EQ(files.content("d/a"), "first sec");
  EXPECT_EQ(errno_of(files.write(a, "x")), EBADF) << "of the process that ended";
  files.close(a);
  EXPECT_EQ(files.bad_closes(), 0u) << "its store may outlive it in a test";

  const auto again = files.open(files.open_directory("d", 0700).value(), "a", Open::append).value();
  files.die_at_step(2, 1);
  EXPECT_TRUE(files.write(again, "AB"));
  EXPECT_EQ(errno_of(files.write(again, "CD")), ECANCELED);
  EXPECT_EQ(errno_of(files.truncate(again, 0)), ECANCELED) << "the dead do nothing";
  EXPECT_EQ(files.open_handles(), 2u);
  files.crash_process();
  EXPECT_EQ(files.open_handles(), 0u);
  EXPECT_EQ(files.content("d/a"), "first secABC");
}

TEST_F(Fake, AMachineForgetsWhatWasNotSynced) {
  using Data = FakeFiles::Data;
  const auto run = [](FakeFiles& disk) {
    disk.put("d/a", "old");
    const auto d = disk.open_directory("d", 0700).value();
    const auto file = disk.open(d, "a.new", Open::make).value();
    (void)disk.write(file, "new");
    (void)disk.rename(d, "a.new", "a");
    return std::pair(d, file);
  };
  const auto after = [&](std::size_t entries, Data data, bool sync_file, bool sync_folder) {
    FakeFiles disk;
    const auto [d, file] = run(disk);
    if (sync_file) (void)disk.sync(file);
    if (sync_folder) (void)disk.sync(d);
    EXPECT_EQ(disk.unsynced_entries(), sync_folder ? 0u : 2u);
    disk.crash_machine({.data = data, .entries = entries});
    return disk.content("d/a").value_or("none");
  };
  EXPECT_EQ(after(0, Data::lost, false, false), "old");
  EXPECT_EQ(after(1, Data::kept, false, false), "old") << "made, and not yet renamed";
  EXPECT_EQ(after(2, Data::lost, false, false), "") << "renamed before its data was there";
  EXPECT_EQ(after(2, Data::zeros, false, false), std::string(3, '\0'));
  EXPECT_EQ(after(2, Data::kept, false, false), "new");
  EXPECT_EQ(after(0, Data::lost, true, false), "old") << "the file is there, its name is not";
  EXPECT_EQ(after(0, Data::lost, true, true), "new");
  EXPECT_EQ(after(0, Data::lost, false, true), "");
}

TEST_F(Fake, WhatASyncCouldNotWriteIsForgotten) {
  const auto a = make("a");
  ASSERT_TRUE(files.write(a, "text"));
  files.fail_step(1, EIO);
  EXPECT_EQ(errno_of(files.sync(a)), EIO);
  EXPECT_TRUE(files.sync(a));
  EXPECT_TRUE(files.sync(folder));
  files.crash_machine({});
  EXPECT_EQ(files.content("d/a"), "");
}

TEST_F(Fake, ATestPutsFilesThatAreOnDisk) {
  files.put("d/a", "one");
  files.put("d/a", "two");
  files.make_directory("e");
  EXPECT_TRUE(files.find_directory("e", Whose::anyones));
  EXPECT_EQ(errno_of(files.find_directory("f", Whose::ours)), ENOENT);
  files.crash_machine({});
  EXPECT_EQ(files.content("d/a"), "two");
  EXPECT_EQ(files.content("e/a"), std::nullopt);
  EXPECT_THAT(files.names("e"), IsEmpty());
}

}  // namespace
}  // namespace sluice::files
