#include "daemon/record/profile_store.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "daemon/decide/forecast.hpp"
#include "daemon/record/lines.hpp"
#include "tests/unit/record/random_values.hpp"

namespace sluice::record {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using sluice::testing::Filler;
using ::testing::HasSubstr;

NamedProfile learned(const std::string& task, std::uint64_t seed) {
  Filler filler(seed);
  NamedProfile p{task, empty_profile(std::chrono::hours(1 + static_cast<int>(seed % 24)))};
  for (auto& bucket : p.profile.buckets) {
    bucket.mean_cores = static_cast<double>(filler.dice(100'000)) / 1e5;
    bucket.spread_cores = static_cast<double>(filler.dice(100'000)) / 1e5;
    bucket.seasons = static_cast<std::uint32_t>(filler.dice(9));
  }
  p.profile.error_ratio = 0.125;
  p.profile.compared = 3;
  p.profile.seen_at = 1'795'000'000s;
  return p;
}

void expect_same(const std::vector<NamedProfile>& a, const std::vector<NamedProfile>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].task, b[i].task);
    EXPECT_EQ(a[i].profile, b[i].profile);
  }
}

const std::vector<NamedProfile>& three() {
  static const std::vector<NamedProfile> kThree{learned("orders", 1), learned("odd name\n#'%", 2),
                                                learned("clicks", 23)};
  return kThree;
}

class Store : public ::testing::Test {
 public:
  ~Store() override { fs::remove_all(folder); }

 protected:
  Store() {
    std::string pattern = fs::temp_directory_path() / "sluice-profiles-XXXXXX";
    folder = ::mkdtemp(pattern.data());
    path = folder / "forecasts";
  }
  void put(const std::string& text) const { std::ofstream(path) << text; }
  std::string text() const {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  ProfileStore::Loaded load() const { return ProfileStore(path).load(); }

  fs::path folder, path;
};

TEST_F(Store, WhatIsSavedIsThereForTheNextRun) {
  {
    ProfileStore store(path);
    store.save(three());
  }
  struct stat s {};
  ASSERT_EQ(::stat(path.c_str(), &s), 0);
  EXPECT_EQ(s.st_mode & 0777, 0600U);
  const auto found = load();
  EXPECT_FALSE(found.notice);
  expect_same(found.profiles, three());
  EXPECT_FALSE(fs::exists(path.string() + ".new"));
}

TEST_F(Store, TheLastOneCounts) {
  {
    ProfileStore store(path);
    for (std::uint64_t i = 0; i < 50; ++i) store.save({learned("n", i)});
  }
  expect_same(load().profiles, {learned("n", 49)});
}

TEST_F(Store, ThereIsNoneAtFirst) {
  const auto found = load();
  EXPECT_TRUE(found.profiles.empty());
  EXPECT_FALSE(found.notice);
  EXPECT_FALSE(fs::exists(path)) << "nothing was learned, nothing is written";
}

TEST_F(Store, ADamagedLineCostsItselfOnlyAndIsTold) {
  auto damaged = format_profiles(three());
  damaged[damaged.find("orders") + 2] = 'X';
  put(damaged);
  const auto found = load();
  expect_same(found.profiles, {three()[1], three()[2]});
  ASSERT_TRUE(found.notice);
  EXPECT_THAT(*found.notice,
              HasSubstr("forecasts: 1 damaged or foreign line(s) ignored: line 2 (the line's checksum "
                        "does not fit its content); what was learned of 2 task(s) is intact; the "
                        "file was kept as "));
  EXPECT_TRUE(fs::exists(path.string() + ".corrupt"));
}

TEST_F(Store, AnotherVersionIsTold) {
  put(sealed("forecast9 'orders 1 2 3"));
  const auto found = load();
  EXPECT_TRUE(found.profiles.empty());
  EXPECT_THAT(found.notice.value_or(""), HasSubstr("line 1 (of another version)"));
}

TEST_F(Store, AFileThatIsNoFileIsTold) {
  fs::create_directory(path);
  EXPECT_THAT(load().notice.value_or(""), HasSubstr("Forecasts begin anew: open what is no regular file '"));
  fs::remove(path);
  fs::create_symlink(folder / "elsewhere", path);
  EXPECT_THAT(load().notice.value_or(""), HasSubstr("Too many levels of symbolic links (ELOOP)"));
}

TEST_F(Store, AFolderThatOthersCanChangeIsNotBelieved) {
  put(format_profiles(three()));
  fs::permissions(folder, fs::perms::all);
  EXPECT_TRUE(load().profiles.empty());
  EXPECT_THAT(load().notice.value_or(""),
              HasSubstr("Forecasts begin anew: others can write to the directory"));
}

TEST_F(Store, TheFolderIsMadeByTheFirstSave) {
  path = folder / "state" / "forecasts";
  EXPECT_FALSE(load().notice);
  EXPECT_FALSE(fs::exists(folder / "state"));
  ProfileStore(path).save(three());
  expect_same(load().profiles, three());
}

TEST_F(Store, ADiskThatRefusesIsToldOnceAndWhatWasThereStays) {
  put("as it was");
  fs::create_directory(path.string() + ".new");
  fs::create_directory(path.string() + ".new/full");
  std::size_t told = 0;
  ProfileStore store(path);
  const auto wait_for_it = [&] {
    for (int i = 0; i < 5'000; ++i) {
      if (const auto why = store.failed()) {
        EXPECT_THAT(*why, HasSubstr("What forecasts learn cannot be saved, so it ends with this run: open '" +
                                    path.string() + ".new': File exists (EEXIST)."));
        ++told;
        return;
      }
      ::usleep(1'000);
    }
  };
  store.save(three());
  wait_for_it();
  EXPECT_EQ(told, 1U);
  store.save(three());
  EXPECT_FALSE(store.failed());
  EXPECT_EQ(text(), "as it was");
}

// Wherever a file is cut: complete lines are read, and nothing else.
TEST(ProfileText, EveryPartialFileHasItsWholeLines) {
  const auto whole = format_profiles(three());
  for (std::size_t size = 0; size < whole.size(); size += 37) {
    const auto parsed = parse_profiles(std::string_view(whole).substr(0, size));
    ASSERT_LE(parsed.profiles.size(), 3U);
    for (std::size_t i = 0; i < parsed.profiles.size(); ++i)
      ASSERT_EQ(parsed.profiles[i].profile, three()[i].profile);
    ASSERT_LE(parsed.bad.size(), 1U);
  }
}

TEST(ProfileText, ForgedLinesAreNoProfiles) {
  const auto why = [](const std::string& body) {
    const auto parsed = parse_profiles(sealed(body));
    EXPECT_TRUE(parsed.profiles.empty());
    return parsed.bad.size() == 1 ? parsed.bad[0] : std::string("none");
  };
  EXPECT_THAT(why("forecast1"), HasSubstr("ends too early"));
  EXPECT_THAT(why("forecast1 'n 3600 99999999"), HasSubstr("longer than its line"));
  EXPECT_THAT(why("forecast1 'n 3600 1 1 0 1 0 3 0"), HasSubstr("no profile that can be"));
  EXPECT_THAT(why("forecast1 'n 0 0 0 0 0"), HasSubstr("no profile that can be"));
  EXPECT_THAT(why("forecast1 'n 10 1 nan 0 1 0 3 0"), HasSubstr("line 1 ("));
  EXPECT_THAT(why("forecast1 'n 10 1 1 0 1 0 3 0 7"), HasSubstr("more on it than belongs there"));
  EXPECT_EQ(parse_profiles(sealed("forecast1 'n 10 1 1 0 1 0 3 0")).profiles.size(), 1U);
}

}  // namespace
}  // namespace sluice::record
