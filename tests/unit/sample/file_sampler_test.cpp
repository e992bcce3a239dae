#include "daemon/sample/file_sampler.hpp"

#include <gtest/gtest.h>

#include <cerrno>

#include "tests/unit/cgroups/plain_tree.hpp"

namespace sluice::sample {
namespace {

using test::PlainTree;
using namespace std::chrono_literals;

constexpr MonotonicTime kNow{42s};
constexpr const char* kPressure =
    "some avg10=0.00 avg60=0.00 avg300=0.00 total=7\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=3\n";

class FileSampler : public testing::Test {
 protected:
  FileSampler() {
    tree.put(
        "t/cpu.stat",
        "usage_usec 900\nuser_usec 600\nsystem_usec 300\nnr_periods 4\nnr_throttled 2\nthrottled_usec 50\n");
    tree.put("t/cpu.max", "200000 100000\n");
    tree.put("t/cpu.pressure", kPressure);
    tree.put("t/memory.pressure", kPressure);
    tree.put(
        "t/io.pressure",
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=11\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=5\n");
    tree.put("t/memory.current", "8192\n");
    tree.put("t/memory.stat",
             "anon 4096\nfile 1024\nkernel 30\nshmem 0\nslab_reclaimable 10\nunevictable 5\npgscan "
             "0\npgsteal 0\n");
    tree.put("t/memory.events", "low 0\nhigh 9\nmax 0\noom 0\noom_kill 1\n");
    tree.put("t/memory.high", "1048576\n");
    tree.put("t/memory.max", "max\n");
    tree.put("t/memory.swap.max", "1000\n");
    tree.put("t/memory.swap.current", "400\n");
  }
  // Opens a new handle each time, so that no open file is reused.
  Sample sample(std::optional<Bytes> host_swap_free = 1'000'000) const {
    const auto root = tree.root();
    return sample_files(*cgroups::Cgroup::open(root, "/t").value(), kNow, host_swap_free).value();
  }
  PlainTree tree;
};

TEST_F(FileSampler, ReadsEverything) {
  const auto s = sample();
  EXPECT_EQ(s.id, cgroups::Cgroup::open(tree.root(), "/t").value()->id());
  EXPECT_EQ(s.read_at, kNow);
  EXPECT_EQ(s.source, SampleSource::files);
  EXPECT_EQ(s.cpu, (CpuUsage{.usage = 900us, .user = 600us, .system = 300us}));
  EXPECT_EQ(s.bandwidth, (CpuBandwidth{.nr_periods = 4, .nr_throttled = 2, .throttled = 50us}));
  EXPECT_EQ(s.cpu_pressure, (PressureTotals{.some = 7us, .full = 3us}));
  EXPECT_EQ(s.memory_pressure, (PressureTotals{.some = 7us, .full = 3us}));
  EXPECT_EQ(s.io_pressure, (PressureTotals{.some = 11us, .full = 5us}));
  EXPECT_EQ(s.memory_current, 8192u);
  ASSERT_TRUE(s.memory_stat.has_value());
  EXPECT_EQ(s.memory_stat->anon, 4096u);
  EXPECT_EQ(s.memory_stat->unreclaimable, 25u);
  ASSERT_TRUE(s.memory_events.has_value());
  EXPECT_EQ(s.memory_events->high, 9u);
  EXPECT_EQ(s.cpu_max, (CpuMax{.quota = 200ms, .period = 100ms}));
  EXPECT_EQ(s.memory_high, MemoryLimit{1048576});
  EXPECT_EQ(s.memory_max, MemoryLimit{});
  EXPECT_EQ(s.swap_free, 600u);
}

TEST_F(FileSampler, OneUnreadableFileCostsOnlyItself) {
  tree.put("t/memory.stat", "anon 40");  // truncated
  tree.remove("t/cpu.pressure");
  const auto s = sample();
  EXPECT_EQ(s.unreadable, bit(StatFile::memory_stat)) << "the other is not there";
  EXPECT_EQ(s.memory_stat, std::nullopt);
  EXPECT_EQ(s.cpu_pressure, std::nullopt);
  EXPECT_TRUE(s.cpu && s.bandwidth && s.memory_pressure && s.memory_current && s.memory_events && s.cpu_max &&
              s.memory_high && s.memory_max && s.swap_free);
}

TEST_F(FileSampler, AKernelWithoutIoPressureHasNoneAndNotZero) {
  tree.remove("t/io.pressure");
  const auto s = sample();
  EXPECT_EQ(s.io_pressure, std::nullopt);
  EXPECT_TRUE(s.memory_pressure && s.cpu_pressure);
}

TEST_F(FileSampler, ATornCpuStatIsNotTheEndOfTheCgroup) {
  tree.put("t/cpu.stat", "usage_usec 9");
  EXPECT_EQ(sample().cpu, std::nullopt);
  EXPECT_EQ(sample().memory_current, 8192u);
}

TEST_F(FileSampler, WithoutControllersThereIsUsage) {
  const PlainTree bare;
  bare.put("t/cpu.stat", "usage_usec 1\nuser_usec 1\nsystem_usec 0\n");
  const auto s = sample_files(*cgroups::Cgroup::open(bare.root(), "/t").value(), kNow, 5).value();
  EXPECT_TRUE(s.cpu.has_value());
  EXPECT_FALSE(s.bandwidth || s.cpu_max || s.memory_current || s.memory_high || s.swap_free);
}

TEST_F(FileSampler, AVanishedCgroupIsAnError) {
  const auto cgroup = cgroups::Cgroup::open(tree.root(), "/t").value();
  tree.remove("t");
  const auto result = sample_files(*cgroup, kNow);
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().errno_value, ENODEV);
}

TEST_F(FileSampler, FreeSwapIsTheLesserOfCgroupAndHost) {
  EXPECT_EQ(sample(100).swap_free, 100u);
  EXPECT_EQ(sample(0).swap_free, 0u);
  EXPECT_EQ(sample(std::nullopt).swap_free, std::nullopt) << "the host could have none";
  tree.put("t/memory.swap.max", "max\n");
  EXPECT_EQ(sample(100).swap_free, 100u);
  EXPECT_EQ(sample(std::nullopt).swap_free, std::nullopt);
  tree.put("t/memory.swap.max", "0\n");
  EXPECT_EQ(sample(std::nullopt).swap_free, 0u) << "the host cannot change that";
  tree.put("t/memory.swap.max", "300\n");
  EXPECT_EQ(sample(100).swap_free, 0u) << "more used than allowed";
  tree.put("t/memory.swap.max", "torn?\n");
  EXPECT_EQ(sample(100).swap_free, std::nullopt);
  tree.remove("t/memory.swap.max");
  EXPECT_EQ(sample(100).swap_free, 100u) << "a kernel without swap accounting";
}

}  // namespace
}  // namespace sluice::sample
