// Counters of the event programs, compared with the kernel's own accounting.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <fstream>
#include <numeric>
#include <thread>

#include "tests/kernel/bpf/counted.hpp"

namespace sluice::kernel_test {
namespace {

using bpf::Options;
using bpf::Source;
using namespace std::chrono_literals;

Source open_source(const Options& options, std::vector<std::uint64_t> ids) {
  auto source = Source::open(options);
  if (!source) throw std::runtime_error(source.error().sentence);
  if (const auto set = source->set_governed(ids); !set) throw std::runtime_error(set.error().sentence);
  return std::move(*source);
}

double ms(std::uint64_t ns) {
  return static_cast<double>(ns) / 1e6;
}

// Nanoseconds that a cgroup's tasks waited, by the tasks' own accounting.
std::uint64_t run_delay_ns(const Cgroup& cgroup) {
  std::istringstream threads(read_text(cgroup / "cgroup.threads"));
  std::uint64_t sum = 0;
  for (std::string tid; threads >> tid;) {
    std::ifstream schedstat("/proc/" + tid + "/schedstat");
    std::uint64_t ran = 0, waited = 0;
    schedstat >> ran >> waited;
    sum += waited;
  }
  return sum;
}

TEST(ThrottleTime, IsThatOfTheKernelsOwnAccount) {
  Cgroup cgroup(root() / "throttled");
  Options options = nothing();
  options.throttle = true;
  Source source = open_source(options, {cgroup.id()});
  ASSERT_EQ(source.why_not(), "");
  write_text(cgroup / "cpu.max", "20000 100000");
  const auto before = read_keyed(cgroup / "cpu.stat");
  cgroup.run(burn_cpu, 0);  // on one CPU: one run queue, so wall time is the sum over CPUs
  cgroup.run(burn_cpu, 0);
  cgroup.run(burn_cpu, 0);
  // A late timer counts all periods that it missed, for one throttle.
  std::uint64_t last = 0, looked_at = before.at("nr_throttled"), missed = 0;
  const auto look = [&] {
    const sluice_throttle_totals now = counted(source, cgroup).throttle;
    EXPECT_GE(now.stopped_ns, last) << "a total that goes back";
    last = now.stopped_ns;
    const std::uint64_t periods = read_keyed(cgroup / "cpu.stat").at("nr_throttled");
    if (periods > looked_at + 1) missed += periods - looked_at - 1;
    looked_at = periods;
    return now.count >= 30;
  };
  wait_until(look, "it is throttled");
  write_text(cgroup / "cpu.max", "max 100000");  // ends the current stretch
  const auto after = read_keyed(cgroup / "cpu.stat");
  const sluice_counters counters = counted(source, cgroup);
  ASSERT_TRUE(counters.valid & SLUICE_COUNTS_THROTTLE);
  const std::uint64_t kernel_ns = (after.at("throttled_usec") - before.at("throttled_usec")) * 1000;
  const std::uint64_t kernel_count = after.at("nr_throttled") - before.at("nr_throttled");
  const double ratio = ms(counters.throttle.stopped_ns) / ms(kernel_ns);
  testing::Test::RecordProperty("to_cpu_stat_ratio", std::to_string(ratio));
  EXPECT_NEAR(ratio, 1.0, 0.02) << ms(counters.throttle.stopped_ns) << " ms, cpu.stat " << ms(kernel_ns);
  testing::Test::RecordProperty("missed_periods", std::to_string(missed));
  EXPECT_LE(counters.throttle.count, kernel_count + kernel_count / 8 + 2);
  EXPECT_GE(counters.throttle.count + missed + kernel_count / 8 + 2, kernel_count);
  // Three tasks are runnable, and each throttle stops all of them.
  const double each =
      static_cast<double>(counters.throttle.stopped_tasks) / static_cast<double>(counters.throttle.count);
  testing::Test::RecordProperty("stopped_tasks_per_throttle_tasks", std::to_string(each));
  EXPECT_NEAR(each, 3.0, 0.35);
  std::this_thread::sleep_for(100ms);
  EXPECT_EQ(counted(source, cgroup).throttle.stopped_ns, counters.throttle.stopped_ns)
      << "nothing stands still";
}

TEST(ThrottleTime, TwoRunQueuesStandStillAtOnceAndCountOnce) {
  Cgroup cgroup(root() / "both");
  Options options = nothing();
  options.throttle = true;
  Source source = open_source(options, {cgroup.id()});
  write_text(cgroup / "cpu.max", "40000 100000");
  cgroup.run(burn_cpu, 0);
  cgroup.run(burn_cpu, 1);
  wait_until([&] { return counted(source, cgroup).throttle.count > 4; }, "it is throttled");
  const std::uint64_t at_first = counted(source, cgroup).throttle.stopped_ns;
  const auto began = std::chrono::steady_clock::now();
  const auto before = read_keyed(cgroup / "cpu.stat").at("throttled_usec");
  std::this_thread::sleep_for(2500ms);
  write_text(cgroup / "cpu.max", "max 100000");  // the kernel adds a stretch when it ends
  const std::uint64_t wall_ns = counted(source, cgroup).throttle.stopped_ns - at_first;
  const auto elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  const double summed =
      static_cast<double>(read_keyed(cgroup / "cpu.stat").at("throttled_usec") - before) / 1e6;
  const double share = static_cast<double>(wall_ns) / 1e9 / elapsed;
  testing::Test::RecordProperty("wall_share_ratio", std::to_string(share));
  EXPECT_GT(share, 0.6);
  EXPECT_LT(share, 1.0);
  EXPECT_GT(summed, 1.5 * share * elapsed) << "cpu.stat adds both CPUs up";
}

TEST(RunQueue, WaitIsThatOfTheTasksOwnAccount) {
  Cgroup crowded(root() / "crowded"), alone(root() / "alone");
  Options options = nothing();
  options.run_queue = true;
  Source source = open_source(options, {crowded.id(), alone.id()});
  ASSERT_EQ(source.why_not(), "");
  for (int i = 0; i < 3; ++i) crowded.run(burn_cpu, 0);  // three for one CPU
  alone.run([] { usleep(2000); }, 1);
  const auto waits = [&](const Cgroup& cgroup) {
    const auto& counts = counted(source, cgroup).run_queue.log2_usec;
    return std::accumulate(std::begin(counts), std::end(counts), std::uint64_t{0});
  };
  wait_until([&] { return waits(crowded) > 20 && waits(alone) > 20 && processes(crowded) == 3; }, "they run");

  // Taken between two reads of the tasks' accounting, because a busy host may interrupt the test between
  // them.
  struct Look {
    std::uint64_t low_ns;
    sluice_counters ours;
    std::uint64_t high_ns;
  };
  const auto look = [&] {
    const std::uint64_t low_ns = run_delay_ns(crowded);
    const sluice_counters ours = counted(source, crowded);
    return Look{low_ns, ours, run_delay_ns(crowded)};
  };
  const Look before = look();
  wait_until([&] { return run_delay_ns(crowded) > before.high_ns + 6'000'000'000u && waits(alone) > 100; },
             "two of three wait at any time");
  const Look last = look();
  const sluice_counters& after = last.ours;
  ASSERT_TRUE(after.valid & SLUICE_COUNTS_RUN_QUEUE);
  const std::uint64_t waited_ns = after.run_queue.total_ns - before.ours.run_queue.total_ns;
  const double least_ms = ms(last.low_ns - before.high_ns), most_ms = ms(last.high_ns - before.low_ns);
  testing::Test::RecordProperty("to_schedstat_ratio",
                                std::to_string(2 * ms(waited_ns) / (least_ms + most_ms)));
  EXPECT_GE(ms(waited_ns), 0.98 * least_ms);
  EXPECT_LE(ms(waited_ns), 1.02 * most_ms);

  // The sum lies within the bounds given by the histogram's edges.
  double least = 0, most = 0;
  for (std::size_t i = 0; i < SLUICE_WAIT_BUCKETS; ++i) {
    const auto count = static_cast<double>(after.run_queue.log2_usec[i]);
    least += i ? count * std::ldexp(1.0, static_cast<int>(i)) : 0;
    most += count * std::ldexp(1.0, static_cast<int>(i) + 1);
  }
  const double total_usec = static_cast<double>(after.run_queue.total_ns) / 1e3;
  EXPECT_LE(least, total_usec);
  EXPECT_GE(most, total_usec);
  EXPECT_LT(counted(source, alone).run_queue.total_ns, after.run_queue.total_ns / 10)
      << "another cgroup's waits";
}

TEST(RunQueue, DescendantsCountForTheirNearestGovernedAncestor) {
  Cgroup outer(root() / "outer");
  write_text(outer / "cgroup.subtree_control", "+cpu");
  Cgroup inner(outer / "inner");
  write_text(inner / "cgroup.subtree_control", "+cpu");
  Cgroup leaf(inner / "leaf");
  Options options = nothing();
  options.run_queue = true;
  Source source = open_source(options, {outer.id()});
  for (int i = 0; i < 2; ++i) leaf.run(burn_cpu, 0);
  const auto waited_ns = [&](const Cgroup& cgroup) { return counted(source, cgroup).run_queue.total_ns; };
  constexpr std::uint64_t kEnoughNs = 500'000'000;
  wait_until([&] { return waited_ns(outer) > kEnoughNs; }, "waits are the outer's");
  const std::uint64_t by_outer = waited_ns(outer);
  const std::uint64_t both[] = {outer.id(), inner.id()};
  ASSERT_TRUE(source.set_governed(both));  // invalidates what was remembered of the leaf
  const std::uint64_t frozen = waited_ns(outer);
  EXPECT_GE(frozen, by_outer) << "who stays keeps its counters";
  wait_until([&] { return waited_ns(inner) > kEnoughNs; }, "waits are the inner's");
  EXPECT_LT(waited_ns(outer) - frozen, kEnoughNs / 10);
}

TEST(MemoryStall, IsThatOfMemoryPressure) {
  Cgroup cgroup(root() / "stalled");
  Options options = nothing();
  options.memory_stall = true;
  Source source = open_source(options, {cgroup.id()});
  ASSERT_EQ(source.why_not(), "");
  write_text(cgroup / "memory.high", std::to_string(24 << 20));
  const std::string file = "/var/tmp/sluice-stall";
  write_file(file, 96 << 20);
  const std::uint64_t some_before = read_pressure(cgroup / "memory.pressure").at("some");
  // One task, so that stalled time is the wall time of "some". On one CPU, because the kernel averages over
  // CPUs.
  cgroup.run(
      [&] {
        static const bool touched = (touch_anonymous(16 << 20), true);
        (void)touched;
        read_through(file);  // larger than the limit
      },
      0);
  wait_until([&] { return counted(source, cgroup).memory.stalled_ns > 700'000'000u; }, "it stalls");
  write_text(cgroup / "cgroup.kill", "1");
  wait_until([&] { return processes(cgroup) == 0; }, "it is gone");
  const sluice_counters counters = counted(source, cgroup);
  const std::uint64_t some_ns = (read_pressure(cgroup / "memory.pressure").at("some") - some_before) * 1000;
  std::filesystem::remove(file);
  ASSERT_TRUE(counters.valid & SLUICE_COUNTS_MEMORY_STALL);
  ASSERT_TRUE(counters.valid & SLUICE_COUNTS_HIGH);
  const double ratio = ms(counters.memory.stalled_ns) / ms(some_ns);
  testing::Test::RecordProperty("to_memory_pressure_ratio", std::to_string(ratio));
  testing::Test::RecordProperty("high_throttled_ms", std::to_string(ms(counters.memory.high_throttled_ns)));
  EXPECT_NEAR(ratio, 1.0, 0.05) << ms(counters.memory.stalled_ns) << " ms, memory.pressure " << ms(some_ns);
  EXPECT_LE(counters.memory.high_throttled_ns, counters.memory.stalled_ns);
}

TEST(MemoryStall, GrowingAboveHighIsMostlyPenalty) {
  Cgroup cgroup(root() / "penalty");
  Options options = nothing();
  options.memory_stall = true;
  Source source = open_source(options, {cgroup.id()});
  write_text(cgroup / "memory.high", std::to_string(16 << 20));
  cgroup.run([] {
    touch_anonymous(1 << 20);  // no swap: reclaim finds nothing, and each step costs a sleep
    usleep(1000);
  });
  wait_until([&] { return counted(source, cgroup).memory.high_throttled_ns > 0; }, "it is throttled");
  const auto began = std::chrono::steady_clock::now();
  wait_until([&] { return counted(source, cgroup).memory.high_throttled_ns > 2'000'000'000u; }, "and again");
  const auto elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  const double share = ms(counted(source, cgroup).memory.high_throttled_ns) / 1e3 / elapsed;
  testing::Test::RecordProperty("high_throttled_ratio", std::to_string(share));
  EXPECT_GT(read_keyed(cgroup / "memory.events").at("high"), 0u);
  EXPECT_GT(share, 0.25);
}

TEST(Oom, AKillIsAnEventAtOnce) {
  Cgroup cgroup(root() / "victim");
  Options options = nothing();
  options.memory_stall = true;
  Source source = open_source(options, {cgroup.id()});
  write_text(cgroup / "memory.max", std::to_string(16 << 20));
  cgroup.run([] { touch_anonymous(1 << 20); });
  std::vector<sluice_event> heard;
  const auto drain = [&] {
    EXPECT_TRUE(source.drain([&](const sluice_event& event) { heard.push_back(event); }));
    return !heard.empty();
  };
  wait_until(drain, "somebody is killed");
  ASSERT_EQ(heard.size(), 1u);
  EXPECT_EQ(heard[0].kind, SLUICE_EVENT_OOM_KILL);
  EXPECT_EQ(heard[0].cgroup_id, cgroup.id());
  wait_until([&] { return processes(cgroup) == 0; }, "it is gone");
  EXPECT_EQ(counted(source, cgroup).memory.oom_kills, 1u);
  EXPECT_EQ(read_keyed(cgroup / "memory.events").at("oom_kill"), 1u);
}

class Writer : public testing::Test {
 protected:
  static Options only_writer() {
    Options options = nothing();
    options.writer = true;
    options.event_interval = 0ns;
    return options;
  }
  static std::vector<sluice_write_event> heard(Source& source) {
    std::vector<sluice_write_event> writes;
    std::this_thread::sleep_for(50ms);
    const auto drained = source.drain([](const sluice_event&) { ADD_FAILURE() << "no such event"; },
                                      [&](const sluice_write_event& event) { writes.push_back(event); });
    EXPECT_TRUE(drained) << drained.error().sentence;
    return writes;
  }
  static int shell(const std::string& command) {
    const int pid = fork();
    if (pid == 0) {
      execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
      _exit(127);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return pid;
  }
};

TEST_F(Writer, IsNamedWithItsProcessAndItsCgroup) {
  Cgroup cgroup(root() / "written"), other(root() / "other"), by(root() / "by.service");
  Source source = open_source(only_writer(), {cgroup.id()});
  ASSERT_EQ(source.why_not(), "");
  ASSERT_TRUE(source.has_writer());
  int pid = 0;
  {
    const Inside inside(by);
    pid = shell("echo '30000 100000' > " + (cgroup / "cpu.max").string());
  }
  auto writes = heard(source);
  ASSERT_EQ(writes.size(), 1u);
  EXPECT_EQ(writes[0].event.cgroup_id, cgroup.id());
  EXPECT_EQ(writes[0].event.kind, SLUICE_EVENT_WRITTEN);
  EXPECT_EQ(writes[0].pid, static_cast<std::uint32_t>(pid));
  EXPECT_EQ(writes[0].uid, 0u);
  EXPECT_EQ(writes[0].knob, static_cast<std::uint32_t>(SLUICE_KNOB_CPU_MAX));
  EXPECT_STREQ(writes[0].comm, "sh");
  EXPECT_EQ(std::string(writes[0].value).substr(0, 12), "30000 100000");
  EXPECT_EQ(writes[0].writer_cgroup_id, by.id());
  EXPECT_STREQ(writes[0].cgroup[0], "by.service");
  EXPECT_EQ(writes[0].cgroup[1], root().filename().string());

  shell("echo 100M > " + (cgroup / "memory.high").string());
  writes = heard(source);
  ASSERT_EQ(writes.size(), 1u);
  EXPECT_EQ(writes[0].knob, static_cast<std::uint32_t>(SLUICE_KNOB_MEMORY_HIGH));

  for (const char* file : {"cpu.weight", "cpu.weight.nice"}) {  // two names of one knob
    shell("echo 5 > " + (cgroup / file).string());
    writes = heard(source);
    ASSERT_EQ(writes.size(), 1u) << file;
    EXPECT_EQ(writes[0].knob, static_cast<std::uint32_t>(SLUICE_KNOB_CPU_WEIGHT)) << file;
  }

  shell("echo 1000 > " + (other / "cpu.max").string());  // not governed
  shell("echo 5 > " + (cgroup / "cgroup.max.depth").string() + "; echo nonsense 2>/dev/null > " +
        (cgroup / "cpu.max").string());
  write_text(cgroup / "cpu.max", "40000 100000");  // our own write
  EXPECT_TRUE(heard(source).empty());
}

TEST_F(Writer, ARingThatIsFullLosesEventsAndSaysSo) {
  Cgroup cgroup(root() / "flooded");
  Options options = only_writer();
  options.ring_bytes = 4096;
  options.own_writes = true;
  Source source = open_source(options, {cgroup.id()});
  for (int i = 0; i < 100; ++i) write_text(cgroup / "cpu.max", "40000 100000");
  const auto kept = heard(source);
  EXPECT_GE(kept.size(), 8u);
  EXPECT_EQ(kept.size() + source.stats().lost_events, 100u);
  EXPECT_EQ(source.stats().events, kept.size());
  write_text(cgroup / "cpu.max", "40000 100000");
  EXPECT_EQ(heard(source).size(), 1u) << "after a full ring nothing came any more";
}

TEST_F(Writer, TheRateLimitPassesTheFirstAndCountsTheRest) {
  Cgroup cgroup(root() / "eager");
  Options options = only_writer();
  options.event_interval = 10s;
  options.own_writes = true;
  Source source = open_source(options, {cgroup.id()});
  for (int i = 0; i < 20; ++i) write_text(cgroup / "cpu.max", "40000 100000");
  EXPECT_EQ(heard(source).size(), 1u);
  EXPECT_EQ(source.stats().suppressed, 19u);
}

}  // namespace
}  // namespace sluice::kernel_test
