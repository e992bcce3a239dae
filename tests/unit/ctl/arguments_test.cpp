#include "daemon/ctl/arguments.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "daemon/publish/words/spelling.hpp"

namespace sluice::ctl {
namespace {

std::string error_of(const std::vector<std::string>& limits) {
  const auto parsed = parse_limits(limits);
  return parsed ? "" : parsed.error();
}

TEST(Limits, CpuIsInCoresAndMemoryInBytes) {
  const auto both = parse_limits({"memory=3G", "cpu=2"});
  ASSERT_TRUE(both);
  EXPECT_EQ(both->cpu_usec_per_s, 2'000'000U);
  EXPECT_EQ(both->memory_high_bytes, 3ULL << 30);
  EXPECT_EQ(parse_limits({"cpu=0.25"})->cpu_usec_per_s, 250'000U);
  EXPECT_EQ(parse_limits({"cpu=500m"})->cpu_usec_per_s, 500'000U);
  EXPECT_EQ(parse_limits({"memory=512MiB"})->memory_high_bytes, 512ULL << 20);
  EXPECT_FALSE(parse_limits({"cpu=2"})->memory_high_bytes);
  EXPECT_FALSE(parse_limits({"memory=1G"})->cpu_usec_per_s);
}

TEST(Limits, EachMistakeIsNamedWithItsCure) {
  EXPECT_NE(error_of({}).find("cpu=CORES"), std::string::npos);
  EXPECT_NE(error_of({"cpu"}).find("'cpu' is no limit"), std::string::npos);
  EXPECT_NE(error_of({"disk=3"}).find("'disk=3' is no limit"), std::string::npos);
  EXPECT_NE(error_of({"cpu=two"}).find("'cpu=two' is no number of cores"), std::string::npos);
  EXPECT_NE(error_of({"cpu=1e3"}).find("no number of cores"), std::string::npos);
  EXPECT_NE(error_of({"cpu=nan"}).find("no number of cores"), std::string::npos);
  EXPECT_NE(error_of({"cpu=1", "cpu=2"}).find("cpu is given twice"), std::string::npos);
  EXPECT_NE(error_of({"memory=3GB"}).find("'memory=3GB' is no size"), std::string::npos);
  EXPECT_NE(error_of({"memory="}).find("no size"), std::string::npos);
  for (const char* nothing : {"cpu=0", "cpu=-1", "cpu=0.0000001", "memory=0", "memory=-5G"})
    EXPECT_NE(error_of({nothing}).find("leaves nothing"), std::string::npos) << nothing;
}

TEST(Limits, HugeOnesAreForTheDaemonToRefuse) {
  EXPECT_GT(parse_limits({"cpu=99999999999999999999999"})->cpu_usec_per_s, 1'000'000'000'000U);
  EXPECT_GT(parse_limits({"memory=99999999999999E"})->memory_high_bytes, 1ULL << 62);
}

RC_GTEST_PROP(Limits, NoTextIsTakenForWhatTheBusCallsInfinity, (const std::string& text)) {
  for (const auto* key : {"cpu=", "memory="}) {
    const auto parsed = parse_limits({key + text});
    if (!parsed) continue;
    const auto value = parsed->cpu_usec_per_s ? *parsed->cpu_usec_per_s : parsed->memory_high_bytes.value();
    RC_ASSERT(value > 0U);
    RC_ASSERT(value < kInfinity);
  }
}

constexpr std::uint64_t kYear = 366ULL * 86'400'000'000;

TEST(Hold, IsADurationOrInfinity) {
  EXPECT_EQ(parse_hold("2h", kYear), 7'200'000'000U);
  EXPECT_EQ(parse_hold("1h30m", kYear), 5'400'000'000U);
  EXPECT_EQ(parse_hold("1.5s", kYear), 1'500'000U);
  EXPECT_EQ(parse_hold("infinity", kYear), kInfinity);
  // 0 would mean as long as the connection, which ends with the command.
  for (const char* bad : {"", "0", "0s", "-1h", "2", "2 fortnights", "0.1us", "soon"}) {
    const auto parsed = parse_hold(bad, kYear);
    ASSERT_FALSE(parsed) << bad;
    EXPECT_NE(parsed.error().find("say --for"), std::string::npos);
  }
}

TEST(Hold, OneThatIsTooLongIsRefusedInTheWordsItWasTypedIn) {
  EXPECT_EQ(parse_hold("366d", kYear), kYear);
  const auto error = parse_hold("400d", kYear).error();
  EXPECT_NE(error.find("'--for 400d' is too long; say --for 366d or less"), std::string::npos) << error;
  EXPECT_EQ(error.find("usec"), std::string::npos);
  EXPECT_NE(parse_hold("99999999999999999d", kYear).error().find("too long"), std::string::npos);
}

TEST(Reason, IsWhatTheBusTakes) {
  EXPECT_EQ(parse_reason("sch\xc3\xb6n"), "sch\xc3\xb6n");
  EXPECT_NE(parse_reason("bad\xff").error().find("no UTF-8"), std::string::npos);
}

TEST(UnknownCommand, IsNamedWithThoseThatThereAre) {
  const std::vector<std::string> commands{"list", "suspend", "resume"};
  const auto near = unknown_command("suspnd", commands);
  EXPECT_EQ(
      near,
      "'suspnd' is no command; did you mean 'suspend'? The commands are list, suspend and resume; sluicectl "
      "--help says what each does");
  EXPECT_EQ(unknown_command("frobnicate", commands).find("'frobnicate' is no command. The commands are list"),
            0U);
  EXPECT_EQ(unknown_command("", commands).find("a command is missing. The commands are"), 0U);
}

std::vector<Dictionary> named(std::initializer_list<std::string> names) {
  std::vector<Dictionary> tasks;
  for (const auto& name : names) tasks.push_back({{"Name", {name}}});
  return tasks;
}

TEST(FindTask, ByTheNameThatIsShownOrByItsBytes) {
  const std::string raw = "bad\xff\x1b[31m \\name";
  const auto tasks = named({"alpha", publish::c_escape(raw), "beta"});
  EXPECT_EQ(*find_task(tasks, "beta"), &tasks[2]);
  EXPECT_EQ(*find_task(tasks, raw), &tasks[1]);
  EXPECT_EQ(*find_task(tasks, R"(bad\xff\x1b[31m \\name)"), &tasks[1]);
}

TEST(FindTask, SaysWhichMayBeMeant) {
  EXPECT_NE(find_task(named({"clicks", "orders"}), "click").error().find("did you mean 'clicks'?"),
            std::string::npos);
  const auto few = find_task(named({"clicks", "orders"}), "payments").error();
  EXPECT_NE(few.find("'clicks' and 'orders'"), std::string::npos) << few;
  const auto many = find_task(named({"a", "b", "c", "d", "e", "f", "g", "h", "i"}), "payments").error();
  EXPECT_NE(many.find("sluicectl list shows all 9"), std::string::npos) << many;
  EXPECT_NE(find_task({}, "clicks").error().find("no task at all"), std::string::npos);
}

}  // namespace
}  // namespace sluice::ctl
