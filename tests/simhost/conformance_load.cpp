// The effect of load on the files: throttling, reclaim, pressure, kills. Only ratios are tested, because a
// guest's clock is slow.
#include "tests/simhost/conformance_load.hpp"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>

#include "tests/simhost/conformance.hpp"

namespace conformance {
namespace {

constexpr std::uint64_t kMib = 1 << 20;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}
void rest(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

// Counter rates in units per second of wall time.
class Rates {
 public:
  explicit Rates(std::string cgroup) : cgroup_(std::move(cgroup)) { read(before_); }
  void finish() {
    read(after_);
    elapsed_ = seconds_since(start_);
  }
  double seconds() const { return elapsed_; }
  double cores() const { return rate(0) / 1e6; }
  double periods() const { return rate(1); }
  double throttled_periods() const { return rate(2); }
  double throttled() const { return rate(3) / 1e6; }
  double cpu_some() const { return rate(4) / 1e6; }
  double memory_some() const { return rate(5) / 1e6; }

 private:
  void read(double (&to)[6]) const {
    const std::string stat = cgroup_ + "/cpu.stat";
    to[0] = static_cast<double>(field(stat, "usage_usec"));
    to[1] = static_cast<double>(field(stat, "nr_periods"));
    to[2] = static_cast<double>(field(stat, "nr_throttled"));
    to[3] = static_cast<double>(field(stat, "throttled_usec"));
    to[4] = static_cast<double>(psi_total(cgroup_ + "/cpu.pressure", "some"));
    to[5] = static_cast<double>(psi_total(cgroup_ + "/memory.pressure", "some"));
  }
  double rate(int i) const { return (after_[i] - before_[i]) / elapsed_; }
  std::string cgroup_;
  Clock::time_point start_ = Clock::now();
  double before_[6]{};
  double after_[6]{};
  double elapsed_ = 1;
};

// Expects the usage of a spinning thread: each write refills 20 ms. A busy machine makes fewer writes than
// planned.
void expect_refilled(const Rates& rates, int writes) {
  const double granted = std::min(1.0, writes * 0.02 / rates.seconds());
  EXPECT_GT(rates.cores(), 0.6 * granted) << "of " << granted << " that the writes granted";
  EXPECT_GT(rates.cores(), 0.3) << "a write every fifth of a period abolishes a limit of a fifth";
}

Rates watch(const std::string& cgroup, double seconds) {
  Rates rates(cgroup);
  rest(seconds);
  rates.finish();
  return rates;
}

}  // namespace

using UnderLoad = Conformance;

TEST_F(UnderLoad, WithoutAQuotaNothingIsCounted) {
  const Load load(cgroup, {.spin = 1});
  const Rates rates = watch(cgroup, 1);
  EXPECT_GT(rates.cores(), 0.7);
  EXPECT_EQ(rates.periods(), 0);
  EXPECT_EQ(rates.throttled(), 0);
}

TEST_F(UnderLoad, AQuotaLimits) {
  ASSERT_EQ(write("cpu.max", "20000 100000"), 0);
  const Load load(cgroup, {.spin = 1});
  rest(0.3);
  const Rates rates = watch(cgroup, 3);
  EXPECT_NEAR(rates.cores(), 0.2, 0.06);
  EXPECT_NEAR(rates.periods(), 10, 1.5);
  EXPECT_GT(rates.throttled_periods(), 7);
  EXPECT_LE(rates.throttled_periods(), rates.periods() + 0.01);
  EXPECT_NEAR(rates.throttled(), 0.8, 0.15);
  EXPECT_NEAR(rates.cpu_some(), 0.8, 0.2);
}

TEST_F(UnderLoad, ThrottledTimeIsSummedOverRunQueues) {
  ASSERT_EQ(write("cpu.max", "20000 100000"), 0);
  const Load load(cgroup, {.spin = 2});
  rest(0.3);
  const Rates rates = watch(cgroup, 3);
  EXPECT_NEAR(rates.cores(), 0.2, 0.08);
  EXPECT_NEAR(rates.throttled(), 1.8, 0.4);
}

TEST_F(UnderLoad, AWriteRefillsTheQuota) {
  ASSERT_EQ(write("cpu.max", "20000 100000"), 0);
  const Load load(cgroup, {.spin = 1});
  rest(0.3);
  Rates rates(cgroup);
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(write("cpu.max", "20000 100000"), 0);
    rest(0.02);
  }
  rates.finish();
  expect_refilled(rates, 100);
}

TEST_F(UnderLoad, ABurstIsWhatWasLeftUnused) {
  ASSERT_EQ(write("cpu.max", "30000 100000"), 0);
  ASSERT_EQ(write("cpu.max.burst", "30000"), 0);
  const Load load(cgroup, {.spin = 1});
  rest(1);
  const auto bursts = field(file("cpu.stat"), "nr_bursts");
  EXPECT_GE(bursts, 1U);
  EXPECT_GT(field(file("cpu.stat"), "burst_usec"), 3'000U);
  const Rates rates = watch(cgroup, 3);
  EXPECT_NEAR(rates.cores(), 0.3, 0.08) << "once it is spent there is the quota only";
}

TEST_F(UnderLoad, AWriteOfTheBurstRefillsTheQuotaToo) {
  ASSERT_EQ(write("cpu.max", "20000 100000"), 0);
  const Load load(cgroup, {.spin = 1});
  rest(0.3);
  Rates rates(cgroup);
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(write("cpu.max.burst", "0"), 0);
    rest(0.02);
  }
  rates.finish();
  expect_refilled(rates, 100);
}

TEST_F(UnderLoad, AParentsQuotaBindsItsChild) {
  ASSERT_EQ(write("cgroup.subtree_control", "+cpu"), 0);
  ASSERT_EQ(mkdir(file("child").c_str(), 0755), 0);
  ASSERT_EQ(write("cpu.max", "20000 100000"), 0);
  const Load load(file("child"), {.spin = 1});
  rest(0.3);
  const Rates parent = watch(cgroup, 2);
  EXPECT_NEAR(parent.cores(), 0.2, 0.06);
  EXPECT_NEAR(parent.throttled(), 0.8, 0.2);
  EXPECT_EQ(field(file("child/cpu.stat"), "nr_throttled"), 0U) << "it is the parent that is out of quota";
}

TEST_F(UnderLoad, AFrozenCgroupUsesNothing) {
  const Load load(cgroup, {.spin = 1});
  rest(0.2);
  ASSERT_EQ(write("cgroup.freeze", "1"), 0);
  rest(0.3);
  EXPECT_LT(watch(cgroup, 1).cores(), 0.05);
  ASSERT_EQ(write("cgroup.freeze", "0"), 0);
  EXPECT_GT(watch(cgroup, 1).cores(), 0.5);
}

TEST_F(UnderLoad, ATriggerFiresWhenThrottlingStalls) {
  ASSERT_EQ(write("cpu.max", "20000 100000"), 0);
  const Load load(cgroup, {.spin = 1});
  const Fd fd = open_file(file("cpu.pressure"), O_RDWR);
  ASSERT_EQ(write_fd(fd.get(), "some 150000 1000000"), 0);
  EXPECT_EQ(poll_now(fd.get(), 5'000), POLLPRI);
  EXPECT_EQ(poll_now(fd.get(), 0), 0) << "an event is seen once";
  EXPECT_EQ(poll_now(fd.get(), 5'000), POLLPRI) << "and again a window later";
}

TEST_F(UnderLoad, MembersBlockRemoval) {
  Load load(cgroup, {.anon_mib = 1});
  EXPECT_EQ(field(file("cgroup.events"), "populated"), 1U);
  EXPECT_NE(read("cgroup.procs"), "");
  EXPECT_EQ(rmdir(cgroup.c_str()), -1);
  EXPECT_EQ(errno, EBUSY);
  const Fd events = open_file(file("cgroup.events"));
  ASSERT_EQ(read_errno(events.get()), 0);
  load.stop();
  EXPECT_EQ(poll_now(events.get(), 2'000), POLLERR | POLLPRI);
  EXPECT_EQ(field(file("cgroup.events"), "populated"), 0U);
}

TEST_F(UnderLoad, NoMembersWhereControllersAreHandedOn) {
  Load load(cgroup, {.anon_mib = 1});
  EXPECT_EQ(write("cgroup.subtree_control", "+memory"), EBUSY);
  EXPECT_EQ(write("cgroup.subtree_control", "+cpu"), 0) << "cpu is a threaded controller, which is exempt";
}

TEST_F(UnderLoad, MemoryIsCharged) {
  const Load load(cgroup, {.anon_mib = 48, .cache_mib = 32});
  EXPECT_NEAR(static_cast<double>(field(file("memory.stat"), "anon")), 48.0 * kMib, 6.0 * kMib);
  EXPECT_NEAR(static_cast<double>(field(file("memory.stat"), "file")), 32.0 * kMib, 6.0 * kMib);
  EXPECT_NEAR(std::strtod(read("memory.current").c_str(), nullptr), 80.0 * kMib, 14.0 * kMib);
}

TEST_F(UnderLoad, LoweringHighReclaimsCache) {
  const Load load(cgroup, {.anon_mib = 8, .cache_mib = 64});
  ASSERT_EQ(write("memory.high", "24M"), 0);
  EXPECT_LT(std::strtod(read("memory.current").c_str(), nullptr), 26.0 * kMib);
  EXPECT_GT(field(file("memory.stat"), "pgsteal"), 40 * kMib / 4096);
  EXPECT_GE(field(file("memory.stat"), "pgscan"), field(file("memory.stat"), "pgsteal"));
  EXPECT_NEAR(static_cast<double>(field(file("memory.stat"), "anon")), 8.0 * kMib, 4.0 * kMib);
}

TEST_F(UnderLoad, LoweringHighBelowAnonReturnsAndFreesNothing) {
  const Load load(cgroup, {.anon_mib = 48});
  ASSERT_EQ(write("memory.high", "16M"), 0);
  EXPECT_EQ(read("memory.high"), "16777216\n");
  EXPECT_GT(std::strtod(read("memory.current").c_str(), nullptr), 44.0 * kMib);
}

TEST_F(UnderLoad, GrowthAboveHighStallsAndSpinningDoesNot) {
  const Load load(cgroup, {.spin = 1, .anon_mib = 48, .grow_mib_s = 10});
  rest(0.5);
  const Fd events = open_file(file("memory.events"));
  ASSERT_EQ(read_errno(events.get()), 0);
  ASSERT_EQ(write("memory.high", "24M"), 0);
  EXPECT_EQ(poll_now(events.get(), 5'000), POLLERR | POLLPRI) << "memory.events:high counts";
  rest(1);
  const double before = std::strtod(read("memory.current").c_str(), nullptr);
  const Rates rates = watch(cgroup, 4);
  EXPECT_LT(std::strtod(read("memory.current").c_str(), nullptr) - before, 5.0 * kMib)
      << "of 40 MiB it wants";
  EXPECT_GT(rates.memory_some(), 0.3);
  EXPECT_GT(rates.cores(), 0.6);
  EXPECT_GT(field(file("memory.events"), "high"), 0U);
  EXPECT_EQ(field(file("memory.events"), "oom_kill"), 0U);
  ASSERT_EQ(write("memory.high", "max"), 0);
}

TEST_F(UnderLoad, ReclaimTakesWhatIsAsked) {
  const Load load(cgroup, {.anon_mib = 16, .cache_mib = 64});
  const double before = std::strtod(read("memory.current").c_str(), nullptr);
  ASSERT_EQ(write("memory.reclaim", "32M"), 0);
  // 6.1 reclaims up to half more than asked for.
  EXPECT_GT(before - std::strtod(read("memory.current").c_str(), nullptr), 30.0 * kMib);
  EXPECT_EQ(write("memory.reclaim", "256M"), EAGAIN);
}

TEST_F(UnderLoad, GrowthAboveMaxKills) {
  const Fd events = open_file(file("cgroup.events"));
  const Load load(cgroup, {.anon_mib = 8, .grow_mib_s = 50});
  ASSERT_EQ(read_errno(events.get()), 0);
  ASSERT_EQ(write("memory.max", "24M"), 0);
  EXPECT_EQ(poll_now(events.get(), 10'000), POLLERR | POLLPRI);
  EXPECT_EQ(field(file("cgroup.events"), "populated"), 0U);
  EXPECT_EQ(field(file("memory.events"), "oom_kill"), 1U);
  EXPECT_GE(field(file("memory.events"), "max"), 1U);
}

TEST_F(UnderLoad, KillKills) {
  const Load load(cgroup, {.spin = 1});
  EXPECT_EQ(write("cgroup.kill", "0"), ERANGE);
  ASSERT_EQ(write("cgroup.kill", "1"), 0);
  for (int i = 0; i < 100 && field(file("cgroup.events"), "populated") != 0; ++i) rest(0.02);
  EXPECT_EQ(field(file("cgroup.events"), "populated"), 0U);
}

// Faults that only the simulated host can inject.
using Faults = Conformance;

TEST_F(Faults, AWriteCanBeMadeToFail) {
  control("fault " + model_path() + " cpu.max write_errno " + std::to_string(EIO));
  EXPECT_REFUSED("cpu.max", "50000 100000", EIO);
  control("fault " + model_path() + " cpu.max write_errno 0");
  EXPECT_HOLDS("cpu.max", "50000 100000", "50000 100000\n");
}

TEST_F(Faults, ABlockedWriteHoldsAtOnceAndASignalEndsIt) {
  control("fault " + model_path() + " memory.high block_ms 20000");
  std::atomic<int> result{-1};
  struct sigaction action {};
  action.sa_handler = [](int) {};
  sigaction(SIGUSR1, &action, nullptr);
  std::thread writer([&] { result = write("memory.high", "8192"); });
  for (int i = 0; i < 100 && read("memory.high") != "8192\n"; ++i) rest(0.02);
  EXPECT_EQ(read("memory.high"), "8192\n") << "the limit is set before the reclaim";
  EXPECT_EQ(result, -1) << "and the writer waits";
  EXPECT_EQ(write("cpu.max", "50000 100000"), 0) << "while others go on";
  const auto start = Clock::now();
  pthread_kill(writer.native_handle(), SIGUSR1);
  writer.join();
  EXPECT_EQ(result, 0) << "as the kernel: all bytes taken, reclaim left undone";
  EXPECT_LT(seconds_since(start), 10);
}

TEST_F(Faults, AHangingWriteIsCarriedOutBeforeOrAfterAndNoSignalEndsIt) {
  struct sigaction action {};
  action.sa_handler = [](int) {};
  sigaction(SIGUSR1, &action, nullptr);
  for (const std::string when : {"hang_after", "hang_before"}) {
    EXPECT_EQ(write("cpu.max", "50000 100000"), 0);
    control("fault " + model_path() + " cpu.max " + when + " 1");
    std::atomic<int> result{-1};
    std::thread writer([&] { result = write("cpu.max", "70000 100000"); });
    const bool at_once = when == "hang_after";
    for (int i = 0; i < 20 && (!at_once || read("cpu.max") != "70000 100000\n"); ++i) rest(0.02);
    EXPECT_EQ(read("cpu.max"), at_once ? "70000 100000\n" : "50000 100000\n");
    pthread_kill(writer.native_handle(), SIGUSR1);
    rest(0.1);
    EXPECT_EQ(result, -1) << when;
    control("fault " + model_path() + " cpu.max " + when + " 0");
    writer.join();
    EXPECT_EQ(result, 0);
    EXPECT_EQ(read("cpu.max"), "70000 100000\n");
  }
}

TEST_F(Faults, ReclaimOfALargeCacheBlocksTheWriter) {
  const Load load(cgroup, {.anon_mib = 1, .cache_mib = 512});
  const auto start = Clock::now();
  ASSERT_EQ(write("memory.high", "16M"), 0);
  EXPECT_GT(seconds_since(start), 0.2);
  EXPECT_LE(std::strtod(read("memory.current").c_str(), nullptr), 16.0 * kMib);
}

TEST_F(Faults, ACgroupCanVanishUnderItsReader) {
  ASSERT_EQ(mkdir(file("child").c_str(), 0755), 0);
  const Load load(file("child"), {.spin = 1});
  const Fd held = open_file(file("child/cpu.stat"));
  const Fd events = open_file(file("child/cgroup.events"));
  ASSERT_EQ(read_errno(events.get()), 0);
  ASSERT_EQ(read_errno(held.get()), 0);
  control("rm " + model_path() + "/child");
  EXPECT_EQ(read_errno(held.get()), ENODEV);
  EXPECT_NE(poll_now(events.get(), 1'000) & POLLPRI, 0);
  EXPECT_NE(access(file("child").c_str(), F_OK), 0);
  control("mkdir " + model_path() + "/child");
}

}  // namespace conformance
