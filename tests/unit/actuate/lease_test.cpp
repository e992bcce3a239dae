#include "daemon/actuate/lease.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>

#include "tests/support/fake_files.hpp"
#include "tests/unit/actuate/leases.hpp"
#include "tests/unit/cgroups/plain_tree.hpp"

namespace sluice::actuate {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;
using Step = FakeFiles::Step;

Lease open(files::Files& files, const std::string& directory = "run", const char* boot = kBoot) {
  auto lease = Lease::open(files, directory, boot);
  if (!lease) throw std::runtime_error(cgroups::describe(lease.error()));
  return std::move(*lease);
}
cgroups::Result<void> apply(Lease& lease, std::vector<LeaseChange> changes) {
  return lease.apply(changes);
}

class LeaseTest : public testing::Test {
 protected:
  std::vector<LeaseEntry> on_file() const {
    return parse_lease(files.content("run/lease").value_or(""), kBoot).entries;
  }
  FakeFiles files;
};

TEST_F(LeaseTest, BeginsEmptyAndMakesNoFile) {
  auto lease = open(files);
  EXPECT_TRUE(lease.empty());
  EXPECT_THAT(lease.notices(), IsEmpty());
  const auto steps = files.steps();
  EXPECT_TRUE(apply(lease, {}));
  EXPECT_EQ(files.steps(), steps) << "nothing to do";
  EXPECT_THAT(files.names("run"), IsEmpty());
  EXPECT_FALSE(lease.covers(key_of(cpu(1)), quota(70'000)));
}

TEST_F(LeaseTest, IsOnFileWhenApplyReturnsInOneAppend) {
  auto lease = open(files);
  ASSERT_TRUE(apply(lease, {put(cpu(1)), put(memory(1)), put(cpu(2, "/b \x1b\xff"))}));
  EXPECT_EQ(files.steps(Step::write), 1u);
  EXPECT_EQ(files.steps(Step::sync), 0u) << "it has to survive the process only";
  files.crash_process();
  EXPECT_THAT(open(files).entries(), ElementsAre(cpu(1), memory(1), cpu(2, "/b \x1b\xff")));
}

TEST_F(LeaseTest, CoversTheValuesOfOursThatAreOnFileAndNoOthers) {
  auto lease = open(files);
  ASSERT_TRUE(apply(lease, {put(memory(1))}));
  EXPECT_TRUE(lease.covers(key_of(memory(1)), bytes(8192)));
  EXPECT_TRUE(lease.covers(key_of(memory(1)), bytes(4096)));
  EXPECT_FALSE(lease.covers(key_of(memory(1)), bytes(12288)));
  EXPECT_FALSE(lease.covers(key_of(memory(1)), MemoryLimit{})) << "the baseline is not ours";
  EXPECT_FALSE(lease.covers(key_of(cpu(1)), bytes(8192)));
  EXPECT_FALSE(lease.covers(key_of(memory(2)), bytes(8192)));
}

TEST_F(LeaseTest, TheLastChangeOfALimitCounts) {
  auto lease = open(files);
  ASSERT_TRUE(apply(lease, {put(cpu(1)), put(memory(1))}));
  ASSERT_TRUE(apply(lease, {put(cpu(1, "/a", {quota(80'000)})), drop(memory(1))}));
  EXPECT_FALSE(lease.covers(key_of(cpu(1)), quota(70'000)));
  EXPECT_TRUE(lease.covers(key_of(cpu(1)), quota(80'000)));
  EXPECT_THAT(lease.entries(), ElementsAre(cpu(1, "/a", {quota(80'000)})));
  EXPECT_EQ(on_file(), lease.entries());
  const auto writes = files.steps(Step::write);
  ASSERT_TRUE(apply(lease, {put(cpu(1, "/a", {quota(80'000)})), drop(memory(1)), drop(cpu(9))}));
  EXPECT_EQ(files.steps(Step::write), writes) << "the file says all of that already";
}

TEST_F(LeaseTest, AnEarlierBootsIsDroppedWithANotice) {
  {
    auto lease = open(files, "run", kOtherBoot);
    ASSERT_TRUE(apply(lease, {put(cpu(1)), put(memory(1))}));
  }
  const auto lease = open(files);
  EXPECT_TRUE(lease.empty());
  EXPECT_THAT(lease.notices(),
              ElementsAre("run/lease: dropped 2 baselines of an earlier boot, whose cgroups are gone."));
  EXPECT_THAT(open(files, "run", kOtherBoot).entries(), IsEmpty()) << "it is gone from the file as well";
}

TEST_F(LeaseTest, EveryIntactLineOfADamagedFileCounts) {
  {
    auto lease = open(files);
    ASSERT_TRUE(apply(lease, {put(cpu(1)), put(cpu(2)), put(cpu(3))}));
  }
  auto text = *files.content("run/lease");
  text[text.find(" 2 cpu.max") + 1] = '7';
  files.put("run/lease", text);
  const auto lease = open(files);
  EXPECT_THAT(lease.entries(), ElementsAre(cpu(1), cpu(3)));
  EXPECT_THAT(lease.notices(),
              ElementsAre("run/lease: 1 damaged line ignored: 2 (its checksum is wrong); 2 baselines are "
                          "intact; the file was kept as lease.corrupt."));
  EXPECT_EQ(files.content("run/lease.corrupt"), text);
  EXPECT_THAT(open(files).entries(), ElementsAre(cpu(1), cpu(3)));
  EXPECT_THAT(open(files).notices(), IsEmpty()) << "said once";
}

TEST_F(LeaseTest, WhatAKilledProcessToreIsNoDamage) {
  {
    auto lease = open(files);
    ASSERT_TRUE(apply(lease, {put(cpu(1))}));
    ASSERT_TRUE(apply(lease, {put(cpu(2))}));
  }
  files.crash_process(40);
  auto lease = open(files);
  EXPECT_THAT(lease.entries(), ElementsAre(cpu(1)));
  EXPECT_THAT(lease.notices(), IsEmpty());
  EXPECT_THAT(files.names("run"), ElementsAre("lease"));
  ASSERT_TRUE(apply(lease, {put(cpu(3))}));
  EXPECT_THAT(on_file(), ElementsAre(cpu(1), cpu(3)));
}

TEST_F(LeaseTest, TornAndDamagedAreToldApart) {
  files.put("run/lease", format_lease(std::vector{cpu(1)}, kBoot) + "not a line\n" +
                             format_lease_change(put(cpu(2)), kBoot).substr(0, 30));
  const auto lease = open(files);
  EXPECT_THAT(lease.entries(), ElementsAre(cpu(1)));
  ASSERT_THAT(lease.notices(), SizeIs(1));
  EXPECT_THAT(lease.notices()[0], HasSubstr("1 damaged line ignored: 3 (it has not the fields of a line)"));
}

TEST_F(LeaseTest, GarbageIsReportedNotObeyed) {
  files.put("run/lease", std::string_view("\0\xff\n\nlease2 x\nlease1 00000000 a b c d e\n", 39));
  files.fail_every(Step::link, EPERM);  // a file system without hard links
  const auto lease = open(files);
  EXPECT_TRUE(lease.empty());
  ASSERT_THAT(lease.notices(), SizeIs(1));
  EXPECT_THAT(lease.notices()[0], HasSubstr("3 damaged lines"));
  EXPECT_THAT(lease.notices()[0], HasSubstr("the file could not be kept aside."));
}

TEST_F(LeaseTest, CompactionKeepsTheEntries) {
  auto lease = open(files);
  ASSERT_TRUE(apply(lease, {put(memory(7)), put(cpu(8, "/b"))}));
  std::size_t longest = 0;
  for (std::int64_t i = 1; i <= 3000; ++i) {
    ASSERT_TRUE(apply(lease, {put(cpu(1, "/a", {quota(i * 1000)}))}));
    longest = std::max(longest, files.content("run/lease")->size());
  }
  EXPECT_LT(longest, 80'000u) << "3000 lines take 300 KB";
  EXPECT_THAT(*files.content("run/lease"), StartsWith("# "));
  EXPECT_THAT(lease.entries(), ElementsAre(cpu(1, "/a", {quota(3'000'000)}), memory(7), cpu(8, "/b")));
  EXPECT_EQ(on_file(), lease.entries());
  EXPECT_THAT(files.names("run"), ElementsAre("lease"));
  EXPECT_EQ(files.open_handles(), 2u) << "of the directory, and the file as it is now";
}

TEST_F(LeaseTest, IsRewrittenOnlyWhenItIsLongAndMostOfItIsSuperseded) {
  auto lease = open(files);
  const auto change_a_few = [&] {
    for (std::int64_t i = 1; i <= 10; ++i) ASSERT_TRUE(apply(lease, {put(cpu(1, "/a", {quota(i * 1000)}))}));
  };
  change_a_few();
  EXPECT_EQ(files.steps(Step::rename), 0u) << "it is short";
  std::vector<LeaseChange> many;
  for (std::uint64_t id = 1; id <= 2000; ++id) many.push_back(put(cpu(id)));
  ASSERT_TRUE(apply(lease, many));
  ASSERT_GT(files.content("run/lease")->size(), 100'000u);
  change_a_few();
  EXPECT_EQ(files.steps(Step::rename), 0u) << "nearly all of it counts";
}

TEST_F(LeaseTest, AnEarlierProcesssLinesAreNoReasonToGrow) {
  std::string text;
  for (std::int64_t i = 1; i <= 3000; ++i)
    text += format_lease_change(put(cpu(1, "/a", {quota(i * 1000)})), kBoot);
  files.put("run/lease", text);
  auto lease = open(files);
  std::size_t longest = 0;
  for (std::int64_t i = 1; i <= 3000; ++i) {
    ASSERT_TRUE(apply(lease, {put(cpu(1, "/a", {quota(i * 1000)}))}));
    longest = std::max(longest, files.content("run/lease")->size());
  }
  EXPECT_LT(longest, 80'000u);
}

// An error of an earlier version: a reopened file counted as empty, so the next failed append cut everything
// off.
TEST_F(LeaseTest, NoDescriptorAfterCompactionLosesNothing) {
  auto lease = open(files);
  ASSERT_TRUE(apply(lease, {put(memory(7))}));
  files.fail_every(Step::open, EMFILE);
  std::int64_t i = 1;
  while (files.content("run/lease.new") || files.steps(Step::rename) == 0) {
    files.clear_faults();
    ASSERT_TRUE(apply(lease, {put(cpu(1, "/a", {quota(++i * 1000)}))}));
  }
  files.fail_every(Step::open, EMFILE);
  EXPECT_FALSE(apply(lease, {put(cpu(2))}));
  files.clear_faults();
  files.fail_step(2, ENOSPC, 10);  // the write, after the open
  EXPECT_FALSE(apply(lease, {put(cpu(3))}));
  EXPECT_EQ(on_file(), lease.entries());
  EXPECT_THAT(on_file(), ElementsAre(cpu(1, "/a", {quota(i * 1000)}), memory(7)));
}

TEST_F(LeaseTest, AFileThatCannotBeCompactedStaysReadable) {
  files.put("run/lease",
            "#" + std::string((64u << 20) - 120, 'x') + "\n" + format_lease_change(drop(cpu(1)), kBoot));
  files.fail_every(Step::rename, EIO);
  auto lease = open(files);
  ASSERT_TRUE(apply(lease, {}));
  const auto refused = apply(lease, {put(cpu(1))});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().errno_value, EFBIG);
  EXPECT_FALSE(lease.covers(key_of(cpu(1)), quota(70'000)));
  files.clear_faults();
  EXPECT_TRUE(apply(lease, {}));
  EXPECT_TRUE(lease.covers(key_of(cpu(1)), quota(70'000)));
  EXPECT_LT(files.content("run/lease")->size(), 1000u);
}

TEST_F(LeaseTest, RemoveTakesTheFileOrNothing) {
  auto lease = open(files);
  ASSERT_TRUE(apply(lease, {put(cpu(1))}));
  files.fail_every(Step::remove, EROFS);
  ASSERT_FALSE(lease.remove());
  EXPECT_THAT(lease.entries(), ElementsAre(cpu(1)));
  files.fail_every(Step::remove, 0);
  ASSERT_TRUE(lease.remove());
  EXPECT_TRUE(lease.empty());
  EXPECT_THAT(files.names("run"), IsEmpty());
  EXPECT_TRUE(lease.remove()) << "twice is as good as once";
  ASSERT_TRUE(apply(lease, {put(cpu(2))}));
  EXPECT_THAT(on_file(), ElementsAre(cpu(2)));
}

TEST_F(LeaseTest, WhatCouldNotBeWrittenGoesWithIt) {
  auto lease = open(files);
  files.fail_every(Step::write, ENOSPC);
  ASSERT_FALSE(apply(lease, {put(cpu(1))}));
  ASSERT_TRUE(lease.remove());
  files.clear_faults();
  ASSERT_TRUE(apply(lease, {put(cpu(2))}));
  EXPECT_THAT(on_file(), ElementsAre(cpu(2)));
}

TEST_F(LeaseTest, ADiskThatTakesNothingIsNoReasonNotToBegin) {
  const auto text =
      format_lease(std::vector{cpu(1), cpu(2)}, kBoot) + format_lease_change(drop(cpu(1)), kBoot) + "lea";
  files.put("run/lease", text);
  files.limit_space(0);
  auto lease = open(files);
  EXPECT_THAT(lease.entries(), ElementsAre(cpu(2))) << "--restore needs it";
  EXPECT_FALSE(lease.covers(key_of(cpu(2)), quota(70'000))) << "not before what is torn is cut off";
  EXPECT_TRUE(apply(lease, {}));
  EXPECT_TRUE(lease.covers(key_of(cpu(2)), quota(70'000)));
  EXPECT_FALSE(apply(lease, {drop(cpu(2))}));
  EXPECT_EQ(on_file(), lease.entries());
  EXPECT_TRUE(lease.remove()) << "that needs no space";
}

TEST(LeaseOnDisk, WorksOnARealFileSystem) {
  const PlainTree tree;
  const auto dir = tree / "run";
  {
    auto lease = open(files::posix_files(), dir);
    ASSERT_TRUE(apply(lease, {put(cpu(1)), put(memory(1))}));
    ASSERT_TRUE(apply(lease, {drop(cpu(1))}));
  }
  struct stat status = {};
  ASSERT_EQ(::stat(dir.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0755u);
  auto lease = open(files::posix_files(), dir);
  EXPECT_THAT(lease.entries(), ElementsAre(memory(1)));
  EXPECT_TRUE(lease.remove());
  EXPECT_FALSE(tree.exists("run/lease"));
}

TEST(LeaseOnDisk, RefusesADirectoryThatOthersCanWrite) {
  const PlainTree tree;
  auto& files = files::posix_files();
  tree.make_dir("run");
  std::filesystem::permissions(tree / "run", std::filesystem::perms::all);
  EXPECT_EQ(Lease::open(files, tree / "run", kBoot).error().errno_value, EPERM);
  EXPECT_EQ(Lease::open(files, tree / "no/parent", kBoot).error().errno_value, ENOENT);
  EXPECT_EQ(Lease::open(files, tree / "else", "").error().errno_value, EINVAL);
  EXPECT_EQ(Lease::open(files, tree / "else", "two words").error().errno_value, EINVAL);
}

TEST(LeaseOnDisk, DoesNotFollowALink) {
  const PlainTree tree;
  tree.make_dir("run");
  std::filesystem::permissions(tree / "run", std::filesystem::perms::owner_all);
  tree.put("elsewhere", "");
  std::filesystem::create_symlink(tree / "elsewhere", tree / "run/lease");
  EXPECT_EQ(Lease::open(files::posix_files(), tree / "run", kBoot).error().errno_value, ELOOP);
}

}  // namespace
}  // namespace sluice::actuate
