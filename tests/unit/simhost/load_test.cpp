#include "tests/simhost/load.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>

#include "tests/simhost/kernel_parse.hpp"
#include "tests/simhost/scenario.hpp"

namespace sluice::simhost {
namespace {

TEST(LoadCurve, ShapesAreWhatTheySay) {
  const Load day = Load::parse("diurnal:base=10,peak=30,period=20").value();
  EXPECT_NEAR(day.at(0), 10, 1e-9);
  EXPECT_NEAR(day.at(10), 30, 1e-9);
  EXPECT_NEAR(day.at(5), 20, 1e-9);
  const Load burst = Load::parse("burst:base=1,peak=9,start=4,length=2,period=10").value();
  EXPECT_EQ(burst.at(3.9), 1);
  EXPECT_EQ(burst.at(4), 9);
  EXPECT_EQ(burst.at(6), 1);
  EXPECT_EQ(burst.at(15), 9);
  const Load leak = Load::parse("leak:base=100,slope=2,start=10,peak=150").value();
  EXPECT_EQ(leak.at(5), 100);
  EXPECT_EQ(leak.at(20), 120);
  EXPECT_EQ(leak.at(1000), 150);
  EXPECT_EQ(Load::parse("42").value().at(7), 42);
}

TEST(LoadCurve, SpikesAreShortAndOncePerPeriod) {
  const Load spikes = Load::parse("spikes:base=0,peak=50,period=10,length=1,seed=3").value();
  for (int cycle = 0; cycle < 20; ++cycle) {
    int busy = 0;
    for (int i = 0; i < 1000; ++i) busy += spikes.at(cycle * 10 + i * 0.01) > 0 ? 1 : 0;
    EXPECT_NEAR(busy, 100, 2) << cycle;
  }
}

TEST(LoadCurve, NoiseIsAFunctionOfSeedAndSecond) {
  const Load a = Load::parse("constant:base=100,noise=0.2,seed=1").value();
  const Load b = Load::parse("constant:base=100,noise=0.2,seed=2").value();
  EXPECT_EQ(a.at(5.1), a.at(5.9));
  EXPECT_NE(a.at(5), a.at(6));
  EXPECT_NE(a.at(5), b.at(5));
  double sum = 0;
  for (int i = 0; i < 10'000; ++i) sum += a.at(i);
  EXPECT_NEAR(sum / 10'000, 100, 1);
}

TEST(LoadCurve, BadTextSaysWhatIsWrong) {
  EXPECT_NE(Load::parse("sawtooth:base=1").error().find("shape must be"), std::string::npos);
  EXPECT_NE(Load::parse("burst:height=1").error().find("'height'"), std::string::npos);
  EXPECT_NE(Load::parse("burst:base=high").error().find("'base=high'"), std::string::npos);
  EXPECT_NE(Load::parse("diurnal:base=1,peak=2").error().find("period"), std::string::npos);
  EXPECT_NE(Load::parse("csv:/nonexistent.csv").error().find("cannot open"), std::string::npos);
}

class CsvFile : public ::testing::Test {
 protected:
  void SetUp() override { path_ = ::testing::TempDir() + "/load_test-" + std::to_string(getpid()) + ".csv"; }
  void TearDown() override { std::remove(path_.c_str()); }
  void fill(const char* text) { std::ofstream(path_) << text; }
  std::string path_;
};

TEST_F(CsvFile, HoldsEachPointUntilTheNext) {
  fill("t_s,value\n0,5\n10,7\r\n20,1\n");
  const Load load = Load::parse("csv:" + path_ + ",scale=2,speedup=10").value();
  EXPECT_EQ(load.at(0), 10);
  EXPECT_EQ(load.at(0.99), 10);
  EXPECT_EQ(load.at(1), 14);
  EXPECT_EQ(load.at(99), 2);
  const Load loop = Load::parse("csv:" + path_ + ",loop=1").value();
  EXPECT_EQ(loop.at(29), 1);
  EXPECT_EQ(loop.at(30), 5);
}

TEST_F(CsvFile, NamesTheBrokenLine) {
  fill("t_s,value\n0,5\nx,7\n");
  EXPECT_NE(Load::parse("csv:" + path_).error().find(":3:"), std::string::npos);
  fill("t_s,value\n5,5\n1,7\n");
  EXPECT_NE(Load::parse("csv:" + path_).error().find("backwards"), std::string::npos);
  fill("t_s,value\n");
  EXPECT_FALSE(Load::parse("csv:" + path_));
}

TEST_F(CsvFile, AScenarioNamesLineKeyAndCure) {
  fill("[[task]]\ncgroup = \"/a.service\"\nthreads = 2\nload = \"burst:base=1,peak=5\"\n");
  const auto scenario = load_scenario(path_);
  ASSERT_TRUE(scenario) << scenario.error();
  ASSERT_EQ(scenario->tasks.size(), 1U);
  EXPECT_EQ(scenario->tasks[0].work.threads, 2U);

  fill("[[task]]\ncgroup = \"/a.service\"\nthread = 2\n");
  const auto unknown = load_scenario(path_);
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().find(":3: thread: unknown"), std::string::npos) << unknown.error();
  fill("[[task]]\nthreads = 2\n");
  EXPECT_NE(load_scenario(path_).error().find("cgroup: is missing"), std::string::npos);
  fill("[[task]\n");
  EXPECT_NE(load_scenario(path_).error().find(":1:"), std::string::npos);
}

TEST(KernelParse, TakesNumbersAsTheKernelDoes) {
  EXPECT_EQ(kstrtoull("0x10\n"), 16U);
  EXPECT_EQ(kstrtoull("010"), 8U);
  EXPECT_EQ(kstrtoull("+7"), 7U);
  EXPECT_EQ(kstrtoull("").error(), EINVAL);
  EXPECT_EQ(kstrtoull("7\n\n").error(), EINVAL);
  EXPECT_EQ(kstrtoull("18446744073709551616").error(), ERANGE);
  EXPECT_EQ(memparse("4K"), 4096U);
  EXPECT_EQ(memparse("18446744073709551617"), 1U);
  EXPECT_EQ(memparse(""), 0U);
  EXPECT_EQ(memparse("4KK").error(), EINVAL);
  EXPECT_EQ(memparse("089").error(), EINVAL) << "octal";
  EXPECT_EQ(parse_bytes("1.5GiB"), 1.5 * (1 << 30));
  EXPECT_FALSE(parse_bytes("many"));
}

}  // namespace
}  // namespace sluice::simhost
