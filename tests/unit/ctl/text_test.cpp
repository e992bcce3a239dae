#include "daemon/ctl/text.hpp"

#include <gmock/gmock.h>

#include <cstdlib>
#include <ctime>

namespace sluice::ctl {
namespace {

using std::string;
using std::uint64_t;
using testing::HasSubstr;
using testing::Not;
constexpr uint64_t kMiB = 1 << 20;

Dictionary task(const string& name) {
  return {{"Name", {name}},
          {"ControlGroup", {string("/system.slice/x.service")}},
          {"Mode", {string("governed")}},
          {"BreakerState", {string("closed")}},
          {"Cause", {string("starved-by-quota")}},
          {"Reason", {string("capacity")}},
          {"CPUUsagePerSecUSec", {uint64_t{630'677}}},
          {"CPUQuotaPerSecUSec", {uint64_t{630'670}}},
          {"CPUMinPerSecUSec", {uint64_t{50'000}}},
          {"CPUMaxPerSecUSec", {uint64_t{1'500'000}}},
          {"CPUPressureRatio", {0.84256}},
          {"MemoryCurrent", {68 * kMiB}},
          {"MemoryHigh", {uint64_t{78'434'304}}},
          {"MemoryMin", {uint64_t{0}}},
          {"MemoryMax", {512 * kMiB}},
          {"MemoryPressureRatio", {0.0005}}};
}

TEST(ListText, IsOneLineATask) {
  EXPECT_EQ(list_text({task("clicks")}),
            "TASK    CAUSE             CORES  CPU.MAX       BOUNDS   PSI  MEMORY  MEMORY.HIGH   BOUNDS     "
            "PSI  REASON\n"
            "clicks  starved-by-quota   0.63     0.63  0.050..1.50  84 %     68M        74.8M  0..512M  0.05 "
            "%  capacity\n");
}

TEST(ListText, TellsNoLimitFromNotKnown) {
  auto bare = task("a");
  for (const char* key :
       {"CPUUsagePerSecUSec", "CPUQuotaPerSecUSec", "MemoryCurrent", "MemoryHigh", "MemoryMax"})
    bare[key] = {kInfinity};
  bare["CPUPressureRatio"] = {std::nan("")};
  EXPECT_THAT(list_text({bare}),
              HasSubstr("starved-by-quota      -      max  0.050..1.50    -       -          max  0..max"));
}

TEST(ListText, SaysWhenATaskIsNotSimplyGoverned) {
  auto held = task("a");
  held["Mode"] = {string("pinned")};
  EXPECT_THAT(list_text({held}), HasSubstr("pinned"));
  held["BreakerState"] = {string("half-open")};
  EXPECT_THAT(list_text({held}), HasSubstr("breaker half-open"));
}

Dictionary manager() {
  return {{"Version", {string("0.1.0")}},
          {"Mode", {string("enforce")}},
          {"State", {string("running")}},
          {"SuspendReason", {string()}},
          {"SamplingMode", {string("files")}},
          {"SamplingReason", {string("no BTF")}},
          {"LastError", {string()}},
          {"Saturated", {false}},
          {"CPUAllocatedUSecPerSec", {uint64_t{2'250'000}}},
          {"CPUCapacityUSecPerSec", {uint64_t{8'000'000}}},
          {"MemoryAllocated", {256 * kMiB}},
          {"MemoryCapacity", {16'384 * kMiB}},
          {"MissingCPUUSecPerSec", {uint64_t{1'500'000}}},
          {"MissingMemory", {uint64_t{0}}}};
}

TEST(StatusText, CountsTasksAndTellsTheNode) {
  auto pinned = task("b");
  pinned["Mode"] = {string("pinned")};
  pinned["BreakerState"] = {string("open")};
  EXPECT_EQ(status_text(manager(), {task("a"), pinned, task("c")}),
            "sluiced     0.1.0\n"
            "state       running, mode enforce\n"
            "tasks       3: 2 governed, 1 pinned, 1 with an open breaker\n"
            "CPU         2.25 cores of 8.00 cores allocated\n"
            "memory      256 MiB of 16 GiB allocated\n"
            "saturated   no\n"
            "sampling    files (no BTF)\n"
            "last error  -\n");
}

TEST(StatusText, TellsSuspensionSaturationAndErrors) {
  auto node = manager();
  node["State"] = {string("suspended")};
  node["SuspendReason"] = {string("maintenance")};
  node["Saturated"] = {true};
  node["LastError"] = {string("sluice.toml:3:1: no")};
  const string text = status_text(node, {});
  EXPECT_THAT(text, HasSubstr("suspended, mode enforce (maintenance)"));
  EXPECT_THAT(text, HasSubstr("tasks       none"));
  EXPECT_THAT(text, HasSubstr("yes: 1.50 cores and 0 B of memory are missing"));
  EXPECT_THAT(text, HasSubstr("sluice.toml:3:1: no"));
}

TEST(StatusText, NamesRulesThatMatchNothing) {
  auto node = manager();
  node["UnmatchedRules"] = {
      List{{string("x.toml:3: a matches no cgroup")}, {string("x.toml:9: b matches no cgroup")}}};
  EXPECT_THAT(status_text(node, {}), HasSubstr("unmatched   x.toml:3: a matches no cgroup\n"
                                               "            x.toml:9: b matches no cgroup\n"));
  node["UnmatchedRules"] = {List{}};
  EXPECT_THAT(status_text(node, {}), testing::Not(HasSubstr("unmatched")));
}

TEST(ShowText, HasUnitsSourceAndAge) {
  const string text = show_text(task("clicks"), {{"SampleSource", {string("bpf")}},
                                                 {"SampleAgeUSec", {uint64_t{33'000}}},
                                                 {"IntervalUSec", {uint64_t{100'000}}},
                                                 {"CPUUsagePerSecUSec", {uint64_t{400'000}}},
                                                 {"Periods", {uint64_t{10}}}});
  EXPECT_EQ(text,
            "clicks is governed, in /system.slice/x.service. Sampled from bpf, 33 ms ago; rates are of the "
            "100 ms before that.\n"
            "CPUUsagePerSecUSec  0.40 cores\n"
            "Periods             10\n");
  EXPECT_THAT(show_text(task("clicks"), {}), HasSubstr("not been sampled yet"));
}

TEST(ExplainText, HasNumbersOnlyWhenAsked) {
  const Dictionary explanation{{"Text", {string("clicks is governed.")}},
                               {"CPUWantedPerSecUSec", {uint64_t{500'000}}},
                               {"CauseInputs", {Dictionary{{"ThrottledRatio", {0.8}}, {"WaitRatio", {0.1}}}}},
                               {"LastChanges", {List{}}}};
  EXPECT_EQ(explain_text(explanation, false), "clicks is governed.\n");
  EXPECT_EQ(explain_text(explanation, true),
            "clicks is governed.\n\n"
            "CPUWantedPerSecUSec  0.50 cores\n"
            "CauseInputs          ThrottledRatio 80 %\n"
            "                     WaitRatio 10 %\n"
            "LastChanges          -\n");
}

TEST(HistoryText, IsALineAChange) {
  ::setenv("TZ", "UTC", 1);
  ::tzset();
  EXPECT_EQ(history_text({{Dictionary{{"AtUSec", {uint64_t{1'763'942'400'000'000}}},
                                      {"Text", {string("cpu.max 1 -> 2")}}}}}),
            "2025-11-24 00:00:00  cpu.max 1 -> 2\n");
  EXPECT_EQ(history_text({}), "");
}

TEST(Quantity, IsInTheUnitThatTheKeyNames) {
  const auto u = [](const char* key, uint64_t value) { return quantity(key, {value}); };
  const auto d = [](const char* key, double value) { return quantity(key, {value}); };
  EXPECT_EQ(u("ThrottledPerSecUSec", 20'000), "20 ms/s");
  EXPECT_EQ(u("ArrivalCPUPerSecUSec", 1'500'000), "1.50 cores");
  EXPECT_EQ(u("CPUAllocatedUSecPerSec", 1'500'000), "1.50 cores");
  EXPECT_EQ(u("RunQueueWaitP99USec", 4'096), "4.1 ms");
  EXPECT_EQ(u("DrainUSec", kInfinity), "infinity");
  EXPECT_EQ(u("IdleTimestampMonotonic", 1'234'567), "1.235 s after the boot");
  EXPECT_EQ(u("MemoryCurrent", 68 * kMiB), "68 MiB");
  EXPECT_EQ(u("BacklogBytes", 65'536), "64 KiB");
  EXPECT_EQ(u("MemoryHighEvents", 3), "3");
  EXPECT_EQ(d("MemoryPressureRatio", 0.0005), "0.05 %");
  EXPECT_EQ(d("ArrivalBytesPerSec", 1'048'576), "1 MiB/s");
  EXPECT_EQ(d("PageScansPerSec", 12.5), "12.5/s");
  EXPECT_EQ(d("RunnableThreads", 1.75), "1.75");
  EXPECT_EQ(d("Lag", std::nan("")), "not known");
  EXPECT_EQ(quantity("Saturated", {true}), "yes");
  EXPECT_EQ(quantity("PinnedBy", {string()}), "-");
}

}  // namespace
}  // namespace sluice::ctl
