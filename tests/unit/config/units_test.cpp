#include "config/units.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <limits>

namespace sluice::config {
namespace {

constexpr auto kMost = std::numeric_limits<std::int64_t>::max();

TEST(Duration, IsWrittenAsInSystemd) {
  EXPECT_EQ(parse_duration("100ms"), 100ms);
  EXPECT_EQ(parse_duration("1s"), 1s);
  EXPECT_EQ(parse_duration("2m"), 2min);
  EXPECT_EQ(parse_duration("500us"), 500us);
  EXPECT_EQ(parse_duration("500µs"), 500us);
  EXPECT_EQ(parse_duration("1h30m"), 90min);
  EXPECT_EQ(parse_duration(" 1 h  30 min 2sec "), 90min + 2s);
  EXPECT_EQ(parse_duration("1.5s"), 1500ms);
  EXPECT_EQ(parse_duration("0.1ms"), 100us);
  EXPECT_EQ(parse_duration(".5s"), 500ms);
  EXPECT_EQ(parse_duration("1w2d"), 9 * 24h);
  EXPECT_EQ(parse_duration("-1s"), -1s);
  EXPECT_EQ(parse_duration("0s"), 0s);
}

TEST(Duration, NeedsAUnitAndNothingElse) {
  for (const auto* text :
       {"",   " ",       "-",   "100",   "1.5",  "1h30", "s",        "ms1", "1.s",   "1..5s", "1e3s", "1S",
        "1M", "1 month", "1s,", "1s-2s", "--1s", "inf",  "infinity", "nan", "0x10s", "１s",   "+1s"}) {
    EXPECT_EQ(parse_duration(text), std::nullopt) << text;
  }
}

TEST(Duration, Saturates) {
  EXPECT_EQ(parse_duration("9999999999999999999999w"), Duration{kMost});
  EXPECT_EQ(parse_duration("9223372036854775807us 1us"), Duration{kMost});
  EXPECT_EQ(parse_duration("-99999999999999w"), Duration{-kMost});
}

TEST(Bytes, AreInPowersOf1024) {
  EXPECT_EQ(parse_bytes("4096"), 4096);
  EXPECT_EQ(parse_bytes("4096B"), 4096);
  EXPECT_EQ(parse_bytes("1K"), 1024);
  EXPECT_EQ(parse_bytes("1KiB"), 1024);
  EXPECT_EQ(parse_bytes("512MiB"), 512LL << 20);
  EXPECT_EQ(parse_bytes("1G"), 1LL << 30);
  EXPECT_EQ(parse_bytes("1.5G"), 3LL << 29);
  EXPECT_EQ(parse_bytes("2 TiB"), 2LL << 40);
  EXPECT_EQ(parse_bytes("-1K"), -1024);
  EXPECT_EQ(parse_bytes("7E"), 7LL << 60);
  EXPECT_EQ(parse_bytes("8E"), kMost);
  EXPECT_EQ(parse_bytes("99999999999999999999"), kMost);
}

TEST(Bytes, RefuseWhatIsAmbiguousOrHalf) {
  for (const auto* text :
       {"", "G", "1.5", "1.5B", "1KB", "1MB", "1k", "1m", "1Gi", "1iB", "1GG", "5%", "1e9", "max", "1 1"}) {
    EXPECT_EQ(parse_bytes(text), std::nullopt) << text;
  }
}

TEST(Cores, AreDecimalOrThousandths) {
  EXPECT_DOUBLE_EQ(parse_cores("0.5").value(), 0.5);
  EXPECT_DOUBLE_EQ(parse_cores("500m").value(), 0.5);
  EXPECT_DOUBLE_EQ(parse_cores("200%").value(), 2);
  EXPECT_DOUBLE_EQ(parse_cores("16").value(), 16);
  EXPECT_DOUBLE_EQ(parse_cores("-1").value(), -1);
  EXPECT_EQ(parse_cores(std::string(400, '9')), HUGE_VAL);
  EXPECT_EQ(parse_cores("-" + std::string(400, '9')), -HUGE_VAL);
  EXPECT_EQ(parse_cores("0." + std::string(400, '0') + "1"), 0.0);
  for (const auto* text :
       {"", "m", "inf", "nan", "-inf", "1e3", "0x1p3", "1.", "1 core", "1M", "+1", "--1", "1.2.3"}) {
    EXPECT_EQ(parse_cores(text), std::nullopt) << text;
  }
}

TEST(Ratio, IsANumberOrPercent) {
  EXPECT_DOUBLE_EQ(parse_ratio("0.1%").value(), 0.001);
  EXPECT_DOUBLE_EQ(parse_ratio("10 %").value(), 0.1);
  EXPECT_DOUBLE_EQ(parse_ratio("0.25").value(), 0.25);
  for (const auto* text : {"", "%", "1%%", "x%", "inf%", "10 percent"})
    EXPECT_EQ(parse_ratio(text), std::nullopt) << text;
}

TEST(Show, IsWhatPeopleWrite) {
  EXPECT_EQ(show_duration(0s), "0s");
  EXPECT_EQ(show_duration(90min), "1h30m");
  EXPECT_EQ(show_duration(1500ms), "1s500ms");
  EXPECT_EQ(show_duration(-1s), "-1s");
  EXPECT_EQ(show_bytes(1LL << 50), "1PiB");
  EXPECT_EQ(show_bytes(1536), "1536 bytes");
  EXPECT_EQ(show_bytes(0), "0 bytes");
  EXPECT_EQ(show_cores(1), "1 core");
  EXPECT_EQ(show_cores(0.01), "0.01 cores");
  EXPECT_EQ(show_ratio(0.001), "0.1%");
}

RC_GTEST_PROP(Show, DurationsComeBack, (std::int64_t us)) {
  RC_PRE(us != std::numeric_limits<std::int64_t>::min());
  RC_ASSERT(parse_duration(show_duration(Duration{us})) == Duration{us});
}

RC_GTEST_PROP(Units, NoTextCrashesThem, (const std::string& text)) {
  (void)parse_duration(text);
  (void)parse_bytes(text);
  (void)parse_cores(text);
  (void)parse_ratio(text);
}

}  // namespace
}  // namespace sluice::config
