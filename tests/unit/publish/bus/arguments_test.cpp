#include "daemon/publish/bus/arguments.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "daemon/publish/words/names.hpp"

namespace sluice::publish {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

sdbus::Variant t(std::uint64_t value) {
  return sdbus::Variant(value);
}

// The error that `call` throws, as "name: message".
template <class Call>
std::string refusal(Call call) {
  try {
    call();
  } catch (const sdbus::Error& e) {
    return std::string(e.getName()) + ": " + e.getMessage();
  }
  return "accepted";
}

std::string pin_refusal(const Options& limits, std::uint64_t ttl = 1'000'000,
                        const std::string& reason = "") {
  return refusal(
      [&] { static_cast<void>(pin_command("a", limits, ttl, reason, ":1.7", MonotonicTime{5s})); });
}

TEST(PinArguments, BecomeACommand) {
  const auto c = pin_command("a", {{"CPUQuotaPerSecUSec", t(1'500'000)}, {"MemoryHigh", t(4096)}}, 2'000'000,
                             "r", ":1.7", MonotonicTime{5s});
  EXPECT_EQ(c.task, "a");
  EXPECT_DOUBLE_EQ(c.cpu_cores.value(), 1.5);
  EXPECT_EQ(c.memory_high, 4096u);
  EXPECT_EQ(c.until, MonotonicTime(7s));
  EXPECT_EQ(c.reason, "r");
  EXPECT_EQ(c.owner, "") << "a pin with a time outlives its caller";
}

TEST(PinArguments, ZeroLivesWithTheConnectionAndInfinityForEver) {
  const Options limits{{"MemoryHigh", t(4096)}};
  const auto owned = pin_command("a", limits, 0, "", ":1.7", MonotonicTime{5s});
  EXPECT_EQ(owned.owner, ":1.7");
  EXPECT_FALSE(owned.until);
  const auto forever = pin_command("a", limits, kInfinity, "", ":1.7", MonotonicTime{5s});
  EXPECT_EQ(forever.owner, "");
  EXPECT_FALSE(forever.until);
}

TEST(PinArguments, AreRefusedByNameWithTheCure) {
  EXPECT_THAT(pin_refusal({}),
              HasSubstr("InvalidArgs: no limits given; name at least one of CPUQuotaPerSecUSec"));
  EXPECT_THAT(pin_refusal({{"MemoryHi\x1b", t(1)}}), HasSubstr("unknown key 'MemoryHi\\x1b'; known are"));
  EXPECT_THAT(pin_refusal({{"MemoryHigh", sdbus::Variant(std::string("2G"))}}),
              HasSubstr("type 's'; it must be 't'"));
  EXPECT_THAT(pin_refusal({{"MemoryHigh", t(0)}}), HasSubstr("LimitOutOfRange: MemoryHigh is 0"));
  EXPECT_THAT(pin_refusal({{"CPUQuotaPerSecUSec", t(kInfinity)}}), HasSubstr("LimitOutOfRange"));
  EXPECT_THAT(pin_refusal({{"MemoryHigh", t(1)}}, kInfinity - 1),
              HasSubstr("ttl_usec is 18446744073709551614"));
  EXPECT_THAT(pin_refusal({{"MemoryHigh", t(1)}}, 1, std::string(4097, 'x')),
              HasSubstr("reason is 4097 bytes long"));
  EXPECT_EQ(pin_refusal({{"MemoryHigh", t(1)}}, 1, std::string(4096, 'x')), "accepted");
}

TEST(PinArguments, AreAtMost64) {
  Options many;
  for (int i = 0; i < 65; ++i) many.emplace("k" + std::to_string(i), t(1));
  EXPECT_THAT(pin_refusal(many), HasSubstr("65 limits given; at most 64"));
}

TEST(BoundsArguments, MayBePartial) {
  const auto c = bounds_command(
      "a", {{"MemoryMin", t(0)}, {"CPUMaxPerSecUSec", sdbus::Variant(std::uint32_t{500'000})}});
  EXPECT_EQ(c.memory_min, 0u);
  EXPECT_DOUBLE_EQ(c.cpu_max_cores.value(), 0.5);
  EXPECT_FALSE(c.cpu_min_cores);
  EXPECT_FALSE(c.memory_max);
}

TEST(BoundsArguments, MustBeInOrder) {
  EXPECT_THAT(refusal([] {
                static_cast<void>(bounds_command("a", {{"MemoryMin", t(2)}, {"MemoryMax", t(1)}}));
              }),
              HasSubstr("LimitOutOfRange: MemoryMin is above MemoryMax"));
  EXPECT_THAT(refusal([] {
                static_cast<void>(bounds_command("a", {{"CPUMinPerSecUSec", t(0)}}));
              }),
              HasSubstr("1500000 is 1.5 cores"));
}

TEST(LoadArguments, BecomeACommand) {
  const auto c = load_command("a", {{"lag", 12}, {"oldest_age_seconds", 0}}, 1'000'000, MonotonicTime{5s});
  EXPECT_EQ(c.load.lag, 12);
  EXPECT_EQ(c.load.oldest_age_seconds, 0);
  EXPECT_FALSE(c.load.processed);
  EXPECT_EQ(c.until, MonotonicTime(6s));
}

TEST(LoadArguments, RefuseWhatIsNoNumber) {
  const auto with = [](const char* key, double value, std::uint64_t ttl = 1) {
    return refusal([&] { static_cast<void>(load_command("a", {{key, value}}, ttl, MonotonicTime{5s})); });
  };
  EXPECT_THAT(with("lag", std::numeric_limits<double>::quiet_NaN()), HasSubstr("lag is nan"));
  EXPECT_THAT(with("lag", std::numeric_limits<double>::infinity()), HasSubstr("lag is inf"));
  EXPECT_THAT(with("lag", -0.1), HasSubstr("lag is -0.1"));
  EXPECT_THAT(with("Lag", 1), HasSubstr("known are lag, processed, arrival_rate"));
  EXPECT_THAT(with("lag", 1, 0), HasSubstr("ttl_usec is 0"));
  EXPECT_THAT(with("lag", 1, 86'400'000'001), HasSubstr("ttl_usec is 86400000001"));
  EXPECT_EQ(with("lag", 1, 86'400'000'000), "accepted");
}

TEST(ModeArgument, IsOneOfThree) {
  EXPECT_EQ(mode_command("dry-run").mode, config::Mode::dry_run);
  EXPECT_THAT(refusal([] { static_cast<void>(mode_command("Enforce")); }),
              HasSubstr("unknown mode 'Enforce'; known are enforce, dry-run, observe"));
}

TEST(Names, EscapingIsPrintableAndReversible) {
  EXPECT_EQ(c_escape("plain name-1"), "plain name-1");
  EXPECT_EQ(c_escape("a\\x2db"), "a\\\\x2db");
  EXPECT_EQ(c_escape("\xff\x1b\n\xc3\xa4"), "\\xff\\x1b\\x0a\\xc3\\xa4");
}

TEST(Names, PathsOfAnyName) {
  EXPECT_EQ(task_path("alpha"), "/org/sluice/Governor1/task/alpha");
  EXPECT_EQ(task_path(""), "/org/sluice/Governor1/task/_");
  EXPECT_EQ(task_path("../\xff"), "/org/sluice/Governor1/task/_2e_2e_2f_ff");
  EXPECT_NE(task_path("a_2eb"), task_path("a.b"));
}

TEST(Values, InfinityAndRounding) {
  EXPECT_EQ(quota_value({}), kInfinity);
  EXPECT_EQ(quota_value({Usec(15'000), Usec(100'000)}), 150'000u);
  EXPECT_EQ(usec_value(-1.0), 0u);
  EXPECT_EQ(usec_value(1e30), kInfinity);
  EXPECT_EQ(usec_value(std::optional<double>()), kInfinity);
  EXPECT_EQ(usec_value(std::numeric_limits<double>::quiet_NaN()), 0u);
}

}  // namespace
}  // namespace sluice::publish
