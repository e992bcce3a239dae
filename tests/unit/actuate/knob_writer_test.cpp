#include "daemon/actuate/knob_writer.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>

#include "daemon/process/clock.hpp"
#include "tests/unit/cgroups/plain_tree.hpp"

namespace sluice::actuate {
namespace {

using test::PlainTree;
using namespace std::chrono_literals;
using Result = Receipt::Result;

class KnobWriters : public testing::Test {
 protected:
  KnobWriters() { tree.make_cgroup("a"), cgroup = cgroups::Cgroup::open(tree.root(), "/a").value(); }
  Order order(Knob knob, KnobValue value) const {
    return {.write = {.id = cgroup->id(), .knob = knob, .value = value, .reason = {}, .caused_at = {}},
            .cgroup = cgroup};
  }
  // The value has the length of the file's content, as plain files need.
  Order cpu() const { return order(Knob::cpu_max, CpuMax{.quota = 500ms, .period = 1ms * 10}); }

  PlainTree tree;
  cgroups::CgroupRef cgroup;
  CgroupfsWriter writer;
};

TEST_F(KnobWriters, WritesAndReadsBack) {
  const auto receipt = writer.apply(cpu());
  EXPECT_EQ(receipt.result, Result::written);
  EXPECT_EQ(receipt.holds, cpu().write.value);
  EXPECT_EQ(tree.get("a/cpu.max").substr(0, 12), "500000 10000");
}

TEST_F(KnobWriters, SeesThatAnotherValueIsHeld) {
  // A plain file does not round: it keeps bytes that a kernel would drop.
  const auto page = static_cast<Bytes>(::sysconf(_SC_PAGESIZE));
  tree.put("a/memory.high", "1000000000\n");
  const auto receipt =
      writer.apply(order(Knob::memory_high, MemoryLimit{1'000'000 * page / page * 1000 + 1}));
  EXPECT_EQ(receipt.result, Result::differs);
  EXPECT_TRUE(receipt.holds.has_value());
}

TEST_F(KnobWriters, RefusesDangerousValuesWithoutTrying) {
  const auto receipt = writer.apply(order(Knob::memory_high, MemoryLimit{0}));
  EXPECT_EQ(receipt.result, Result::refused);
  EXPECT_EQ(receipt.error_number, EINVAL);
  EXPECT_EQ(tree.get("a/memory.high"), "max\n");
}

TEST_F(KnobWriters, TellsAVanishedCgroupFromAMissingKnob) {
  tree.remove("a/cpu.max");
  const auto missing = writer.apply(cpu());
  EXPECT_EQ(missing.result, Result::refused);
  EXPECT_EQ(missing.error_number, ENOENT);
  tree.remove("a");
  EXPECT_EQ(writer.apply(cpu()).result, Result::vanished);
}

// A file size limit makes a plain file refuse a write, as a kernel does.
TEST_F(KnobWriters, ARefusedWriteIsReportedWithWhatIsHeldInstead) {
  rlimit before = {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  auto none = before;
  none.rlim_cur = 0;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &none), 0);
  const auto receipt = writer.apply(cpu());
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(receipt.result, Result::refused);
  EXPECT_EQ(receipt.error_number, EFBIG);
  EXPECT_EQ(receipt.written_at, MonotonicTime{});
  ASSERT_TRUE(receipt.holds);
  EXPECT_EQ(std::get<CpuMax>(*receipt.holds).quota, std::nullopt) << "what it held before";
}

TEST_F(KnobWriters, WhatCannotBeReadBackIsNoSuccess) {
  tree.put("a/cpu.max", "max 100000 and words that no kernel writes\n");
  const auto receipt = writer.apply(cpu());
  EXPECT_EQ(receipt.result, Result::refused);
  EXPECT_EQ(receipt.holds, std::nullopt);
}

TEST_F(KnobWriters, SaysWhenTheKernelTookTheValue) {
  const auto before = monotonic_now();
  const auto taken = writer.apply(cpu());
  EXPECT_GE(taken.written_at, before);
  tree.remove("a/cpu.max");
  EXPECT_EQ(writer.apply(cpu()).written_at, MonotonicTime{}) << "it did not";
}

}  // namespace
}  // namespace sluice::actuate
