// Every step of a recording fails in turn, and process and machine crash at each step. The file then
// holds what was handed over, from the first tick on, and the log reports what is missing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>

#include "daemon/record/recorder.hpp"
#include "tests/support/fake_files.hpp"
#include "tests/unit/record/random_values.hpp"
#include "tests/unit/record/recorded.hpp"

namespace sluice::record {
namespace {

using sluice::testing::bytes_of_tick;
using sluice::testing::comes_true;
using sluice::testing::Filler;
using sluice::testing::random_config;
using sluice::testing::random_tick;
using sluice::testing::recorded;
using test::FakeFiles;
using ::testing::AnyOf;
using ::testing::Eq;
using ::testing::HasSubstr;
using ::testing::Not;
using Step = FakeFiles::Step;

const std::string kPath = "d/ticks";

class Faulty : public ::testing::Test {
 protected:
  Faulty() { files.make_directory("d"); }
  // Waits until each tick is taken, so that the steps of each are known.
  void add_ticks(int n) {
    for (int i = 0; i < n; ++i) {
      made.push_back(random_tick(filler, 2));
      const auto writes = files.steps(Step::write);
      recorder->add(made.back());
      (void)comes_true([&] { return files.steps(Step::write) > writes || recorder->dropped() > 0; });
    }
  }
  // A configuration and five ticks, with the failures that the test has set.
  std::optional<std::string> record() {
    auto opened = Recorder::open(kPath, {.daemon_version = "1"}, files);
    if (!opened) return opened.error();
    recorder = std::move(*opened);
    recorder->add(random_config(filler));
    (void)comes_true([&] { return files.steps(Step::write) > 1; });
    add_ticks(5);
    return std::nullopt;
  }
  std::string content() const { return files.content(kPath).value_or(""); }
  void expect_first_ticks(const std::vector<TickEntry>& found) const {
    ASSERT_LE(found.size(), made.size());
    for (std::size_t i = 0; i < found.size(); ++i) EXPECT_EQ(bytes_of_tick(found[i]), bytes_of_tick(made[i]));
  }

  FakeFiles files;
  Filler filler{23};
  std::vector<TickEntry> made;
  std::unique_ptr<Recorder> recorder;
};

class EachStep : public Faulty, public ::testing::WithParamInterface<int> {};

TEST_P(EachStep, FailsAndWhatIsMissingIsSaidAndMarked) {
  const auto words = std::string(::strerrordesc_np(GetParam()));
  for (const std::size_t taken : {0, 1, 60}) {
    for (std::size_t n = 1;; ++n) {
      SCOPED_TRACE("step " + std::to_string(n) + " after " + std::to_string(taken) + " bytes");
      recorder.reset();
      made.clear();
      files.clear_faults();
      files.put("d/ticks", "the one before");
      files.fail_step(n, GetParam(), taken);
      const auto refused = record();
      if (files.fault_is_pending()) break;
      if (refused) {
        EXPECT_THAT(*refused, AnyOf(HasSubstr(words), HasSubstr("no regular file")));
        EXPECT_EQ(content(), "the one before");
        EXPECT_FALSE(files.content("d/ticks.new"));
        continue;
      }
      std::optional<std::string> told;
      if (recorder->dropped() > 0) {
        EXPECT_TRUE(comes_true([&] { return (told = recorder->ended()).has_value(); }));
        EXPECT_THAT(told.value_or(""), HasSubstr("Recording ended: cannot write d/ticks: " + words + ". "));
        EXPECT_FALSE(recorder->ended()) << "said once";
      }
      const auto dropped = recorder->dropped();
      recorder.reset();
      const auto found = recorded(content());
      EXPECT_EQ(found.wrong, "");
      EXPECT_EQ(found.ticks.size() + dropped, made.size());
      expect_first_ticks(found.ticks);
      EXPECT_EQ(found.end, told ? "cannot write: " + words : "stopped");
      EXPECT_EQ(files.content("d/ticks.old"), "the one before");
      EXPECT_EQ(files.open_handles(), 0u);
      EXPECT_EQ(files.bad_closes(), 0u);
    }
  }
}
INSTANTIATE_TEST_SUITE_P(OfRecording, EachStep, ::testing::Values(ENOSPC, EIO, EROFS, EDQUOT),
                         [](const auto& each) { return std::string(::strerrorname_np(each.param)); });

TEST_F(Faulty, TheEndIsMarkedWhenThereIsSpaceAgain) {
  ASSERT_FALSE(record());
  files.limit_space(50);
  add_ticks(1);
  EXPECT_TRUE(comes_true([&] { return recorder->dropped() == 1; }));
  EXPECT_THAT(recorder->ended().value_or(""),
              HasSubstr("No space left on device. 1 tick(s) that waited are not in it."));
  const auto full = content();
  add_ticks(3);
  EXPECT_EQ(recorder->dropped(), 4u) << "governing goes on, recording does not";
  EXPECT_FALSE(recorder->ended());
  EXPECT_EQ(content(), full);
  files.clear_faults();
  recorder.reset();
  const auto found = recorded(content());
  EXPECT_EQ(found.ticks.size(), 5u);
  EXPECT_EQ(found.end, "cannot write: No space left on device");
  EXPECT_EQ(found.wrong, "");
}

TEST_F(Faulty, WhatCouldNotBeCutOffIsCutOffLater) {
  ASSERT_FALSE(record());
  const auto whole = content();
  files.fail_every(Step::truncate, EIO);
  files.limit_space(50);
  add_ticks(1);
  EXPECT_TRUE(comes_true([&] { return recorder->ended().has_value(); }));
  EXPECT_EQ(content().size(), whole.size() + 50);
  files.clear_faults();
  recorder.reset();
  EXPECT_EQ(recorded(content()).wrong, "");
  EXPECT_EQ(recorded(content()).end, "cannot write: No space left on device");
}

TEST_F(Faulty, AFullDiskIsSaidAlsoWhenTheDaemonStops) {
  ASSERT_FALSE(record());
  files.fail_step(1, ENOSPC);
  recorder->add(random_tick(filler, 2));
  recorder.reset();
  EXPECT_EQ(recorded(content()).ticks.size(), 5u);
  EXPECT_EQ(recorded(content()).end, "cannot write: No space left on device");
}

TEST_F(Faulty, WithoutAnyWayToWriteItStillStops) {
  ASSERT_FALSE(record());
  for (const auto kind : {Step::write, Step::truncate}) files.fail_every(kind, EROFS);
  add_ticks(1);
  recorder.reset();
  EXPECT_EQ(recorded(content()).ticks.size(), 5u);
  EXPECT_EQ(recorded(content()).end, std::nullopt);
}

TEST_F(Faulty, AFullDiskAtTheStartCostsNoEarlierRecording) {
  files.put("d/ticks", "the one before");
  files.put("d/ticks.old", "and before that");
  files.limit_space(10);
  for (int i = 0; i < 3; ++i) {  // as a service manager would restart it
    EXPECT_THAT(record().value_or(""),
                HasSubstr("--record: cannot create d/ticks: No space left on device."));
  }
  EXPECT_EQ(content(), "the one before");
  EXPECT_EQ(files.content("d/ticks.old"), "and before that");
}

TEST_F(Faulty, WhatWasQueuedIsCountedWhenItCannotBeWritten) {
  auto opened = Recorder::open(kPath, {.max_queued_ticks = 3}, files);
  ASSERT_TRUE(opened);
  files.fail_every(Step::write, EIO);
  for (int i = 0; i < 50; ++i) (*opened)->add(random_tick(filler, 1));
  EXPECT_TRUE(comes_true([&] { return (*opened)->dropped() == 50; })) << (*opened)->dropped();
  const auto told = (*opened)->ended().value_or("");
  EXPECT_THAT(told, AnyOf(HasSubstr("Input/output error"), HasSubstr("as fast as the host is sampled")));
  EXPECT_THAT(told, Not(HasSubstr(" 0 tick(s)")));
}

TEST_F(Faulty, WhereverTheProcessIsKilledTheTicksUntilThenAreThere) {
  for (const std::size_t taken : {0, 30, 100'000}) {
    for (std::size_t n = 1;; ++n) {
      SCOPED_TRACE("killed at step " + std::to_string(n));
      made.clear();
      files.put("d/ticks", "the one before");
      files.die_at_step(n, taken);
      (void)record();
      const bool over = files.fault_is_pending();
      recorder.reset();
      files.crash_process();
      if (content() == "the one before" || !files.content("d/ticks")) {
        EXPECT_TRUE(files.content("d/ticks") || files.content("d/ticks.old") == "the one before");
        continue;
      }
      const auto found = recorded(content());
      EXPECT_THAT(found.wrong, AnyOf("", "a torn line"));
      expect_first_ticks(found.ticks);
      if (over) break;
    }
  }
}

TEST_F(Faulty, AMachineThatGoesDownLeavesNoTickThatWasNot) {
  for (const auto data : {FakeFiles::Data::lost, FakeFiles::Data::zeros, FakeFiles::Data::kept}) {
    for (std::size_t entries = 0; entries < 5; ++entries) {
      for (const std::size_t n : {5, 7, 8, 10, 12, 14}) {
        made.clear();
        files.put("d/ticks", "the one before");
        files.die_at_step(n, 40);
        (void)record();
        recorder.reset();
        files.crash_machine({.data = data, .entries = entries});
        expect_first_ticks(recorded(content()).ticks);
      }
    }
  }
}

}  // namespace
}  // namespace sluice::record
