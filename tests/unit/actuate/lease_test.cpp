#include "daemon/actuate/lease.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>

#include "tests/unit/cgroups/plain_tree.hpp"

namespace sluice::actuate {
namespace {

using test::PlainTree;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using namespace std::chrono_literals;

constexpr const char* kBoot = "0f3a1c52-0000-4000-8000-00000000beef";
constexpr const char* kOtherBoot = "0f3a1c52-0000-4000-8000-00000000cafe";

LeaseEntry cpu(std::uint64_t id, std::string path = "/a", Usec quota = 50ms) {
  return {.id = {id},
          .path = std::move(path),
          .knob = Knob::cpu_max,
          .baseline = CpuMax{.quota = quota, .period = 100ms}};
}
LeaseEntry memory(std::uint64_t id, std::string path = "/a") {
  return {.id = {id}, .path = std::move(path), .knob = Knob::memory_high, .baseline = MemoryLimit{}};
}

class LeaseTest : public testing::Test {
 protected:
  std::string dir() const { return tree / "state"; }
  Lease open(const char* boot = kBoot) const {
    auto lease = Lease::open(dir(), boot);
    if (!lease) throw std::runtime_error(cgroups::describe(lease.error()));
    return std::move(*lease);
  }
  PlainTree tree;
};

TEST_F(LeaseTest, BeginsEmptyInAPrivateDirectory) {
  const auto lease = open();
  EXPECT_TRUE(lease.empty());
  EXPECT_THAT(lease.notices(), IsEmpty());
  struct stat status = {};
  ASSERT_EQ(::stat(dir().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0700u);
}

TEST_F(LeaseTest, IsOnDiskWhenAddReturns) {
  auto lease = open();
  ASSERT_TRUE(lease.add(std::vector{cpu(1), memory(1), cpu(2, "/b \x1b\xff")}));
  EXPECT_THAT(open().entries(), ElementsAre(cpu(1), memory(1), cpu(2, "/b \x1b\xff")));
  EXPECT_FALSE(tree.exists("state/lease.new"));
}

TEST_F(LeaseTest, TheFirstBaselineIsTheTrueOne) {
  auto lease = open();
  ASSERT_TRUE(lease.add(std::vector{cpu(1, "/a", 50ms)}));
  ASSERT_TRUE(lease.add(std::vector{cpu(1, "/a", 7ms)}));
  EXPECT_THAT(open().entries(), ElementsAre(cpu(1, "/a", 50ms)));
}

TEST_F(LeaseTest, RemovesCgroupsAndKnobs) {
  auto lease = open();
  ASSERT_TRUE(lease.add(std::vector{cpu(1), memory(1), cpu(2), memory(2), cpu(3)}));
  ASSERT_TRUE(lease.remove(std::vector{CgroupId{1}, CgroupId{99}}));
  ASSERT_TRUE(lease.remove(CgroupId{2}, Knob::cpu_max));
  EXPECT_THAT(lease.entries(), ElementsAre(memory(2), cpu(3)));
  EXPECT_THAT(open().entries(), ElementsAre(memory(2), cpu(3)));
  ASSERT_TRUE(lease.clear());
  EXPECT_TRUE(lease.empty());
  EXPECT_FALSE(tree.exists("state/lease"));
  ASSERT_TRUE(lease.clear()) << "twice is as good as once";
}

TEST_F(LeaseTest, AnEarlierBootsIsDroppedWithANotice) {
  ASSERT_TRUE(open(kOtherBoot).add(std::vector{cpu(1), memory(1)}));
  const auto lease = open(kBoot);
  EXPECT_TRUE(lease.empty());
  EXPECT_THAT(lease.notices(), ElementsAre(HasSubstr("2 baselines of an earlier boot")));
  EXPECT_THAT(open(kOtherBoot).entries(), IsEmpty()) << "it is gone from the disk as well";
}

TEST_F(LeaseTest, EveryIntactLineOfADamagedFileCounts) {
  ASSERT_TRUE(open().add(std::vector{cpu(1), cpu(2), cpu(3)}));
  auto text = tree.get("state/lease");
  text[text.find(" 2 cpu.max") + 1] = '7';  // the third line, after the comment
  text.resize(text.size() - 4);             // the last line, torn
  tree.put("state/lease", text);
  const auto lease = open();
  EXPECT_THAT(lease.entries(), ElementsAre(cpu(1)));
  ASSERT_THAT(lease.notices(), SizeIs(1));
  EXPECT_THAT(lease.notices()[0], HasSubstr("3 (its checksum is wrong), 4 (it is torn)"));
  EXPECT_THAT(lease.notices()[0], HasSubstr("kept as lease.corrupt"));
  EXPECT_EQ(tree.get("state/lease.corrupt"), text);
  EXPECT_THAT(open().entries(), ElementsAre(cpu(1)));
  EXPECT_THAT(open().notices(), IsEmpty()) << "said once";
}

TEST_F(LeaseTest, GarbageIsReportedNotObeyed) {
  tree.make_dir("state");
  tree.put("state/lease", std::string("\0\xff\n\nlease2 x\nlease1 00000000 a b c d e\n", 38));
  const auto lease = open();
  EXPECT_TRUE(lease.empty());
  ASSERT_THAT(lease.notices(), SizeIs(1));
  EXPECT_THAT(lease.notices()[0], HasSubstr("3 damaged lines"));
}

TEST_F(LeaseTest, AFailedWriteLeavesTheOldOne) {
  auto lease = open();
  ASSERT_TRUE(lease.add(std::vector{cpu(1)}));
  tree.make_dir("state/lease.new/in-the-way");  // a directory: cannot be unlinked, so not replaced
  const auto failed = lease.add(std::vector{cpu(2)});
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().path, dir() + "/lease.new");
  EXPECT_THAT(lease.entries(), ElementsAre(cpu(1))) << "what is not durable is not held";
  tree.remove("state/lease.new");
  EXPECT_THAT(open().entries(), ElementsAre(cpu(1)));
  EXPECT_TRUE(lease.add(std::vector{cpu(2)})) << "and may be tried again";
}

TEST_F(LeaseTest, RefusesADirectoryThatOthersCanWrite) {
  tree.make_dir("state");
  std::filesystem::permissions(dir(), std::filesystem::perms::all);
  EXPECT_EQ(Lease::open(dir(), kBoot).error().errno_value, EPERM);
  EXPECT_EQ(Lease::open(tree / "no/parent", kBoot).error().errno_value, ENOENT);
  EXPECT_EQ(Lease::open(tree / "else", "").error().errno_value, EINVAL);
}

TEST_F(LeaseTest, DoesNotFollowALink) {
  tree.make_dir("state");
  std::filesystem::permissions(dir(), std::filesystem::perms::owner_all);
  tree.put("elsewhere", "");
  std::filesystem::create_symlink(tree / "elsewhere", tree / "state/lease");
  EXPECT_EQ(Lease::open(dir(), kBoot).error().errno_value, ELOOP);
}

rc::Gen<LeaseEntry> any_entry() {
  return rc::gen::apply(
      [](std::uint64_t id, std::string path, bool is_cpu, std::uint32_t amount, bool limited) {
        LeaseEntry entry{.id = {id}, .path = "/" + std::move(path), .knob = {}, .baseline = {}};
        if (is_cpu) {
          entry.knob = Knob::cpu_max;
          entry.baseline =
              CpuMax{.quota = limited ? std::optional(Usec(amount + 1)) : std::nullopt, .period = 100ms};
        } else {
          entry.knob = Knob::memory_high;
          entry.baseline = MemoryLimit{limited ? std::optional<Bytes>(amount) : std::nullopt};
        }
        return entry;
      },
      rc::gen::arbitrary<std::uint64_t>(), rc::gen::arbitrary<std::string>(), rc::gen::arbitrary<bool>(),
      rc::gen::arbitrary<std::uint32_t>(), rc::gen::arbitrary<bool>());
}

RC_GTEST_PROP(LeaseText, RoundTripsAnyPath, ()) {
  const auto entries = *rc::gen::container<std::vector<LeaseEntry>>(any_entry());
  const auto text = format_lease(entries, kBoot);
  const auto parsed = parse_lease(text, kBoot);
  RC_ASSERT(parsed.entries == entries);
  RC_ASSERT(parsed.bad.empty());
  RC_ASSERT(parse_lease(text, kOtherBoot).other_boots == entries.size());
}

RC_GTEST_PROP(LeaseText, ADamagedByteCostsAtMostTwoLines, ()) {
  const auto entries = *rc::gen::suchThat(rc::gen::container<std::vector<LeaseEntry>>(any_entry()),
                                          [](const auto& list) { return !list.empty(); });
  auto text = format_lease(entries, kBoot);
  const auto first_entry = text.find('\n') + 1;
  const auto at = *rc::gen::inRange(first_entry, text.size());
  const auto byte = *rc::gen::distinctFrom(text[at]);
  text[at] = byte;
  const auto parsed = parse_lease(text, kBoot);
  RC_ASSERT(parsed.entries.size() + 2 >= entries.size());  // a lost newline joins two
  for (const auto& entry : parsed.entries) {
    RC_ASSERT(std::find(entries.begin(), entries.end(), entry) != entries.end());
  }
}

RC_GTEST_PROP(LeaseText, ATornFileKeepsAllButItsLastLine, ()) {
  const auto entries = *rc::gen::container<std::vector<LeaseEntry>>(any_entry());
  const auto text = format_lease(entries, kBoot);
  const auto size = *rc::gen::inRange<std::size_t>(0, text.size() + 1);
  const auto parsed = parse_lease(std::string_view(text).substr(0, size), kBoot);
  RC_ASSERT(parsed.bad.size() <= 1u);
  RC_ASSERT(std::equal(parsed.entries.begin(), parsed.entries.end(), entries.begin()));
}

}  // namespace
}  // namespace sluice::actuate
