#include "tests/bench/series.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "tests/bench/trace.hpp"

namespace sluice::bench {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class SeriesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "seriesXXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    dir_ = pattern;
  }
  void TearDown() override { fs::remove_all(dir_); }
  void file(const std::string& name, const std::string& text) const {
    fs::create_directories((dir_ / name).parent_path());
    std::ofstream(dir_ / name) << text;
  }
  std::string error() {
    const auto read = read_series(dir_, skipped_);
    return read ? "" : read.error();
  }

  fs::path dir_;
  std::vector<std::string> skipped_;
};

TEST_F(SeriesTest, ManySeriesWithAndWithoutHeaderAndWhatIsNone) {
  file("one/series.csv", "t_s,rps\n0,1\n1,2\n2,4\n");
  file("one/README.txt", "origin: somewhere");
  file("one/events.csv", "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.97,4808,10\n");
  file("two.csv", "0,5\r\n300,6\r\n");
  const auto read = read_series(dir_, skipped_);
  ASSERT_TRUE(read) << read.error();
  ASSERT_EQ(read->size(), 2U);
  EXPECT_EQ((*read)[0].name, "one");
  EXPECT_EQ((*read)[0].rows.size(), 3U);
  EXPECT_EQ((*read)[1].name, "two");
  EXPECT_EQ((*read)[1].period_s, 300);
  EXPECT_THAT(skipped_, ElementsAre(HasSubstr("events.csv")));
}

TEST_F(SeriesTest, ErrorsNameFileAndLine) {
  file("a.csv", "t_s,value\n0,1\n1,x\n");
  EXPECT_THAT(error(), HasSubstr("a.csv:3: "));
  file("a.csv", "0,1\n1,-1\n");
  EXPECT_THAT(error(), HasSubstr("a.csv:2: "));
  file("a.csv", "5,1\n1,1\n");
  EXPECT_THAT(error(), HasSubstr("a.csv:2: "));
  file("a.csv", "0,1\n1,nan\n");
  EXPECT_THAT(error(), HasSubstr("a.csv:2: "));
  file("a.csv", "t_s,value\n");
  EXPECT_THAT(error(), HasSubstr("a.csv"));
}

TEST_F(SeriesTest, AFolderThatIsNotThereIsNamed) {
  dir_ /= "absent";
  EXPECT_THAT(error(), HasSubstr("absent"));
}

std::vector<Trace> load(const Series& series, const TraceOptions& options) {
  std::vector<std::string> skipped;
  auto out = load_traces({series}, options, skipped);
  EXPECT_EQ(out.size(), 1U);
  return out;
}

Series regular(std::size_t rows, double period, double value) {
  Series out{.name = "s", .file = "s.csv", .rows = {}, .period_s = period};
  for (std::size_t i = 0; i < rows; ++i) out.rows.push_back({static_cast<double>(i) * period, value});
  return out;
}

TEST(Traces, ASlowSeriesRunsAtOneRowASecondAndAFastOneAsItIs) {
  EXPECT_EQ(load(regular(1'000, 300, 5), {}).front().cores.size(), 1'000U);
  EXPECT_EQ(load(regular(1'000, 300, 5), {}).front().speedup, 300);
  EXPECT_EQ(load(regular(1'000, 1, 5), {}).front().cores.size(), 1'000U);
  EXPECT_EQ(load(regular(1'000, 1, 5), {.speedup = 10}).front().cores.size(), 100U);
}

TEST(Traces, ALongOneIsCutAroundItsPeakAndThePeakIsScaled) {
  Series series = regular(10'000, 300, 1);
  series.rows[9'000].value = 50;
  const auto trace = load(series, {.peak_cores = 3.2, .seconds = 3'600}).front();
  EXPECT_EQ(trace.cores.size(), 3'600U);
  EXPECT_NEAR(*std::max_element(trace.cores.begin(), trace.cores.end()), 3.2, 1e-9);
  EXPECT_NEAR(*std::min_element(trace.cores.begin(), trace.cores.end()), 3.2 / 50, 1e-9);
}

TEST(Traces, WhatIsTooShortOrIdleIsNamedNotRun) {
  std::vector<std::string> skipped;
  EXPECT_TRUE(load_traces({regular(20, 1, 5), regular(1'000, 1, 0)}, {}, skipped).empty());
  EXPECT_EQ(skipped.size(), 2U);
}

TEST(Traces, ShapesAreGeneratedEqualFromEqualSeeds) {
  const auto a = generated_traces({}, 7);
  const auto b = generated_traces({}, 7);
  const auto c = generated_traces({}, 8);
  ASSERT_GE(a.size(), 6U);
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].cores, b[i].cores);
    EXPECT_EQ(a[i].cores.size(), 3'600U);
  }
  EXPECT_NE(a[0].cores, c[0].cores);
}

}  // namespace
}  // namespace sluice::bench
