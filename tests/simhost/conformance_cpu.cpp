// cpu.max, cpu.max.burst, cpu.weight, cpu.stat: which writes are accepted, and what is read back.
#include "cgroups/cgroup.hpp"
#include "tests/simhost/conformance.hpp"

namespace conformance {

using CpuMax = Conformance;

TEST_F(CpuMax, DefaultIsUnlimited) {
  EXPECT_EQ(read("cpu.max"), "max 100000\n");
}

TEST_F(CpuMax, HoldsWhatIsWritten) {
  EXPECT_HOLDS("cpu.max", "50000 100000", "50000 100000\n");
  EXPECT_HOLDS("cpu.max", "250000 200000\n", "250000 200000\n");
  EXPECT_HOLDS("cpu.max", "1000 1000", "1000 1000\n");
  EXPECT_HOLDS("cpu.max", "1000 1000000", "1000 1000000\n");
  EXPECT_HOLDS("cpu.max", "max", "max 1000000\n");
}

TEST_F(CpuMax, KeepsThePeriodThatIsNotGiven) {
  EXPECT_HOLDS("cpu.max", "30000 50000", "30000 50000\n");
  EXPECT_HOLDS("cpu.max", "20000", "20000 50000\n");
  EXPECT_HOLDS("cpu.max", "max", "max 50000\n");
  EXPECT_HOLDS("cpu.max", "max 100000", "max 100000\n");
}

TEST_F(CpuMax, RefusesTooSmallAQuota) {
  ASSERT_EQ(write("cpu.max", "50000 100000"), 0);
  for (const char* text : {"999", "999 100000", "0", "0 100000", "1"})
    EXPECT_REFUSED("cpu.max", text, EINVAL);
}

TEST_F(CpuMax, RefusesAPeriodOutOfOneMillisecondToOneSecond) {
  for (const char* text : {"50000 999", "50000 1000001", "50000 0", "max 999", "max 1000001"}) {
    EXPECT_REFUSED("cpu.max", text, EINVAL);
  }
}

TEST_F(CpuMax, RefusesWhatIsNoNumber) {
  for (const char* text :
       {"-1", "+50000", "5e4", "abc", "\n", " ", "Max", "maxx", "max,100000", "-1 100000"}) {
    EXPECT_REFUSED("cpu.max", text, EINVAL);
  }
}

TEST_F(CpuMax, IgnoresAnEmptyWrite) {
  ASSERT_EQ(write("cpu.max", "50000 100000"), 0);
  EXPECT_HOLDS("cpu.max", "", "50000 100000\n");
}

TEST_F(CpuMax, AcceptsTrailingJunk) {
  EXPECT_HOLDS("cpu.max", "50000 100000 and more", "50000 100000\n");
  EXPECT_HOLDS("cpu.max", "60000 100000x", "60000 100000\n");
  EXPECT_HOLDS("cpu.max", "70000x", "70000 100000\n");
  EXPECT_HOLDS("cpu.max", "80000 junk", "80000 100000\n");
  EXPECT_HOLDS("cpu.max", "max max", "max 100000\n");
  EXPECT_HOLDS("cpu.max", "40000.5 100000", "40000 100000\n");
}

TEST_F(CpuMax, SkipsLeadingSpace) {
  EXPECT_HOLDS("cpu.max", " \t50000\t100000", "50000 100000\n");
}

TEST_F(CpuMax, WrapsAt64Bits) {
  EXPECT_REFUSED("cpu.max", "18446744073709551616 100000", EINVAL);          // 0
  EXPECT_HOLDS("cpu.max", "18446744073709601616 100000", "50000 100000\n");  // 2^64 + 50000
}

TEST_F(CpuMax, RefusesMoreThanTheKernelCanCount) {
  EXPECT_REFUSED("cpu.max", "17592186044416 100000", EINVAL);  // 2^44
  EXPECT_HOLDS("cpu.max", "17592186044415 100000", "17592186044415 100000\n");
}

TEST_F(CpuMax, AWordEndsAfterTwentyBytes) {
  // 21 digits: the first 20 are the quota (10^19 and more, too large), the last is the period.
  EXPECT_REFUSED("cpu.max", "000000000000000050000 100000", EINVAL);  // quota 5000, period 0
  EXPECT_HOLDS("cpu.max", "00000000000000050000 100000", "50000 100000\n");
}

TEST_F(CpuMax, OffsetsDoNotMatter) {
  const Fd fd = open_file(file("cpu.max"), O_RDWR);
  ASSERT_EQ(pwrite(fd.get(), "50000 100000", 12, 7), 12);
  EXPECT_EQ(read("cpu.max"), "50000 100000\n");
  ASSERT_EQ(::write(fd.get(), "60000 100000", 12), 12);
  ASSERT_EQ(::write(fd.get(), "70000 100000", 12), 12);  // the offset has moved on
  EXPECT_EQ(read("cpu.max"), "70000 100000\n");
}

TEST_F(CpuMax, TruncatingOpenChangesNothing) {
  ASSERT_EQ(write("cpu.max", "50000 100000"), 0);
  const Fd fd = open_file(file("cpu.max"), O_WRONLY | O_TRUNC);
  EXPECT_GE(fd.get(), 0);
  EXPECT_EQ(read("cpu.max"), "50000 100000\n");
}

TEST_F(CpuMax, AChildMayHaveMoreThanItsParent) {
  ASSERT_EQ(write("cgroup.subtree_control", "+cpu"), 0);
  ASSERT_EQ(mkdir(file("child").c_str(), 0755), 0);
  ASSERT_EQ(write("cpu.max", "10000 100000"), 0);
  EXPECT_HOLDS("child/cpu.max", "90000 100000", "90000 100000\n");
}

TEST_F(CpuMax, BurstIsAtMostTheQuota) {
  EXPECT_EQ(read("cpu.max.burst"), "0\n");
  ASSERT_EQ(write("cpu.max", "50000 100000"), 0);
  EXPECT_HOLDS("cpu.max.burst", "50000", "50000\n");
  EXPECT_REFUSED("cpu.max.burst", "50001", EINVAL);
  EXPECT_HOLDS("cpu.max.burst", "20000", "20000\n");
}

TEST_F(CpuMax, RefusesAQuotaBelowTheBurst) {
  ASSERT_EQ(write("cpu.max", "50000 100000"), 0);
  ASSERT_EQ(write("cpu.max.burst", "20000"), 0);
  EXPECT_REFUSED("cpu.max", "19999 100000", EINVAL);
  EXPECT_HOLDS("cpu.max", "20000 100000", "20000 100000\n");
  EXPECT_HOLDS("cpu.max", "max 100000", "max 100000\n");
  EXPECT_EQ(read("cpu.max.burst"), "20000\n");
}

TEST_F(CpuMax, BurstIsParsedStrictly) {
  ASSERT_EQ(write("cpu.max", "50000 100000"), 0);
  for (const char* text : {"10000 1", "10000x", "abc", "-1", "\n", " 10000", "10000 "}) {
    EXPECT_REFUSED("cpu.max.burst", text, EINVAL);
  }
  EXPECT_REFUSED("cpu.max.burst", "18446744073709551616", ERANGE);
  EXPECT_HOLDS("cpu.max.burst", "10000\n", "10000\n");
  EXPECT_HOLDS("cpu.max.burst", "0x2710", "10000\n");
  EXPECT_HOLDS("cpu.max.burst", "017500", "8000\n");
  EXPECT_HOLDS("cpu.max.burst", "", "8000\n");
}

// Tests our writer, not the kernel: quota and burst change in any order.
TEST_F(CpuMax, OurWriterGetsAQuotaAndItsBurstPastTheKernel) {
  const auto root = sluice::cgroups::Root::open(options().root, sluice::cgroups::Verify::none);
  ASSERT_TRUE(root);
  const auto ours = sluice::cgroups::Cgroup::open(*root, model_path());
  ASSERT_TRUE(ours);
  using sluice::Usec;
  using Value = sluice::CpuMax;
  const auto quota = [](int usec, std::optional<int> burst = {}) {
    return Value{.quota = Usec(usec),
                 .period = Usec(100'000),
                 .burst = burst ? std::optional(Usec(*burst)) : std::nullopt};
  };
  const Value unlimited{.quota = {}, .period = Usec(100'000), .burst = Usec(30'000)};
  for (const auto& value : {quota(50'000, 50'000), quota(80'000, 80'000), quota(20'000, 20'000),
                            quota(20'000, 0), quota(60'000, 10'000), quota(9'000, 9'000), unlimited,
                            quota(10'000, 5'000), unlimited, quota(40'000, 40'000)}) {
    const auto written = (*ours)->write(sluice::Knob::cpu_max, value);
    EXPECT_TRUE(written) << (written ? "" : describe(written.error()));
    EXPECT_EQ((*ours)->read_cpu_max(), value) << read("cpu.max") << read("cpu.max.burst");
  }
  EXPECT_TRUE((*ours)->write(sluice::Knob::cpu_max, quota(15'000)));
  EXPECT_EQ(read("cpu.max.burst"), "15000\n") << "nothing was said of it, but it stood in the way";
  EXPECT_TRUE((*ours)->write(sluice::Knob::cpu_max, quota(30'000)));
  EXPECT_EQ(read("cpu.max.burst"), "15000\n");
}

TEST_F(CpuMax, WeightIsBetween1And10000) {
  EXPECT_EQ(read("cpu.weight"), "100\n");
  EXPECT_HOLDS("cpu.weight", "1", "1\n");
  EXPECT_HOLDS("cpu.weight", "10000", "10000\n");
  for (const char* text : {"0", "10001"}) EXPECT_REFUSED("cpu.weight", text, ERANGE);
  EXPECT_REFUSED("cpu.weight", "x", EINVAL);
}

TEST_F(CpuMax, StatHasItsKeysAndStartsAtNothing) {
  for (const char* key : {"usage_usec", "user_usec", "system_usec", "nr_periods", "nr_throttled",
                          "throttled_usec", "nr_bursts", "burst_usec"}) {
    EXPECT_EQ(field(file("cpu.stat"), key), 0U) << key;
  }
}

TEST_F(CpuMax, StatWithoutTheControllerHasUsageOnly) {
  ASSERT_EQ(mkdir(file("child").c_str(), 0755), 0);
  EXPECT_EQ(field(file("child/cpu.stat"), "usage_usec"), 0U);
  EXPECT_EQ(read("child/cpu.stat").find("nr_periods"), std::string::npos);
}

}  // namespace conformance
