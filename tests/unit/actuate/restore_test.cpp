#include "daemon/actuate/restore.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/unit/cgroups/plain_tree.hpp"

namespace sluice::actuate {
namespace {

using test::PlainTree;
using testing::HasSubstr;
using testing::SizeIs;
using namespace std::chrono_literals;
using Result = Restored::Result;

class RestoreTest : public testing::Test {
 protected:
  RestoreTest() { tree.make_cgroup("a"), tree.make_cgroup("b"); }
  LeaseEntry entry(const std::string& path, KnobValue baseline) const {
    const auto knob = std::holds_alternative<CpuMax>(baseline) ? Knob::cpu_max : Knob::memory_high;
    return {.id = cgroups::Cgroup::open(tree.root(), path).value()->id(),
            .path = path,
            .knob = knob,
            .baseline = baseline};
  }
  std::vector<Restored> restored(const std::vector<LeaseEntry>& entries) const {
    return restore(tree.root(), entries);
  }
  PlainTree tree;
};

TEST_F(RestoreTest, GivesBaselinesBackInTheOrderAsked) {
  tree.put("a/cpu.max", "7000 100000\n");
  tree.put("a/memory.high", "4096000\n");
  const std::vector entries = {entry("/a", MemoryLimit{8192000}), entry("/b", CpuMax{}),
                               entry("/a", CpuMax{.quota = 5ms, .period = 100ms})};
  const auto results = restored(entries);
  ASSERT_THAT(results, SizeIs(3));
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(results[i].entry, entries[i]);
  EXPECT_EQ(results[0].result, Result::restored);
  EXPECT_EQ(results[1].result, Result::unchanged);
  EXPECT_EQ(results[2].result, Result::restored);
  EXPECT_EQ(tree.get("a/memory.high"), "8192000\n");
  EXPECT_EQ(tree.get("a/cpu.max"), "5000 100000\n");
}

TEST_F(RestoreTest, LeavesAnotherCgroupOfTheSameNameAlone) {
  auto lost = entry("/a", CpuMax{.quota = 5ms, .period = 100ms});
  lost.id.value += 1'000'000;
  EXPECT_EQ(restored({lost}).at(0).result, Result::vanished);
  EXPECT_EQ(tree.get("a/cpu.max"), "max 100000\n");
}

TEST_F(RestoreTest, AVanishedCgroupIsFine) {
  const auto gone = entry("/a", CpuMax{.quota = 5ms, .period = 100ms});
  tree.remove("a");
  EXPECT_EQ(restored({gone}).at(0).result, Result::vanished);
}

TEST_F(RestoreTest, AFailureIsToldAndTheRestIsDone) {
  tree.remove("a/memory.high");
  std::filesystem::create_symlink("/nowhere", tree / "a/memory.high");
  tree.put("b/memory.high", "4096000\n");
  const auto results = restored({{.id = entry("/a", CpuMax{}).id,
                                  .path = "/a",
                                  .knob = Knob::memory_high,
                                  .baseline = MemoryLimit{8192000}},
                                 entry("/b", MemoryLimit{8192000})});
  EXPECT_EQ(results.at(0).result, Result::failed);
  EXPECT_THAT(results.at(0).message, HasSubstr("a/memory.high"));
  EXPECT_THAT(results.at(0).message, HasSubstr("ELOOP"));
  EXPECT_EQ(results.at(1).result, Result::restored);
}

TEST_F(RestoreTest, WritesABaselineThatTheGovernorWouldNotDare) {
  tree.put("a/memory.high", "9\n");
  EXPECT_EQ(restored({entry("/a", MemoryLimit{0})}).at(0).result, Result::restored);
  EXPECT_EQ(tree.get("a/memory.high"), "0\n");
}

TEST_F(RestoreTest, NothingToDoIsDone) {
  EXPECT_THAT(restored({}), SizeIs(0));
}

}  // namespace
}  // namespace sluice::actuate
