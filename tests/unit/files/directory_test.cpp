// Every step of each operation fails in turn, and process and machine crash at each step.
#include "daemon/files/directory.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cerrno>

#include "tests/support/fake_files.hpp"

namespace sluice::files {
namespace {

using test::FakeFiles;
using testing::AnyOf;
using testing::ElementsAre;
using testing::Eq;

const std::string kOld = "what was there before\n", kNew = "what is there now, and it is longer\n";
constexpr std::array kTakes{std::size_t{0}, std::size_t{1}, std::size_t{20}};
constexpr std::array kData{FakeFiles::Data::lost, FakeFiles::Data::zeros, FakeFiles::Data::kept};

template <class T>
int errno_of(const Result<T>& result) {
  return result ? 0 : result.error().errno_value;
}

Directory open(FakeFiles& files) {
  return Directory::open(files, "d", 0700).value();
}

TEST(Replace, LeavesTheOldOrTheNewWhateverFails) {
  for (const auto survives : {Survives::process, Survives::machine}) {
    for (const int error : {ENOSPC, EIO, EROFS}) {
      for (const auto taken : kTakes) {
        for (std::size_t n = 1;; ++n) {
          SCOPED_TRACE("step " + std::to_string(n) + " after " + std::to_string(taken) + " bytes");
          FakeFiles files;
          files.put("d/a", kOld);
          auto d = open(files);
          files.fail_step(n, error, taken);
          const auto replaced = d.replace("a", kNew, survives);
          if (files.fault_is_pending()) break;
          // The first step removes a left-over file: there is none here. The last step syncs the directory.
          const bool last = survives == Survives::machine && files.steps(FakeFiles::Step::sync) == 2;
          if (!replaced) {
            EXPECT_EQ(errno_of(replaced), error);
            EXPECT_THAT(replaced.error().path, AnyOf("d/a", "d/a.new"));
          }
          EXPECT_EQ(files.content("d/a"), replaced || last ? kNew : kOld);
          EXPECT_THAT(files.names("d"), ElementsAre("a"));
          EXPECT_EQ(files.open_handles(), 1u) << "the directory's";
          files.clear_faults();
          EXPECT_TRUE(d.replace("a", kNew, survives)) << "and it may be tried again";
          EXPECT_EQ(files.content("d/a"), kNew);
        }
      }
    }
  }
}

TEST(Replace, WhatALeftOverCannotPrevent) {
  FakeFiles files;
  files.put("d/a", kOld);
  files.put("d/a.new", "of a process that was killed");
  EXPECT_TRUE(open(files).replace("a", kNew, Survives::process));
  EXPECT_THAT(files.names("d"), ElementsAre("a"));
  files.put("d/a.new", "again");
  files.fail_every(FakeFiles::Step::remove, EPERM);
  EXPECT_EQ(errno_of(open(files).replace("a", kOld, Survives::process)), EEXIST);
  EXPECT_EQ(files.content("d/a"), kNew);
}

TEST(Replace, LeavesTheOldOrTheNewWhereverTheProcessIsKilled) {
  for (const auto taken : kTakes) {
    for (std::size_t n = 1;; ++n) {
      FakeFiles files;
      files.put("d/a", kOld);
      auto d = open(files);
      files.die_at_step(n, taken);
      const auto replaced = d.replace("a", kNew, Survives::process);
      if (files.fault_is_pending()) break;
      files.crash_process();
      EXPECT_THAT(files.content("d/a"), AnyOf(Eq(kOld), Eq(kNew))) << "killed at step " << n;
      if (replaced) {
        EXPECT_EQ(files.content("d/a"), kNew);
      }
    }
  }
}

// `fails`: an earlier step fails, which must not make partial data durable.
void expect_whole_after_a_machine_crash(std::size_t fails) {
  for (const auto data : kData) {
    for (std::size_t entries = 0;; ++entries) {
      for (std::size_t n = 1;; ++n) {
        FakeFiles files;
        files.put("d/a", kOld);
        auto d = open(files);
        if (fails > 0) files.fail_step(fails, EIO, 1);
        files.die_at_step(n, 7);
        const auto replaced = d.replace("a", kNew, Survives::machine);
        const bool over = files.fault_is_pending();
        const auto pending = files.unsynced_entries();
        if (entries > pending && !over) continue;
        files.crash_machine({.data = data, .entries = entries});
        EXPECT_THAT(files.content("d/a"), AnyOf(Eq(kOld), Eq(kNew)))
            << "step " << n << ", " << entries << " entries, failed " << fails;
        if (replaced) {
          EXPECT_EQ(files.content("d/a"), kNew) << "it was said to be done";
        }
        if (over) break;
      }
      if (entries > 4) break;  // more steps than one replacement has
    }
  }
}

TEST(Replace, LeavesTheOldOrTheNewWhereverTheMachineGoesDown) {
  expect_whole_after_a_machine_crash(0);
}

TEST(Replace, LeavesTheOldOrTheNewWhereverTheMachineGoesDownAfterAFailure) {
  for (std::size_t fails = 1; fails < 8; ++fails) expect_whole_after_a_machine_crash(fails);
}

TEST(Directories, NameTheFileThatAnErrorIsAbout) {
  FakeFiles files;
  auto d = open(files);
  EXPECT_EQ(d.read("a", 1).error().path, "d/a");
  EXPECT_EQ(d.rename("a", "b").error().path, "d/a");
  EXPECT_EQ(d.keep_as("a", "b").error().path, "d/b");
  EXPECT_EQ(d.has("a").value(), false);
  files.fail_every(FakeFiles::Step::rename, EIO);
  EXPECT_EQ(d.replace("a", kNew, Survives::process).error().path, "d/a");
  files.fail_every(FakeFiles::Step::write, ENOSPC);
  EXPECT_EQ(d.replace("a", kNew, Survives::process).error().path, "d/a.new");
  files.clear_faults();
  files.fail_every(FakeFiles::Step::remove, EROFS);
  EXPECT_EQ(d.remove("a").error().path, "d/a");
  files.fail_every(FakeFiles::Step::open, EMFILE);
  EXPECT_EQ(d.has("a").error().path, "d/a");
  EXPECT_EQ(errno_of(AppendLog::make(d, "a")), EMFILE);
  EXPECT_EQ(AppendLog::make(d, "a").error().path, "d/a");
}

TEST(AppendLogs, AreOpenedWhenTheyAreNeeded) {
  FakeFiles files;
  auto d = open(files);
  AppendLog log(d, "a", 0);
  EXPECT_EQ(files.content("d/a"), std::nullopt);
  files.fail_every(FakeFiles::Step::open, EMFILE);
  EXPECT_EQ(errno_of(log.append("one\n")), EMFILE);
  files.clear_faults();
  EXPECT_TRUE(log.append("two\n"));
  EXPECT_EQ(files.content("d/a"), "two\n");
  EXPECT_EQ(errno_of(AppendLog::make(d, "a")), EEXIST);
  EXPECT_TRUE(AppendLog::make(d, "b")->append("x"));
}

TEST(AppendLogs, CutOffWhatAnEarlierProcessTore) {
  FakeFiles files;
  files.put("d/a", "one\ntw");
  auto d = open(files);
  AppendLog log(d, "a", 4, true);
  EXPECT_TRUE(log.torn());
  EXPECT_TRUE(log.mend());
  EXPECT_EQ(files.content("d/a"), "one\n");
  EXPECT_TRUE(log.append("two\n"));
  EXPECT_EQ(files.content("d/a"), "one\ntwo\n");
}

TEST(AppendLogs, AfterAnyFailureTheNextGoesOnAtTheLastWholeOne) {
  for (const auto taken : kTakes) {
    for (std::size_t n = 1;; ++n) {
      FakeFiles files;
      auto d = open(files);
      AppendLog log(d, "a", 0);
      ASSERT_TRUE(log.append("one\n"));
      files.fail_step(n, EIO, taken);
      if (taken > 0) files.fail_every(FakeFiles::Step::truncate, EROFS);
      const auto appended = log.append(kNew);
      if (files.fault_is_pending()) break;
      ASSERT_EQ(errno_of(appended), EIO);
      EXPECT_EQ(log.torn(), taken > 0);
      EXPECT_EQ(log.size(), 4u);
      if (log.torn()) {
        EXPECT_EQ(errno_of(log.append("two\n")), EROFS) << "not behind a torn one";
        EXPECT_EQ(errno_of(log.mend()), EROFS);
      }
      files.clear_faults();
      EXPECT_TRUE(log.append("three\n"));
      EXPECT_EQ(files.content("d/a"), "one\nthree\n");
      EXPECT_FALSE(log.torn());
    }
  }
}

RC_GTEST_PROP(AppendLogs, HoldTheirWholeAppendsAndNothingElse, ()) {
  FakeFiles files;
  auto d = open(files);
  std::optional<AppendLog> log;
  log.emplace(d, "a", 0);
  std::string whole;
  for (auto n = *rc::gen::inRange(0, 40); n > 0; --n) {
    const auto text =
        std::string(*rc::gen::inRange<std::size_t>(0, 30), static_cast<char>('a' + n % 26)) + "\n";
    const auto trouble = *rc::gen::inRange(0, 6);
    if (trouble < 3) {
      const auto at = *rc::gen::inRange<std::size_t>(1, 4), taken = *rc::gen::inRange<std::size_t>(0, 30);
      files.fail_step(at, EIO, taken);
    }
    if (trouble == 3) files.limit_space(*rc::gen::inRange<std::uint64_t>(0, 40));
    if (trouble == 4) files.fail_every(FakeFiles::Step::truncate, EIO);
    const auto appended = log->append(text);
    if (appended) whole += text;
    const auto found = files.content("d/a").value_or("");
    RC_ASSERT(log->size() == whole.size());
    RC_ASSERT(found.substr(0, whole.size()) == whole);
    RC_ASSERT(log->torn() == (found.size() > whole.size()));
    if (*rc::gen::inRange(0, 3) == 0) files.clear_faults();
    if (*rc::gen::inRange(0, 6) == 0) log.emplace(AppendLog(d, "a", whole.size(), log->torn()));
  }
  files.clear_faults();
  RC_ASSERT(log->append("last\n").has_value());
  RC_ASSERT(files.content("d/a") == whole + "last\n");
  log.reset();
  RC_ASSERT(files.open_handles() == 1u);
  RC_ASSERT(files.bad_closes() == 0u);
}

}  // namespace
}  // namespace sluice::files
