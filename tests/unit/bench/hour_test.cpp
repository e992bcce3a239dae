// The plot for the README: three runs of one load, and what it must show.
#include "tests/bench/hour/hour.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::bench {
namespace {

using ::testing::Each;
using ::testing::EndsWith;
using ::testing::Gt;
using ::testing::HasSubstr;
using ::testing::StartsWith;

Trace burst() {
  Trace out;
  out.name = "burst";
  out.cores.assign(300, 0.5);
  std::fill(out.cores.begin() + 150, out.cores.begin() + 240, 2.5);
  return out;
}

TEST(Hour, TheSameLoadUnderTwoStaticQuotasAndUnderOurs) {
  const Hour hour = run_hour(burst(), {});
  EXPECT_EQ(hour.violations, 0);
  EXPECT_DOUBLE_EQ(hour.peak.mean_quota_cores, 2.5);
  EXPECT_NEAR(hour.same.mean_quota_cores, hour.ours.mean_quota_cores, 0.01);
  EXPECT_LT(hour.ours.mean_quota_cores, hour.peak.mean_quota_cores);
  EXPECT_LT(hour.ours.late_share, hour.same.late_share);
  for (const auto* run : {&hour.peak, &hour.same, &hour.ours}) {
    EXPECT_EQ(run->quota_cores.size(), hour.load_cores.size());
    EXPECT_THAT(run->quota_cores, Each(Gt(0)));
  }
}

TEST(Hour, IsAPictureWithFigures) {
  const auto svg = to_svg(run_hour(burst(), {}));
  EXPECT_THAT(svg, StartsWith("<svg"));
  EXPECT_THAT(svg, EndsWith("</svg>\n"));
  EXPECT_THAT(svg, HasSubstr("static, for the peak: 2.50 cores"));
}

}  // namespace
}  // namespace sluice::bench
