// file <= BPF <= file: every counter is read from its file, from the walk, and from its file again. The
// walk's value must lie between the two, for cgroups whose counters increase, over many rounds.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <thread>

#include "bpf/loader/source.hpp"
#include "tests/kernel/bpf/counted.hpp"
#include "tests/kernel/bpf/tree.hpp"

namespace sluice::kernel_test {
namespace {

using bpf::Source;
using Counters = std::map<std::string, std::uint64_t>;

constexpr int kRounds = 90;
constexpr std::chrono::milliseconds kBetweenRounds{50};

// How far outside of the two file reads a value may lie. Zero if both sides read the same number.
struct Tolerance {
  std::uint64_t flat = 0;
  double of_growth = 0;
};
Tolerance tolerance_of(const std::string& counter) {
  // The split of an exact runtime by ticks is a ratio of few ticks. Each reader computes it anew and
  // remembers only its own lower bounds.
  if (counter == "cpu.user_usec" || counter == "cpu.system_usec") return {20'000, 0.01};
  // Each read of a pressure file folds what happened since the last one, averaged over CPUs. The kernel then
  // drops a window in which the cgroup was busy for less than a jiffy. So the load below stays on its CPU,
  // each round reads only one resource, and the tolerance covers the effect of the reads on the file's total.
  if (counter.find("pressure") != std::string::npos) return {20'000, 0.005};
  return {};
}

constexpr const char* kResources[] = {"cpu", "memory", "io"};  // indexed by enum sluice_resource

Counters from_files(const Cgroup& cgroup, int resource) {
  Counters all;
  for (const auto& [key, value] : read_keyed(cgroup / "cpu.stat"))
    if (key != "nr_bursts" && key != "burst_usec" && !key.starts_with("core_sched") && key != "nice_usec")
      all["cpu." + key] = value;
  for (const char* key : {"low", "high", "max", "oom", "oom_kill"})
    all[std::string("memory.") + key] = read_keyed(cgroup / "memory.events").at(key);
  const auto stat = read_keyed(cgroup / "memory.stat");
  for (const char* key : {"workingset_refault_anon", "workingset_refault_file", "pgscan", "pgsteal"})
    all[std::string("memory.stat.") + key] = stat.at(key);
  const std::string pressure = std::string(kResources[resource]) + ".pressure";
  const auto totals = read_pressure(cgroup.path() / pressure);
  all[pressure + ".some"] = totals.at("some");
  all[pressure + ".full"] = totals.at("full");
  return all;
}

Counters from_record(const sluice_record& r) {
  Counters all{{"cpu.usage_usec", r.usage_ns / 1000},
               {"cpu.user_usec", r.user_ns / 1000},
               {"cpu.system_usec", r.system_ns / 1000},
               {"cpu.nr_periods", r.nr_periods},
               {"cpu.nr_throttled", r.nr_throttled},
               {"cpu.throttled_usec", r.throttled_ns / 1000},
               {"memory.low", r.memory_events.low},
               {"memory.high", r.memory_events.high},
               {"memory.max", r.memory_events.max},
               {"memory.oom", r.memory_events.oom},
               {"memory.oom_kill", r.memory_events.oom_kill},
               {"memory.stat.workingset_refault_anon", r.memory_stat.workingset_refault_anon},
               {"memory.stat.workingset_refault_file", r.memory_stat.workingset_refault_file},
               {"memory.stat.pgscan", r.memory_stat.pgscan},
               {"memory.stat.pgsteal", r.memory_stat.pgsteal}};
  for (int resource = 0; resource < SLUICE_RESOURCES; ++resource) {
    const std::string pressure = std::string(kResources[resource]) + ".pressure";
    all[pressure + ".some"] = r.pressure[resource].some_ns / 1000;
    all[pressure + ".full"] = r.pressure[resource].full_ns / 1000;
  }
  return all;
}

constexpr std::uint32_t kAllRising = SLUICE_HAS_USAGE | SLUICE_HAS_BANDWIDTH | SLUICE_HAS_CPU_PRESSURE |
                                     SLUICE_HAS_MEMORY_PRESSURE | SLUICE_HAS_IO_PRESSURE |
                                     SLUICE_HAS_MEMORY_EVENTS | SLUICE_HAS_MEMORY_STAT;

std::optional<sluice_record> record_of(std::span<const sluice_record> records, std::uint64_t id) {
  for (const sluice_record& record : records)
    if (record.cgroup_id == id) return record;
  return std::nullopt;
}

// What is compared over the rounds, for one cgroup.
class Bracket {
 public:
  // The files may have been read only in part; the walk is complete.
  void round(const Counters& before, const Counters& walked, const Counters& after) {
    for (const auto& [name, low] : before) {
      const std::uint64_t value = walked.at(name), high = after.at(name);
      const std::uint64_t growth = high - first_.try_emplace(name, low).first->second;
      const Tolerance tolerance = tolerance_of(name);
      const std::uint64_t slack =
          tolerance.flat + static_cast<std::uint64_t>(tolerance.of_growth * static_cast<double>(growth));
      const std::uint64_t outside = value < low ? low - value : value > high ? value - high : 0;
      grown_[name] = growth;
      // A CPU whose accounting was being written keeps its last totals until the next walk.
      const bool kept = name.find("pressure") != std::string::npos && value < low && last_.contains(name) &&
                        value == last_.at(name);
      kept_ += kept;
      if (kept) continue;
      outside_[name] = std::max(outside_[name], outside);
      if (outside > slack)
        violations_.push_back(name + ": file " + std::to_string(low) + ", walk " + std::to_string(value) +
                              ", file " + std::to_string(high) + ", tolerance " + std::to_string(slack));
    }
    for (const auto& [name, value] : walked) {
      if (last_.contains(name) && value < last_.at(name))
        violations_.push_back(name + " fell from " + std::to_string(last_.at(name)) + " to " +
                              std::to_string(value));
      last_[name] = value;
    }
  }
  const std::vector<std::string>& violations() const { return violations_; }
  int kept() const { return kept_; }
  std::uint64_t grown(const std::string& name) const { return grown_.at(name); }
  std::uint64_t outside(const std::string& name) const { return outside_.at(name); }

 private:
  Counters first_, last_, grown_, outside_;
  std::vector<std::string> violations_;
  int kept_ = 0;
};

// Every kind of load, so that every counter increases somewhere.
struct Load {
  Load() { write_file(file, 24u << 20); }
  ~Load() { std::filesystem::remove(file); }

  std::filesystem::path file = "/var/tmp/sluice-bpf-pages";  // on a disk: a tmpfs would not free its pages
  Cgroup one{root() / "one"}, two{root() / "two"}, free{root() / "free"}, cache{root() / "cache"},
      oom{root() / "oom"}, idle{root() / "idle"};
  std::vector<const Cgroup*> all{&one, &two, &free, &cache, &oom, &idle};

  void start() {
    write_text(one / "cpu.max", "20000 100000");
    write_text(two / "cpu.max", "30000 50000");
    write_text(cache / "memory.high", "8388608");
    write_text(oom / "memory.max", "8388608");
    one.run(burn_cpu, 0);
    two.run(burn_cpu, 0);
    two.run(call_kernel, 1);
    free.run(call_kernel, 1);
    cache.run([this] { read_through(file); }, 0);
    // The parent of the killed processes is in the cgroup too, and starts the next one.
    oom.run(
        [] {
          if (fork() == 0) {
            touch_anonymous(32u << 20);
            _exit(0);
          }
          int status = 0;
          wait(&status);
          usleep(200'000);
        },
        1);
  }
};

TEST(Differential, EveryRisingCounterLiesBetweenTwoReadsOfItsFile) {
  auto source = Source::open(only_walk());
  ASSERT_TRUE(source) << source.error().sentence;
  Load load;
  ASSERT_TRUE(source->read());  // first sight, while all totals are zero
  load.start();

  std::map<const Cgroup*, Bracket> brackets;
  std::map<const Cgroup*, Counters> last_before, last_walked, last_after;
  for (int round = 0; round < kRounds; ++round) {
    const int resource = round % SLUICE_RESOURCES;
    for (const Cgroup* cgroup : load.all) last_before[cgroup] = from_files(*cgroup, resource);
    const auto records = source->read();
    ASSERT_TRUE(records) << records.error().sentence;
    for (const Cgroup* cgroup : load.all) last_after[cgroup] = from_files(*cgroup, resource);
    for (const Cgroup* cgroup : load.all) {
      const auto record = record_of(*records, cgroup->id());
      ASSERT_TRUE(record) << cgroup->path() << " is missing from the walk";
      ASSERT_EQ(record->valid & kAllRising, kAllRising) << cgroup->path() << ": " << source->why_not();
      ASSERT_LE(record->user_ns + record->system_ns, record->usage_ns);
      last_walked[cgroup] = from_record(*record);
      brackets[cgroup].round(last_before[cgroup], last_walked[cgroup], last_after[cgroup]);
    }
    std::this_thread::sleep_for(kBetweenRounds);
  }

  std::uint64_t pressure_outside_usec = 0;
  int kept = 0;
  for (const Cgroup* cgroup : load.all) {
    const Bracket& bracket = brackets.at(cgroup);
    for (const std::string& violation : bracket.violations())
      ADD_FAILURE() << cgroup->path() << " " << violation;
    kept += bracket.kept();
    for (const char* name : {"cpu.pressure.some", "cpu.pressure.full", "memory.pressure.some",
                             "memory.pressure.full", "cpu.usage_usec", "cpu.user_usec", "cpu.system_usec"}) {
      std::printf("%-6s %-22s grew %9lu us, at most %6lu us outside\n", cgroup->path().filename().c_str(),
                  name, bracket.grown(name), bracket.outside(name));
      if (std::string(name).find("pressure") != std::string::npos)
        pressure_outside_usec = std::max(pressure_outside_usec, bracket.outside(name));
    }
  }
  RecordProperty("rounds", kRounds);
  RecordProperty("pressure_outside_usec", std::to_string(pressure_outside_usec));
  RecordProperty("pressure_values_kept", kept);
  EXPECT_LE(kept, kRounds / 4) << "of " << 2 * load.all.size() * kRounds << " pressure values";

  // A counter that did not increase proves nothing.
  for (const char* name : {"cpu.usage_usec", "cpu.nr_periods", "cpu.nr_throttled", "cpu.throttled_usec"})
    EXPECT_GT(brackets[&load.one].grown(name), 0u) << name;
  for (const char* name : {"cpu.system_usec", "cpu.pressure.some", "cpu.pressure.full", "cpu.throttled_usec"})
    EXPECT_GT(brackets[&load.two].grown(name), 0u) << name;
  for (const char* name :
       {"memory.high", "memory.pressure.some", "memory.pressure.full", "memory.stat.workingset_refault_file",
        "memory.stat.pgscan", "memory.stat.pgsteal"})
    EXPECT_GT(brackets[&load.cache].grown(name), 0u) << name;
  for (const char* name : {"memory.max", "memory.oom", "memory.oom_kill"})
    EXPECT_GT(brackets[&load.oom].grown(name), 0u) << name;

  // The comparison can fail: the same check with counters that are slightly wrong, or of another cgroup.
  for (const char* name : {"cpu.usage_usec", "cpu.nr_periods", "cpu.nr_throttled", "cpu.throttled_usec"}) {
    for (const bool too_large : {false, true}) {
      Counters wrong = last_walked[&load.one];
      wrong[name] = too_large ? last_after[&load.one][name] + 1 : last_before[&load.one][name] - 1;
      Bracket bracket;
      bracket.round(last_before[&load.one], wrong, last_after[&load.one]);
      EXPECT_FALSE(bracket.violations().empty()) << name << " off by one went unnoticed";
    }
  }
  Bracket swapped;
  swapped.round(last_before[&load.one], last_walked[&load.two], last_after[&load.one]);
  EXPECT_FALSE(swapped.violations().empty()) << "another cgroup's counters went unnoticed";
}

// In the test above, the file that is read first updates the kernel's own sums. Here only the walk itself
// does.
TEST(Differential, TheWalkIsFreshWhenNobodyReadsFiles) {
  auto source = Source::open(only_walk());
  ASSERT_TRUE(source) << source.error().sentence;
  Cgroup cgroup(root() / "unread");
  ASSERT_TRUE(source->read());
  write_text(cgroup / "cpu.max", "50000 100000");
  cgroup.run(burn_cpu, 0);

  constexpr std::uint64_t kJiffiesUsec = 20'000;  // a runtime is accounted at its tick
  constexpr int kFreshRounds = 9;
  std::uint64_t last_usage_usec = 0, last_stalled_usec = 0;
  int fresh = 0;
  for (int round = 0; round < kFreshRounds; ++round) {
    for (int quiet = 0; quiet < 4; ++quiet) {  // as the daemon does it: walks, and no file reads
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      ASSERT_TRUE(source->read());
    }
    const auto began = std::chrono::steady_clock::now();
    const auto records = source->read();
    ASSERT_TRUE(records);
    const std::uint64_t usage_usec = read_keyed(cgroup / "cpu.stat").at("usage_usec");
    const std::uint64_t stalled_usec = read_pressure(cgroup / "cpu.pressure").at("some");
    const auto took =
        std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - began);
    const Counters walked = from_record(record_of(*records, cgroup.id()).value_or(sluice_record{}));

    // One thread's usage between the walk and the file read; much less than the usage of a round.
    const std::uint64_t slack_usec = static_cast<std::uint64_t>(took.count()) + kJiffiesUsec;
    ASSERT_GT(usage_usec - last_usage_usec, 2 * kJiffiesUsec) << "the load stood still: nothing is shown";
    ASSERT_GT(stalled_usec - last_stalled_usec, 2 * kJiffiesUsec);
    EXPECT_LE(walked.at("cpu.usage_usec"), usage_usec);
    fresh += usage_usec <= walked.at("cpu.usage_usec") + slack_usec &&
             stalled_usec <= walked.at("cpu.pressure.some") + slack_usec;
    EXPECT_LE(walked.at("cpu.pressure.some"), stalled_usec + kJiffiesUsec) << "round " << round;
    last_usage_usec = usage_usec;
    last_stalled_usec = stalled_usec;
  }
  // If a busy host delays a tick, more is accounted at once. A walk that is not fresh is late by a round each
  // time.
  RecordProperty("fresh_rounds", fresh);
  EXPECT_GE(fresh, kFreshRounds * 2 / 3);
}

TEST(Differential, KnobsAndMemoryAtRestAreExact) {
  auto source = Source::open(only_walk());
  ASSERT_TRUE(source) << source.error().sentence;
  Cgroup cgroup(root() / "knobs");
  const auto record = [&]() -> sluice_record {
    const auto records = source->read();
    EXPECT_TRUE(records);
    return record_of(*records, cgroup.id()).value_or(sluice_record{});
  };

  const std::uint32_t knobs = SLUICE_HAS_CPU_MAX | SLUICE_HAS_MEMORY | SLUICE_HAS_SWAP;
  ASSERT_EQ(record().valid & knobs, knobs);
  EXPECT_EQ(record().cfs_quota_us, SLUICE_NO_LIMIT);
  for (const auto& [quota, period] : {std::pair{20'000u, 100'000u}, {1'000u, 1'000u}, {333'333u, 77'777u}}) {
    write_text(cgroup / "cpu.max", std::to_string(quota) + " " + std::to_string(period));
    EXPECT_EQ(record().cfs_quota_us, quota);
    EXPECT_EQ(record().cfs_period_us, period);
    for (const auto burst : {quota, quota / 2, 0u}) {
      write_text(cgroup / "cpu.max.burst", std::to_string(burst));
      EXPECT_TRUE(record().valid & SLUICE_HAS_CPU_BURST);
      EXPECT_EQ(record().cfs_burst_us, burst);
    }
    EXPECT_EQ(read_text(cgroup / "cpu.max"),
              std::to_string(record().cfs_quota_us) + " " + std::to_string(record().cfs_period_us) + "\n");
  }
  write_text(cgroup / "cpu.max", "max 50000");
  EXPECT_EQ(record().cfs_quota_us, SLUICE_NO_LIMIT);
  EXPECT_EQ(record().cfs_period_us, 50'000u);

  for (const char* value :
       {"max", "0", "10000000", "1099511627777", "max"}) {  // rounded down to pages, or unchanged
    for (const char* knob : {"memory.high", "memory.max", "memory.swap.max"})
      write_text(cgroup / knob, value);
    EXPECT_EQ(record().memory_high_bytes, read_limit(cgroup / "memory.high")) << value;
    EXPECT_EQ(record().memory_max_bytes, read_limit(cgroup / "memory.max")) << value;
    EXPECT_EQ(record().swap_max_bytes, read_limit(cgroup / "memory.swap.max")) << value;
  }

  cgroup.run([] {
    touch_anonymous(12u << 20);
    pause();
  });
  std::uint64_t before = 0, walked = 0, after = 1;
  for (int attempt = 0; attempt < 50 && !(before == after && before > (12u << 20)); ++attempt) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    before = read_limit(cgroup / "memory.current");
    walked = record().memory_current_bytes;
    after = read_limit(cgroup / "memory.current");
  }
  ASSERT_EQ(before, after) << "the process never came to rest";
  EXPECT_GT(walked, 12u << 20);
  EXPECT_EQ(walked, before);
  EXPECT_EQ(record().swap_current_bytes, read_limit(cgroup / "memory.swap.current"));
}

}  // namespace
}  // namespace sluice::kernel_test
