// When a governed cgroup last had nothing to run, against what its tasks noted of their own pauses.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <ctime>
#include <new>
#include <set>
#include <sstream>
#include <thread>

#include "tests/kernel/bpf/counted.hpp"

namespace sluice::kernel_test {
namespace {

using bpf::Options;
using bpf::Source;
using namespace std::chrono_literals;

constexpr std::uint64_t kMs = 1'000'000;
constexpr std::uint64_t kStart =
    1'300 * kMs;  // nothing is told for a second; then a stretch must begin and end

std::uint64_t now_ns(clockid_t clock = CLOCK_MONOTONIC) {
  timespec now = {};
  clock_gettime(clock, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(now.tv_nsec);
}

void sleep_until(std::uint64_t ns) {
  const timespec until{static_cast<time_t>(ns / 1'000'000'000u), static_cast<long>(ns % 1'000'000'000u)};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr) != 0) {
  }
}

void burn(std::uint64_t ns, clockid_t clock = CLOCK_MONOTONIC) {
  for (const std::uint64_t end = now_ns(clock) + ns; now_ns(clock) < end;) asm volatile("");
}

// What a child notes and the test reads.
class Notes {
 public:
  struct Pause {
    std::uint64_t before, after;  // by the clock, just before the sleep and just after it
  };
  Notes() {
    void* memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    shared_ = new (memory) Shared{};
  }
  Notes(const Notes&) = delete;
  Notes& operator=(const Notes&) = delete;
  ~Notes() { munmap(shared_, sizeof(Shared)); }

  void pause(std::uint64_t ns) {
    const std::uint64_t before = now_ns();
    sleep_until(before + ns);
    const std::size_t at = shared_->count.load();
    if (at == kRoom) _exit(1);
    shared_->pauses[at] = {before, now_ns()};
    shared_->count.store(at + 1);
  }
  std::vector<Pause> pauses() const { return {shared_->pauses, shared_->pauses + shared_->count.load()}; }

 private:
  static constexpr std::size_t kRoom = 1 << 14;
  struct Shared {
    std::atomic<std::size_t> count;
    Pause pauses[kRoom];
  };
  Shared* shared_;
};

class Idle : public testing::Test {
 protected:
  static Options only_run_queue() {
    Options options = nothing();
    options.run_queue = true;
    return options;
  }
  static Source open_source(const Options& options, const std::vector<std::uint64_t>& ids) {
    auto source = Source::open(options);
    if (!source) throw std::runtime_error(source.error().sentence);
    govern(*source, ids);
    EXPECT_EQ(source->why_not(), "");
    return std::move(*source);
  }
  static void govern(Source& source, const std::vector<std::uint64_t>& ids) {
    if (const auto set = source.set_governed(ids); !set) throw std::runtime_error(set.error().sentence);
  }
  // Each value of the cgroup's idle_until in that time, without the one it began with.
  static std::set<std::uint64_t> told(Source& source, const Cgroup& cgroup, std::chrono::milliseconds time) {
    std::set<std::uint64_t> values;
    std::uint64_t last = counted(source, cgroup).idle.until_ns;
    for (const std::uint64_t end = now_ns() + static_cast<std::uint64_t>(time.count()) * kMs;
         now_ns() < end;) {
      std::this_thread::sleep_for(10ms);
      const sluice_counters counters = counted(source, cgroup);
      EXPECT_TRUE(counters.valid & SLUICE_COUNTS_IDLE);
      EXPECT_GE(counters.idle.until_ns, last) << "it goes back";
      EXPECT_TRUE(counters.idle.since_ns == 0 || counters.idle.since_ns > counters.idle.until_ns);
      if (counters.idle.until_ns != last) values.insert(last = counters.idle.until_ns);
    }
    return values;
  }
  // In a pause that was noted, and that long.
  static bool within(const std::vector<Notes::Pause>& pauses, std::uint64_t until) {
    return std::any_of(pauses.begin(), pauses.end(), [&](const Notes::Pause& pause) {
      return until >= pause.before + SLUICE_IDLE_MIN_NS && until <= pause.after;
    });
  }
  static void warm_up() { std::this_thread::sleep_for(std::chrono::nanoseconds(kStart)); }
};

TEST_F(Idle, UntilTheEndOfEachPause) {
  Cgroup cgroup(root() / "pausing");
  Source source = open_source(only_run_queue(), {cgroup.id()});
  Notes notes;
  cgroup.run(
      [&] {
        notes.pause(20 * kMs);
        burn(20 * kMs);
      },
      0);
  warm_up();
  const std::size_t first = notes.pauses().size();
  const auto values = told(source, cgroup, 4s);
  const auto pauses = notes.pauses();
  for (const std::uint64_t until : values) EXPECT_TRUE(within(pauses, until)) << until;
  const std::size_t made = pauses.size() - first;
  RecordProperty("pauses", std::to_string(made));
  RecordProperty("told", std::to_string(values.size()));
  ASSERT_GT(made, 20u);
  EXPECT_GE(values.size(), made * 3 / 4) << "of " << made << " pauses";
  EXPECT_LE(values.size(), made + 2);
}

// A parent sleeps uninterruptibly until the child that it lent its memory ends: work in its hands, not rest.
TEST_F(Idle, NotWhileAThreadSleepsUninterruptibly) {
  Cgroup cgroup(root() / "uninterruptible");
  Source source = open_source(only_run_queue(), {cgroup.id()});
  const auto child = [](void*) {
    sleep_until(now_ns() + 20 * kMs);
    _exit(0);
    return 0;
  };
  alignas(16) static char stack[64 * 1024];
  cgroup.run(
      [&] {
        const int pid = clone(child, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, nullptr);
        if (pid < 0) _exit(1);
        waitpid(pid, nullptr, 0);
        burn(5 * kMs);
      },
      0);
  warm_up();
  EXPECT_TRUE(told(source, cgroup, 2s).empty());
}

TEST_F(Idle, NeverWhileOneThreadBurns) {
  Cgroup cgroup(root() / "burning");
  Source source = open_source(only_run_queue(), {cgroup.id()});
  Notes notes;
  cgroup.run([&] { notes.pause(20 * kMs), burn(5 * kMs); }, 0);
  cgroup.run(burn_cpu, 1);
  warm_up();
  EXPECT_EQ(told(source, cgroup, 3s).size(), 0u);
  EXPECT_GT(notes.pauses().size(), 20u);
  const sluice_idle idle = counted(source, cgroup).idle;
  EXPECT_EQ(idle.until_ns, 0u);
  EXPECT_EQ(idle.since_ns, 0u);
}

TEST_F(Idle, NotForAPauseTooShort) {
  Cgroup cgroup(root() / "brief");
  Source source = open_source(only_run_queue(), {cgroup.id()});
  Notes notes;
  cgroup.run(
      [&] {
        notes.pause(kMs / 5);
        burn(5 * kMs);
      },
      0);
  warm_up();
  const auto values = told(source, cgroup, 3s);
  const auto pauses = notes.pauses();
  const auto brief = std::count_if(pauses.begin(), pauses.end(), [](const Notes::Pause& pause) {
    return pause.after - pause.before < SLUICE_IDLE_MIN_NS;
  });
  RecordProperty("pauses", std::to_string(pauses.size()));
  RecordProperty("brief", std::to_string(brief));
  EXPECT_GT(brief, 50) << "of " << pauses.size() << " pauses";
  for (const std::uint64_t until : values)  // emulation may have stretched a pause
    EXPECT_TRUE(within(pauses, until)) << until;
}

TEST_F(Idle, ASlotThatIsReusedKnowsNothing) {
  Cgroup pausing(root() / "pausing"), burning(root() / "burning");
  Options options = only_run_queue();
  options.governed_capacity = 1;
  Source source = open_source(options, {pausing.id()});
  Notes notes;
  const auto body = [&] { notes.pause(20 * kMs), burn(5 * kMs); };
  pausing.run(body, 0);
  burning.run(burn_cpu, 1);
  warm_up();
  EXPECT_GT(told(source, pausing, 500ms).size(), 2u);
  govern(source, {burning.id()});
  EXPECT_EQ(counted(source, burning).idle.until_ns, 0u);
  EXPECT_EQ(told(source, burning, 2500ms).size(), 0u);
  govern(source, {pausing.id()});
  const std::uint64_t again = now_ns();
  EXPECT_EQ(counted(source, pausing).idle.until_ns, 0u);
  warm_up();
  const auto values = told(source, pausing, 1s);
  ASSERT_GT(values.size(), 2u);
  EXPECT_GT(*values.begin(), again);
  const auto pauses = notes.pauses();
  for (const std::uint64_t until : values) EXPECT_TRUE(within(pauses, until)) << until;
}

TEST_F(Idle, AThreadThatMovesTakesItsCountAlong) {
  Cgroup left(root() / "left"), right(root() / "right"), outside(root() / "outside");
  Source source = open_source(only_run_queue(), {left.id(), right.id()});
  Notes lefts, rights;
  left.run([&] { lefts.pause(20 * kMs), burn(5 * kMs); }, 0);
  right.run([&] { rights.pause(20 * kMs), burn(5 * kMs); }, 0);
  left.run(burn_cpu, 1);
  warm_up();
  std::istringstream pids(read_text(left / "cgroup.procs"));
  std::string pauser, burner;
  ASSERT_TRUE(pids >> pauser >> burner);
  // The younger has the greater number.
  if (std::stoi(burner) < std::stoi(pauser)) std::swap(pauser, burner);
  EXPECT_EQ(told(source, left, 500ms).size(), 0u);
  EXPECT_GT(told(source, right, 500ms).size(), 2u);
  // Where a thread is counted is seen when it leaves the CPU, and when it runs again: on a CPU of its own
  // that may take seconds. Somebody who wakes there takes it away for a moment.
  const auto settle = [] {
    std::thread disturb([] {
      cpu_set_t cpus;
      CPU_ZERO(&cpus);
      CPU_SET(1, &cpus);
      ASSERT_EQ(sched_setaffinity(0, sizeof(cpus), &cpus), 0);
      for (int wake = 0; wake < 20; ++wake) std::this_thread::sleep_for(20ms), burn(kMs);
    });
    disturb.join();
    std::this_thread::sleep_for(300ms);
  };
  write_text(right / "cgroup.procs", burner);
  settle();
  EXPECT_GT(told(source, left, 500ms).size(), 2u);
  EXPECT_EQ(told(source, right, 500ms).size(), 0u);
  write_text(outside / "cgroup.procs", burner);
  settle();
  EXPECT_GT(told(source, left, 500ms).size(), 2u);
  EXPECT_GT(told(source, right, 500ms).size(), 2u);
  write_text(left / "cgroup.procs", burner);
  settle();
  EXPECT_EQ(told(source, left, 500ms).size(), 0u);
  kill(std::stoi(burner), SIGKILL);
  settle();
  EXPECT_GT(told(source, left, 500ms).size(), 2u);
}

// One task spends the quota and sleeps. The other wakes on another CPU, which stops it at once.
struct Wake {
  std::uint64_t due_ns;                   // when it wakes
  std::uint64_t stopped_ns = 0;           // when the kernel told that it stopped the cgroup
  std::uint64_t told_then = 0, told = 0;  // for that time; and when it had run
};
Wake wake_under_spent_quota() {
  constexpr std::uint64_t kQuota = 20 * kMs, kOfIt = 19'400'000;  // less than 1 ms left is not given back
  Cgroup cgroup(root() / "spent");
  write_text(cgroup / "cpu.max", std::to_string(kQuota / 1000) + " 1000000");
  Options options = nothing();
  options.run_queue = options.throttle = true;
  auto source = Source::open(options);
  if (!source) throw std::runtime_error(source.error().sentence);
  const std::uint64_t id = cgroup.id();
  EXPECT_TRUE(source->set_governed({&id, 1}));
  const std::uint64_t began = now_ns();
  Wake wake{began + kStart + 200 * kMs};
  Notes spends, wakes;
  const int pid = fork();  // outside; it is moved while it sleeps, so that its CPU has no quota in stock
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(1, &cpus);
    sched_setaffinity(0, sizeof(cpus), &cpus);
    wakes.pause(wake.due_ns - now_ns());
    for (;;) wakes.pause(1'000 * kMs);
  }
  cgroup.run(
      [&] {
        sleep_until(began + kStart);
        burn(kOfIt, CLOCK_PROCESS_CPUTIME_ID);
        for (;;) spends.pause(10'000 * kMs);
      },
      0);
  std::this_thread::sleep_for(300ms);
  write_text(cgroup / "cgroup.procs", std::to_string(pid));
  while (wakes.pauses().empty() && now_ns() < wake.due_ns + 3'000 * kMs) {
    std::this_thread::sleep_for(5ms);
    EXPECT_TRUE(source->drain([&](const sluice_event& event) {
      if (wake.stopped_ns != 0) return;
      wake.stopped_ns = event.at_ktime_ns;
      wake.told_then = source->idle_until(id, event.at_ktime_ns);
    }));
  }
  std::this_thread::sleep_for(20ms);
  wake.told = counted(*source, cgroup).idle.until_ns;
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  return wake;
}

TEST_F(Idle, EndsWithTheWakeThoughTheQuotaIsSpent) {
  constexpr int kAttempts = 12, kEnough = 3;  // how much of the quota the first one uses is not exact
  int met = 0;
  for (int attempt = 0; attempt < kAttempts && met < kEnough; ++attempt) {
    const Wake wake = wake_under_spent_quota();
    if (wake.stopped_ns < wake.due_ns) continue;  // some quota was left, or too much was spent
    ++met;
    EXPECT_GE(wake.told_then, wake.due_ns);
    EXPECT_LE(wake.told_then, wake.stopped_ns);
    EXPECT_GE(wake.told, wake.due_ns);
    EXPECT_LT(wake.told, wake.due_ns + 20 * kMs) << "not when it ran at last";
  }
  RecordProperty("met", std::to_string(met));
  EXPECT_EQ(met, kEnough);
}

}  // namespace
}  // namespace sluice::kernel_test
