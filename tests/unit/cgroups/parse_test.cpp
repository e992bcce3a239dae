#include "cgroups/parse.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <unistd.h>

#include <cerrno>

namespace sluice::cgroups {
namespace {

using testing::HasSubstr;
using namespace std::chrono_literals;

TEST(ParseCpuMax, ReadsBothForms) {
  EXPECT_EQ(parse_cpu_max("max 100000\n"), (CpuMax{.quota = {}, .period = 100ms}));
  EXPECT_EQ(parse_cpu_max("50000 20000\n"), (CpuMax{.quota = 50ms, .period = 20ms}));
  EXPECT_EQ(parse_cpu_max("50000 20000"), (CpuMax{.quota = 50ms, .period = 20ms}))
      << "the lease has no newline";
}

class RefusedCpuMax : public testing::TestWithParam<const char*> {};
TEST_P(RefusedCpuMax, IsAnErrorWithoutAPath) {
  const auto value = parse_cpu_max(GetParam());
  ASSERT_FALSE(value.has_value());
  EXPECT_EQ(value.error().errno_value, EBADMSG);
  EXPECT_EQ(value.error().path, "");
}
INSTANTIATE_TEST_SUITE_P(Texts, RefusedCpuMax,
                         testing::Values("", "\n", "max", "max\n", "50000", "50000 ", " 50000 100000",
                                         "-1 100000", "+5 100000", "0 100000", "50000 0", "50000 100000 1",
                                         "50000  100000", "5e4 100000", "max max",
                                         "9223372036854775808 100000", "18446744073709551616 100000",
                                         "50000\n100000\n", "50000 100000\n\n"));

TEST(ParseMemoryLimit, ReadsBothForms) {
  EXPECT_EQ(parse_memory_limit("max\n"), MemoryLimit{});
  EXPECT_EQ(parse_memory_limit("0\n"), MemoryLimit{0});
  EXPECT_EQ(parse_memory_limit("18446744073709551615\n"), MemoryLimit{UINT64_MAX});
}

TEST(ParseMemoryLimit, RefusesWhatIsNoNumberOfBytes) {
  for (const char* text :
       {"", "\n", "-1\n", "1k\n", " 1\n", "1 \n", "Max\n", "18446744073709551616\n", "1\n2\n"}) {
    EXPECT_FALSE(parse_memory_limit(text).has_value()) << text;
    EXPECT_FALSE(parse_bytes(text).has_value()) << text;
  }
  EXPECT_FALSE(parse_bytes("max\n").has_value());
}

constexpr const char* kCpuStat =
    "usage_usec 700\nuser_usec 500\nsystem_usec 200\ncore_sched.force_idle_usec 0\nnr_periods 30\n"
    "nr_throttled 20\nthrottled_usec 10\nnr_bursts 0\nburst_usec 0\n";

TEST(ParseCpuStat, ReadsUsageAndBandwidth) {
  const auto stat = parse_cpu_stat(kCpuStat);
  ASSERT_TRUE(stat.has_value()) << describe(stat.error());
  EXPECT_EQ(stat->usage, (CpuUsage{.usage = 700us, .user = 500us, .system = 200us}));
  EXPECT_EQ(stat->bandwidth, (CpuBandwidth{.nr_periods = 30, .nr_throttled = 20, .throttled = 10us}));
}

TEST(ParseCpuStat, HasNoBandwidthWithoutTheController) {
  const auto stat = parse_cpu_stat("usage_usec 700\nuser_usec 500\nsystem_usec 200\n");
  ASSERT_TRUE(stat.has_value());
  EXPECT_EQ(stat->bandwidth, std::nullopt);
}

TEST(ParseCpuStat, RefusesTornAndImpossibleText) {
  const std::string text = kCpuStat;
  EXPECT_FALSE(parse_cpu_stat(text.substr(0, text.find("_usec 500") + 8)).has_value()) << "half a number";
  EXPECT_FALSE(parse_cpu_stat("").has_value());
  EXPECT_FALSE(parse_cpu_stat("user_usec 5\n").has_value());
  EXPECT_FALSE(parse_cpu_stat("usage_usec -5\n").has_value());
  EXPECT_FALSE(parse_cpu_stat("usage_usec\n").has_value());
  EXPECT_FALSE(parse_cpu_stat("usage_usec 9223372036854775808\n").has_value()) << "no chrono can hold it";
}

TEST(ParsePressure, ReadsTotals) {
  EXPECT_EQ(parse_pressure("some avg10=0.00 avg60=1.50 avg300=0.00 total=12345\n"
                           "full avg10=0.00 avg60=0.00 avg300=0.00 total=678\n"),
            (PressureTotals{.some = 12345us, .full = 678us}));
  EXPECT_EQ(parse_pressure("some avg10=0.00 avg60=0.00 avg300=0.00 total=1\n"),
            (PressureTotals{.some = 1us, .full = 0us}))
      << "cpu.pressure of old kernels";
}

TEST(ParsePressure, RefusesTornText) {
  for (const char* text : {"", "some avg10=0.00 total=1", "some total=\n", "some avg10=0.00 total=-1\n",
                           "some avg10=0.00 total=1x\n", "full avg10=0.00 total=1\n", "some avg10=0.00\n"}) {
    EXPECT_FALSE(parse_pressure(text).has_value()) << text;
  }
}

TEST(ParseMemoryStat, CountsKernelMemoryThatReclaimCannotFree) {
  const auto stat = parse_memory_stat(
      "anon 1000\nfile 2000\nkernel 500\nkernel_stack 11\npagetables 12\npercpu 13\nsock 14\nvmalloc "
      "15\nshmem 30\n"
      "unevictable 16\nslab_reclaimable 100\nslab_unreclaimable 17\nslab 117\nworkingset_refault_anon 1\n"
      "workingset_refault_file 2\npgscan 3\npgsteal 4\n");
  ASSERT_TRUE(stat.has_value()) << describe(stat.error());
  EXPECT_EQ(*stat, (MemoryStat{.anon = 1000,
                               .file = 2000,
                               .unreclaimable = 500 - 100 + 14 + 16,
                               .workingset_refault_anon = 1,
                               .workingset_refault_file = 2,
                               .pgscan = 3,
                               .pgsteal = 4,
                               .shmem = 30}));
}

TEST(ParseMemoryStat, AddsThePartsWhereTheKernelGivesNoSum) {
  const auto stat = parse_memory_stat(
      "anon 1\nfile 2\nkernel_stack 10\npagetables 20\npercpu 30\nsock 40\nvmalloc 50\nunevictable 60\n"
      "slab_reclaimable 1000\nslab_unreclaimable 70\nshmem 0\npgscan 0\npgsteal 0\n");
  ASSERT_TRUE(stat.has_value());
  EXPECT_EQ(stat->unreclaimable, 10u + 20 + 30 + 40 + 50 + 60 + 70);
}

TEST(ParseMemoryStat, SurvivesCountersReadAtDifferentMoments) {
  const auto stat = parse_memory_stat(
      "anon 1\nfile 2\nkernel 10\nshmem 0\nunevictable 0\nslab_reclaimable 20\npgscan 0\npgsteal 0\n");
  ASSERT_TRUE(stat.has_value());
  EXPECT_EQ(stat->unreclaimable, 0u) << "no wrap below zero";
}

TEST(ParseMemoryStat, RefusesMissingAndMalformed) {
  EXPECT_THAT(describe(parse_memory_stat("file 2\n").error()), HasSubstr("anon"));
  const std::string whole = "anon 1\nfile 2\nshmem 3\nunevictable 4\npgscan 5\npgsteal 6\n";
  ASSERT_TRUE(parse_memory_stat(whole).has_value());
  EXPECT_FALSE(parse_memory_stat(whole + "sock x\n").has_value());
  EXPECT_TRUE(parse_memory_stat(whole + "some_new_key what ever\n").has_value());
  for (std::size_t length = 0; length < whole.size(); ++length)
    EXPECT_FALSE(parse_memory_stat(whole.substr(0, length)).has_value()) << "half a file is none: " << length;
}

TEST(ParseMemoryEvents, Reads) {
  EXPECT_EQ(parse_memory_events("low 1\nhigh 2\nmax 3\noom 4\noom_kill 5\noom_group_kill 6\n"),
            (MemoryEvents{.low = 1, .high = 2, .max = 3, .oom = 4, .oom_kill = 5}));
  EXPECT_FALSE(parse_memory_events("low 1\n").has_value());
}

TEST(ParseFrozen, ReadsTheEventsOfACgroup) {
  EXPECT_TRUE(*parse_frozen("populated 1\nfrozen 1\n"));
  EXPECT_FALSE(*parse_frozen("populated 1\nfrozen 0\n"));
  EXPECT_FALSE(parse_frozen("populated 1\n")) << "a kernel before 5.2";
  EXPECT_FALSE(parse_frozen("populated 1\nfrozen 2\n"));
  EXPECT_FALSE(parse_frozen("frozen -1\n"));
}

TEST(ParseControllers, ReadsWholeNames) {
  EXPECT_EQ(parse_controllers("cpuset cpu io memory pids\n"),
            (Controllers{.cpu = true, .memory = true, .io = true}));
  EXPECT_EQ(parse_controllers("cpuset pids\n"), Controllers{}) << "cpuset is not cpu";
  EXPECT_EQ(parse_controllers("\n"), Controllers{});
}

TEST(Messages, ShowHostileTextHarmlessly) {
  const auto error = parse_bytes(std::string(200, '\x1b')).error();
  const auto text = describe(error);
  EXPECT_THAT(text, HasSubstr("\\x1b"));
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_LT(text.size(), 300u);
}

rc::Gen<CpuMax> any_cpu_max() {
  return rc::gen::map(rc::gen::tuple(rc::gen::inRange<std::int64_t>(0, INT64_MAX),
                                     rc::gen::inRange<std::int64_t>(1, 1'000'001)),
                      [](const auto& t) {
                        const auto [quota, period] = t;
                        return CpuMax{.quota = quota == 0 ? std::nullopt : std::optional(Usec(quota)),
                                      .period = Usec(period)};
                      });
}

RC_GTEST_PROP(RoundTrip, CpuMax, ()) {
  const auto value = *any_cpu_max();
  RC_ASSERT(parse_cpu_max(format(value)) == value);
  RC_ASSERT(parse_knob(Knob::cpu_max, format(value) + "\n") == KnobValue(value));
}

RC_GTEST_PROP(RoundTrip, CpuMaxAndBurst, ()) {
  auto value = *any_cpu_max();
  value.burst = Usec(*rc::gen::inRange<std::int64_t>(0, INT64_MAX));
  RC_ASSERT(parse_knob(Knob::cpu_max, format(KnobValue(value)) + "\n") == KnobValue(value));
}

TEST(ParseCpuBurst, IsStrict) {
  EXPECT_EQ(parse_cpu_burst("0\n"), Usec(0));
  EXPECT_EQ(parse_cpu_burst("20000\n"), Usec(20000));
  for (const char* bad : {"", "\n", "-1\n", "20000 100000\n", "max\n", "20000x"}) {
    EXPECT_FALSE(parse_cpu_burst(bad)) << bad;
  }
  EXPECT_EQ(parse_knob(Knob::cpu_max, "max 100000 burst 7"),
            KnobValue(CpuMax{.quota = {}, .period = 100ms, .burst = 7us}));
  for (const char* bad :
       {"max 100000 burst ", "max 100000 burst x", "max 100000 burst 7 burst 7", " burst 7"}) {
    EXPECT_FALSE(parse_knob(Knob::cpu_max, bad)) << bad;
  }
  EXPECT_FALSE(parse_cpu_max("max 100000 burst 7")) << "the kernel's file has no such thing";
}

RC_GTEST_PROP(RoundTrip, MemoryLimit, (Bytes bytes, bool limited)) {
  const MemoryLimit value{limited ? std::optional(bytes) : std::nullopt};
  RC_ASSERT(parse_memory_limit(format(value)) == value);
  RC_ASSERT(parse_knob(Knob::memory_high, format(value)) == KnobValue(value));
}

TEST(CheckWritable, KeepsToWhatTheKernelTakes) {
  const auto ok = [](const KnobValue& v) {
    return check_writable(std::holds_alternative<CpuMax>(v) ? Knob::cpu_max : Knob::memory_high, v)
        .has_value();
  };
  EXPECT_TRUE(ok(CpuMax{}));
  EXPECT_TRUE(ok(CpuMax{.quota = 1ms, .period = 1ms}));
  EXPECT_FALSE(ok(CpuMax{.quota = 999us, .period = 100ms}));
  EXPECT_FALSE(ok(CpuMax{.quota = -1us, .period = 100ms}));
  EXPECT_FALSE(ok(CpuMax{.quota = 1ms, .period = 999us}));
  EXPECT_FALSE(ok(CpuMax{.quota = 1ms, .period = 1'000'001us}));
  EXPECT_TRUE(ok(CpuMax{.quota = 5ms, .period = 100ms, .burst = 5ms}));
  EXPECT_FALSE(ok(CpuMax{.quota = 5ms, .period = 100ms, .burst = 5001us}));
  EXPECT_FALSE(ok(CpuMax{.quota = 5ms, .period = 100ms, .burst = -1us}));
  EXPECT_TRUE(ok(CpuMax{.quota = {}, .period = 100ms, .burst = 5ms})) << "without a quota it may be any";
  EXPECT_TRUE(ok(MemoryLimit{}));
  EXPECT_TRUE(ok(MemoryLimit{static_cast<Bytes>(::sysconf(_SC_PAGESIZE))}));
  EXPECT_FALSE(ok(MemoryLimit{static_cast<Bytes>(::sysconf(_SC_PAGESIZE) - 1)}));
  EXPECT_FALSE(ok(MemoryLimit{0}));
  EXPECT_FALSE(check_writable(Knob::cpu_max, MemoryLimit{}).has_value());
  EXPECT_FALSE(check_writable(Knob::memory_high, CpuMax{}).has_value());
}

TEST(HoldsAsAsked, KnowsThatMemoryIsRoundedDownToPages) {
  const auto page = static_cast<Bytes>(::sysconf(_SC_PAGESIZE));
  const auto limit = [](Bytes bytes) { return KnobValue(MemoryLimit{bytes}); };
  EXPECT_TRUE(holds_as_asked(limit(10 * page), limit(10 * page)));
  EXPECT_TRUE(holds_as_asked(limit(10 * page + 1), limit(10 * page)));
  EXPECT_TRUE(holds_as_asked(limit(11 * page - 1), limit(10 * page)));
  EXPECT_FALSE(holds_as_asked(limit(11 * page - 1), limit(11 * page)));
  EXPECT_FALSE(holds_as_asked(limit(10 * page), KnobValue(MemoryLimit{})));
  EXPECT_FALSE(holds_as_asked(KnobValue(MemoryLimit{}), limit(10 * page)));
  EXPECT_TRUE(holds_as_asked(limit(UINT64_MAX), KnobValue(MemoryLimit{})))
      << "more than all pages is no limit";
  EXPECT_FALSE(holds_as_asked(KnobValue(CpuMax{}), KnobValue(CpuMax{.quota = 1ms, .period = 100ms})));
  EXPECT_FALSE(holds_as_asked(KnobValue(CpuMax{}), KnobValue(MemoryLimit{})));
  const CpuMax bursts{.quota = 5ms, .period = 100ms, .burst = 3ms};
  EXPECT_TRUE(holds_as_asked(CpuMax{.quota = 5ms, .period = 100ms}, bursts)) << "no burst was asked for";
  EXPECT_TRUE(holds_as_asked(bursts, bursts));
  EXPECT_FALSE(holds_as_asked(CpuMax{.quota = 5ms, .period = 100ms, .burst = 0us}, bursts));
}

}  // namespace
}  // namespace sluice::cgroups
