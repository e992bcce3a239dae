// When a governed cgroup last had nothing to run, compared with pauses that its tasks noted.
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
#include <functional>
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
    1'300 * kMs;  // idle times are known after a second; then a stretch must begin and end

std::uint64_t now_ns() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(now.tv_nsec);
}

void sleep_until(std::uint64_t ns) {
  const timespec until{static_cast<time_t>(ns / 1'000'000'000u), static_cast<long>(ns % 1'000'000'000u)};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr) != 0) {
  }
}

void burn(std::uint64_t ns) {
  for (const std::uint64_t end = now_ns() + ns; now_ns() < end;) asm volatile("");
}

// Notes written by a child and read by the test.
class Notes {
 public:
  struct Pause {
    std::uint64_t before, after;  // CLOCK_MONOTONIC just before and just after the sleep
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
  std::size_t count() const { return shared_->count.load(); }
  std::vector<Pause> pauses() const { return {shared_->pauses, shared_->pauses + count()}; }

 private:
  static constexpr std::size_t kRoom = 1 << 14;
  struct Shared {
    std::atomic<std::size_t> count;
    Pause pauses[kRoom];
  };
  Shared* shared_;
};

void pin(int cpu) {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(static_cast<std::size_t>(cpu), &cpus);
  if (sched_setaffinity(0, sizeof(cpus), &cpus) != 0) throw std::runtime_error("sched_setaffinity");
}

// The programs see a thread when it leaves its CPU. A thread with its own CPU, which may take seconds to do
// so, is preempted by a thread of a higher class.
void interrupt(int cpu) {
  std::thread([cpu] {
    pin(cpu);
    const sched_param least{1};
    if (sched_setscheduler(0, SCHED_FIFO, &least) != 0) std::terminate();
    for (int wake = 0; wake < 3; ++wake) std::this_thread::sleep_for(5ms);
  }).join();
}

class Idle : public testing::Test {
 protected:
  using Values = std::set<std::uint64_t>;

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
  // All values of the cgroup's idle_until until `enough`, without the first one.
  static Values told(Source& source, const Cgroup& cgroup, const std::function<bool(const Values&)>& enough) {
    Values values;
    std::uint64_t last = counted(source, cgroup).idle.until_ns;
    const auto look = [&] {
      const sluice_counters counters = counted(source, cgroup);
      EXPECT_TRUE(counters.valid & SLUICE_COUNTS_IDLE);
      EXPECT_GE(counters.idle.until_ns, last) << "it goes back";
      EXPECT_TRUE(counters.idle.since_ns == 0 || counters.idle.since_ns > counters.idle.until_ns);
      if (counters.idle.until_ns != last) values.insert(last = counters.idle.until_ns);
      return enough(values);
    };
    wait_until(look, "enough is told");
    return values;
  }
  static Values some_told(Source& source, const Cgroup& cgroup) {
    return told(source, cgroup, [](const Values& values) { return values.size() > 2; });
  }
  // All values while `pauses` more pauses are made by a process of this cgroup.
  static Values told_during(Source& source, const Cgroup& cgroup, const Notes& notes, std::size_t pauses) {
    const std::size_t until = notes.count() + pauses;
    return told(source, cgroup, [&notes, until](const Values&) { return notes.count() >= until; });
  }
  // Pauses that may have ended by now: a wake-up is reported before the thread has noted it.
  static std::vector<Notes::Pause> settled(const Notes& notes) {
    const std::size_t until = notes.count() + 1;
    wait_until([&] { return notes.count() >= until; }, "pauses");
    return notes.pauses();
  }
  // True if `until` is within a noted pause, from number `from` on, and the pause is long enough.
  static bool within(const std::vector<Notes::Pause>& pauses, std::uint64_t until, std::size_t from = 0) {
    return std::any_of(pauses.begin() + static_cast<std::ptrdiff_t>(from), pauses.end(),
                       [&](const Notes::Pause& pause) {
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
  some_told(source, cgroup);
  struct Look {
    std::size_t noted;  // number of pauses before it
    std::uint64_t until_ns;
  };
  std::vector<Look> looks;
  const std::size_t first = notes.count();
  const auto look = [&] {
    const std::size_t noted = notes.count();
    looks.push_back({noted, counted(source, cgroup).idle.until_ns});
    return noted >= first + 40;
  };
  wait_until(look, "pauses");
  const auto pauses = settled(notes);
  Values values;
  for (const Look& one : looks) {
    EXPECT_TRUE(within(pauses, one.until_ns, one.noted - 1))
        << one.until_ns << " was told after pause " << one.noted << ", which ended at "
        << pauses[one.noted - 1].after;
    values.insert(one.until_ns);
  }
  RecordProperty("pauses", std::to_string(looks.back().noted - first));
  RecordProperty("told", std::to_string(values.size()));
}

// A parent that sleeps uninterruptibly until its vfork child ends has work; it is not idle.
TEST_F(Idle, NotWhileAThreadSleepsUninterruptibly) {
  Cgroup cgroup(root() / "uninterruptible");
  Source source = open_source(only_run_queue(), {cgroup.id()});
  Notes notes;
  const auto child = [](void* lent) {
    static_cast<Notes*>(lent)->pause(20 * kMs);
    _exit(0);
    return 0;
  };
  alignas(16) static char stack[64 * 1024];
  cgroup.run(
      [&] {
        const int pid = clone(child, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, &notes);
        if (pid < 0) _exit(1);
        waitpid(pid, nullptr, 0);
        burn(5 * kMs);
      },
      0);
  warm_up();
  EXPECT_EQ(told_during(source, cgroup, notes, 40).size(), 0u);
}

TEST_F(Idle, NeverWhileOneThreadBurns) {
  Cgroup cgroup(root() / "burning");
  Notes notes;
  cgroup.run([&] { notes.pause(20 * kMs), burn(5 * kMs); }, 0);
  cgroup.run(burn_cpu, 1);
  wait_until([&] { return processes(cgroup) == 2 && notes.count() > 0; }, "both are there");
  Source source = open_source(only_run_queue(), {cgroup.id()});
  interrupt(1);
  warm_up();
  EXPECT_EQ(told_during(source, cgroup, notes, 40).size(), 0u);
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
  const std::size_t first = notes.count();
  // Emulation and a busy host lengthen many pauses.
  const auto brief = [&] {
    const auto pauses = notes.pauses();
    return std::count_if(
        pauses.begin() + static_cast<std::ptrdiff_t>(first), pauses.end(),
        [](const Notes::Pause& pause) { return pause.after - pause.before < SLUICE_IDLE_MIN_NS; });
  };
  const auto values = told(source, cgroup, [&](const Values&) { return brief() >= 100; });
  const auto pauses = settled(notes);
  RecordProperty("pauses", std::to_string(pauses.size() - first));
  RecordProperty("brief", std::to_string(brief()));
  for (const std::uint64_t until : values) EXPECT_TRUE(within(pauses, until)) << until;
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
  some_told(source, pausing);
  govern(source, {burning.id()});
  interrupt(1);
  EXPECT_EQ(counted(source, burning).idle.until_ns, 0u);
  warm_up();
  EXPECT_EQ(told_during(source, burning, notes, 10).size(), 0u);
  EXPECT_EQ(counted(source, burning).idle.until_ns, 0u);
  govern(source, {pausing.id()});
  const std::uint64_t again = now_ns();
  EXPECT_EQ(counted(source, pausing).idle.until_ns, 0u);
  const auto values = some_told(source, pausing);
  EXPECT_GT(*values.begin(), again);
  const auto pauses = settled(notes);
  for (const std::uint64_t until : values) EXPECT_TRUE(within(pauses, until)) << until;
}

TEST_F(Idle, AThreadThatMovesTakesItsCountAlong) {
  Cgroup left(root() / "left"), right(root() / "right"), outside(root() / "outside");
  Notes lefts, rights;
  left.run([&] { lefts.pause(20 * kMs), burn(5 * kMs); }, 0);
  right.run([&] { rights.pause(20 * kMs), burn(5 * kMs); }, 0);
  wait_until([&] { return lefts.count() > 0; }, "pauses");
  std::string pauser = read_text(left / "cgroup.procs"), burner;
  left.run(burn_cpu, 1);
  wait_until([&] { return processes(left) == 2; }, "it is there");
  std::istringstream pids(read_text(left / "cgroup.procs"));
  while (pids >> burner && burner + "\n" == pauser) {
  }
  Source source = open_source(only_run_queue(), {left.id(), right.id()});
  const auto move = [&](const Cgroup& to) {
    write_text(to / "cgroup.procs", burner);
    interrupt(1);
  };
  interrupt(1);
  warm_up();
  EXPECT_EQ(told_during(source, left, lefts, 15).size(), 0u);
  some_told(source, right);
  move(right);
  some_told(source, left);
  EXPECT_EQ(told_during(source, right, rights, 15).size(), 0u);
  move(outside);
  some_told(source, left);
  some_told(source, right);
  move(left);
  EXPECT_EQ(told_during(source, left, lefts, 15).size(), 0u);
  kill(std::stoi(burner), SIGKILL);
  some_told(source, left);
}

// A task that is created outside and moved while it sleeps. So it has used no quota before its time, and its
// CPU has no slice of the quota.
int sleeper_until(Notes& notes, std::uint64_t due_ns, int cpu) {
  const int pid = fork();
  if (pid != 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  pin(cpu);
  notes.pause(due_ns - now_ns());
  for (;;) notes.pause(10'000 * kMs);
}

// One task uses up the quota and sleeps. The other one wakes on another CPU and is throttled at once.
struct Wake {
  std::uint64_t due_ns;                   // when it wakes
  std::uint64_t stopped_ns = 0;           // when the kernel reported the throttle
  std::uint64_t ran_ns = 0;               // when it had quota again
  std::uint64_t told_then = 0, told = 0;  // reported for that time; and after it had run
};
Wake wake_under_spent_quota(Source& source) {
  Cgroup cgroup(root() / "spent");
  // A running task takes all of it and returns nothing: less than 1 ms stays with the CPU.
  write_text(cgroup / "cpu.max", "1000 1000000");
  const std::uint64_t id = cgroup.id();
  EXPECT_TRUE(source.set_governed({&id, 1}));
  Wake wake{now_ns() + kStart + 200 * kMs};
  Notes spends, wakes;
  const int pids[] = {sleeper_until(spends, wake.due_ns - 20 * kMs, 0), sleeper_until(wakes, wake.due_ns, 1)};
  std::this_thread::sleep_for(300ms);
  for (const int pid : pids) write_text(cgroup / "cgroup.procs", std::to_string(pid));
  const auto look = [&] {
    EXPECT_TRUE(source.drain([&](const sluice_event& event) {
      if (wake.stopped_ns != 0) return;
      wake.stopped_ns = event.at_ktime_ns;
      wake.told_then = source.idle_until(id, event.at_ktime_ns);
    }));
    return wakes.count() > 0 || wake.stopped_ns != 0;
  };
  wait_until(look, "it wakes");
  std::this_thread::sleep_for(200ms);
  write_text(cgroup / "cpu.max", "max 1000000");
  wait_until([&] { return wakes.count() > 0; }, "it runs");
  wake.ran_ns = wakes.pauses().front().after;
  wake.told = counted(source, cgroup).idle.until_ns;
  for (const int pid : pids) {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  }
  return wake;
}

TEST_F(Idle, EndsWithTheWakeThoughTheQuotaIsSpent) {
  // Some attempts meet the end of a period, and on a busy host the first task may run longer than its quota.
  constexpr int kAttempts = 30, kEnough = 3;
  Options options = only_run_queue();
  options.throttle = true;
  Source source = open_source(options, {});
  int met = 0, attempts = 0;
  for (; attempts < kAttempts && met < kEnough; ++attempts) {
    const Wake wake = wake_under_spent_quota(source);
    if (wake.stopped_ns < wake.due_ns || wake.ran_ns < wake.stopped_ns + 100 * kMs) continue;
    ++met;
    EXPECT_GE(wake.told_then, wake.due_ns);
    EXPECT_LE(wake.told_then, wake.stopped_ns);
    EXPECT_GE(wake.told, wake.due_ns);
    EXPECT_LT(wake.told, wake.stopped_ns + (wake.ran_ns - wake.stopped_ns) / 2) << "not when it ran at last";
  }
  RecordProperty("met", std::to_string(met));
  RecordProperty("attempts", std::to_string(attempts));
  EXPECT_EQ(met, kEnough);
}

}  // namespace
}  // namespace sluice::kernel_test
