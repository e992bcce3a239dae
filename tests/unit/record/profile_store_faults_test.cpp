// Profiles survive a crash of the machine: every step of a save fails in turn, and process and machine crash
// at each step.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>

#include "daemon/decide/forecast.hpp"
#include "daemon/record/profile_store.hpp"
#include "tests/support/fake_files.hpp"
#include "tests/unit/record/recorded.hpp"

namespace sluice::record {
namespace {

using sluice::testing::comes_true;
using test::FakeFiles;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::Eq;
using ::testing::HasSubstr;
using Step = FakeFiles::Step;
using namespace std::chrono_literals;

const std::string kPath = "state/forecasts";

std::vector<NamedProfile> learned(double cores) {
  NamedProfile p{"orders", empty_profile(1h)};
  p.profile.buckets[0].mean_cores = cores;
  p.profile.buckets[0].seasons = 1;
  p.profile.seen_at = 1'795'000'000s;
  return {p};
}
const std::string& text(double cores) {
  static const std::string kOne = format_profiles(learned(1)), kTwo = format_profiles(learned(2));
  return cores == 1 ? kOne : kTwo;
}

class EachError : public ::testing::TestWithParam<int> {};

TEST_P(EachError, AtAnyStepLeavesTheOldOrTheNewAndIsToldOnce) {
  for (const std::size_t taken : {0, 1, 200}) {
    for (std::size_t n = 1;; ++n) {
      SCOPED_TRACE("step " + std::to_string(n) + " after " + std::to_string(taken) + " bytes");
      FakeFiles files;
      files.put(kPath, text(1));
      ProfileStore store(kPath, files);
      files.fail_step(n, GetParam(), taken);
      store.save(learned(2));
      std::optional<std::string> told;
      // The last step syncs the folder and so the name; then the file survives the machine.
      const auto is_over = [&] {
        return (told = store.failed()) || (files.content(kPath) == text(2) && files.steps(Step::sync) == 2);
      };
      ASSERT_TRUE(comes_true(is_over));
      const bool reached = !files.fault_is_pending();
      if (reached && !told) (void)comes_true([&] { return (told = store.failed()).has_value() || n == 2; });
      EXPECT_THAT(files.content(kPath), AnyOf(text(1), text(2)));
      if (!told) {
        EXPECT_EQ(files.content(kPath), text(2));
      } else {
        EXPECT_THAT(*told, HasSubstr("What forecasts learn cannot be saved, so it ends with this run: "));
        EXPECT_THAT(*told, HasSubstr(::strerrordesc_np(GetParam())));
        EXPECT_THAT(*told, HasSubstr("'state"));
      }
      EXPECT_FALSE(store.failed());
      files.clear_faults();
      store.save(learned(2));
      EXPECT_TRUE(comes_true([&] { return files.content(kPath) == text(2); })) << "it is tried again";
      if (!reached) break;
    }
  }
}
INSTANTIATE_TEST_SUITE_P(OfProfiles, EachError, ::testing::Values(ENOSPC, EIO, EROFS),
                         [](const auto& each) { return std::string(::strerrorname_np(each.param)); });

TEST(ProfileFaults, AFullDiskIsToldOnceUntilItWasGood) {
  FakeFiles files;
  ProfileStore store(kPath, files);
  files.limit_space(10);
  std::optional<std::string> told;
  store.save(learned(1));
  ASSERT_TRUE(comes_true([&] { return (told = store.failed()).has_value(); }));
  EXPECT_THAT(*told, HasSubstr("No space left on device (ENOSPC)"));
  const auto steps = files.steps(Step::open_directory);
  store.save(learned(1));
  ASSERT_TRUE(
      comes_true([&] { return files.steps(Step::open_directory) > steps && files.open_handles() == 0; }));
  EXPECT_FALSE(store.failed());
  files.clear_faults();
  store.save(learned(1));
  ASSERT_TRUE(comes_true([&] { return files.content(kPath) == text(1) && files.open_handles() == 0; }));
  files.fail_every(Step::sync, EIO);
  store.save(learned(2));
  EXPECT_TRUE(comes_true([&] { return (told = store.failed()).has_value(); }));
  EXPECT_THAT(*told, HasSubstr("Input/output error (EIO)"));
  EXPECT_EQ(files.content(kPath), text(1));
  EXPECT_THAT(files.names("state"), ElementsAre("forecasts"));
}

TEST(ProfileFaults, WhereverTheMachineGoesDownTheOldOrTheNewIsThere) {
  for (const auto data : {FakeFiles::Data::lost, FakeFiles::Data::zeros, FakeFiles::Data::kept}) {
    for (std::size_t entries = 0; entries < 5; ++entries) {
      for (std::size_t n = 1;; ++n) {
        FakeFiles files;
        files.put(kPath, text(1));
        files.die_at_step(n, 100);
        ProfileStore(kPath, files).save(learned(2));
        const bool over = files.fault_is_pending();
        files.crash_machine({.data = data, .entries = entries});
        EXPECT_THAT(files.content(kPath), AnyOf(Eq(text(1)), Eq(text(2)))) << "step " << n;
        if (!over) continue;
        EXPECT_EQ(files.content(kPath), text(2)) << "it was done";
        break;
      }
    }
  }
}

TEST(ProfileFaults, WhatCannotBeReadIsToldAndKept) {
  for (std::size_t n = 1; n <= 3; ++n) {
    FakeFiles files;
    files.put(kPath, text(1));
    const ProfileStore store(kPath, files);
    files.fail_step(n, EIO);
    const auto found = store.load();
    EXPECT_TRUE(found.profiles.empty());
    EXPECT_THAT(found.notice.value_or(""), HasSubstr("Forecasts begin anew: "));
    EXPECT_THAT(found.notice.value_or(""), HasSubstr("Input/output error (EIO)"));
    EXPECT_EQ(files.content(kPath), text(1));
    EXPECT_EQ(files.content(kPath + ".corrupt").has_value(), n > 1) << "a save would replace it";
    EXPECT_EQ(files.open_handles(), 0u);
  }
}

TEST(ProfileFaults, WhatIsDamagedIsThereUntilTheFirstSave) {
  FakeFiles files;
  const auto damaged = text(1) + "forecast1 'b torn";
  files.put(kPath, damaged);
  for (const int error : {0, EPERM}) {
    files.fail_every(Step::link, error);
    const auto found = ProfileStore(kPath, files).load();
    EXPECT_EQ(found.profiles.size(), 1u);
    EXPECT_THAT(found.notice.value_or(""),
                HasSubstr(error == 0 ? "kept as state/forecasts.corrupt" : "not be kept aside"));
    EXPECT_EQ(files.content(kPath), damaged) << "a crash before the next save costs nothing";
  }
}

}  // namespace
}  // namespace sluice::record
