// The cost of the event programs: the same load with and without them, alternating, in one guest. In an
// emulator only ratios mean something. The goals are 1.13 for the worst case and 1.02 for a load that works;
// they are reported as met or missed. The test fails only far above them, because helpers that take a few
// instructions on a CPU are slow in an emulator. The runner keeps two empty probes on sched_switch (see
// probe_holder.cpp), so the cost of the tracepoint itself is in both sides.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <limits>
#include <optional>
#include <thread>
#include <vector>

#include "tests/kernel/bpf/counted.hpp"

namespace sluice::kernel_test {
namespace {

using bpf::Options;
using bpf::Source;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

void pin(int cpu) {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(static_cast<std::size_t>(cpu) % static_cast<std::size_t>(sysconf(_SC_NPROCESSORS_ONLN)), &cpus);
  if (sched_setaffinity(0, sizeof(cpus), &cpus) != 0) _exit(1);
}

// Two processes of one cgroup, connected by a socket. `first` runs in one, and its result is the cost;
// `second` runs in the other until the socket is closed.
template <typename First, typename Second>
double with_peer(const Cgroup& cgroup, const std::array<int, 2>& line, const First& first,
                 const Second& second) {
  std::array<int, 2> result{};
  EXPECT_EQ(pipe(result.data()), 0);
  std::array<int, 2> pids{};
  for (int side = 0; side < 2; ++side) {
    pids[static_cast<std::size_t>(side)] = fork();
    if (pids[static_cast<std::size_t>(side)] != 0) continue;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    write_text(cgroup / "cgroup.procs", "0");
    close(line[static_cast<std::size_t>(1 - side)]);
    if (side == 0) {
      const double cost = first(line[0]);
      if (write(result[1], &cost, sizeof(cost)) != sizeof(cost)) _exit(1);
    } else {
      second(line[1]);
    }
    _exit(0);
  }
  for (const int fd : {line[0], line[1], result[1]}) close(fd);
  double cost = 0;
  EXPECT_EQ(read(result[0], &cost, sizeof(cost)), static_cast<ssize_t>(sizeof(cost)));
  close(result[0]);
  for (const int pid : pids) waitpid(pid, nullptr, 0);
  return cost;
}

std::array<int, 2> unix_line() {
  std::array<int, 2> line{};
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, line.data()), 0);
  return line;
}

std::array<int, 2> tcp_line() {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof(address);
  EXPECT_EQ(bind(listener, generic, size), 0);
  EXPECT_EQ(listen(listener, 1), 0);
  EXPECT_EQ(getsockname(listener, generic, &size), 0);
  const int out = socket(AF_INET, SOCK_STREAM, 0);
  EXPECT_EQ(connect(out, generic, size), 0);
  const int in = accept(listener, nullptr, nullptr);
  close(listener);
  const int yes = 1;
  for (const int fd : {out, in}) EXPECT_EQ(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)), 0);
  return {out, in};
}

void echo(int fd, int cpu) {
  pin(cpu);
  char text[64];
  for (ssize_t got = 0; (got = read(fd, text, sizeof(text))) > 0;)
    if (write(fd, text, static_cast<std::size_t>(got)) != got) _exit(1);
}

// Seconds for this many turns.
double turns(int fd, int cpu, int count) {
  pin(cpu);
  char text[64] = {};
  const auto began = Clock::now();
  for (int i = 0; i < count; ++i)
    if (write(fd, text, sizeof(text)) != sizeof(text) || recv(fd, text, sizeof(text), MSG_WAITALL) < 0)
      _exit(1);
  return std::chrono::duration<double>(Clock::now() - began).count();
}

class Overhead : public testing::Test {
 protected:
  static constexpr int kBlocks = 6, kRuns = 2;
  static constexpr double kFarBeyond = 3;  // with other load on the host, 2.1 was seen instead of 1.1

  // The smallest cost with, divided by the smallest cost without the programs; blocks alternate. Other load
  // on the host can only increase a cost.
  template <typename Cost>
  double ratio(const Options& options, const Cost& cost) {
    const auto least_of_block = [&] {
      double least = cost();
      for (int i = 1; i < kRuns; ++i) least = std::min(least, cost());
      return least;
    };
    double on = std::numeric_limits<double>::max(), off = on;
    for (int block = 0; block < kBlocks; ++block) {
      off = std::min(off, least_of_block());
      auto source = Source::open(options);
      if (!source) throw std::runtime_error(source.error().sentence);
      const std::uint64_t id = cgroup_.id();
      EXPECT_TRUE(source->set_governed({&id, 1}));
      std::atomic<bool> done = false;
      std::thread ticks([&] {  // as the daemon does; on another CPU, so that its cost is not counted
        pin(1);
        while (!done) {
          source->counters();
          std::this_thread::sleep_for(100ms);
        }
      });
      on = std::min(on, least_of_block());
      done = true;
      ticks.join();
    }
    return on / off;
  }
  // A result far above the goal is measured again: the host may have had other work during all blocks of one
  // side.
  template <typename Cost>
  double ratio_of_all(double far_beyond, const Cost& cost) {
    const double first = ratio(events(), cost);
    return first < far_beyond ? first : ratio(events(), cost);
  }
  void tell(const char* what, double ratio, double goal) {
    RecordProperty(std::string(what) + "_ratio", std::to_string(ratio));
    std::printf("%s: %.3f times the cost without; the goal of %.2f is %s\n", what, ratio, goal,
                ratio <= goal ? "met" : "missed");
  }
  static Options events() {
    Options options;
    options.iterator = false;
    return options;
  }

  Cgroup cgroup_{root() / "busy"};
};

TEST_F(Overhead, OfEachProgramOnSwitchesAndNothingElse) {
  const auto cost = [&] {
    return with_peer(
        cgroup_, unix_line(), [](int fd) { return turns(fd, 0, 1'500); }, [](int fd) { echo(fd, 0); });
  };
  Options only_waits = nothing();
  only_waits.run_queue = true;
  tell("run_queue_alone", ratio(only_waits, cost), 1.13);
  const double all = ratio_of_all(kFarBeyond, cost);
  tell("all_programs", all, 1.13);
  EXPECT_LT(all, kFarBeyond) << "far beyond the goal";
}

TEST_F(Overhead, OnTheNetworkAndNothingElse) {
  const double all = ratio_of_all(kFarBeyond, [&] {
    return with_peer(
        cgroup_, tcp_line(), [](int fd) { return turns(fd, 0, 400); }, [](int fd) { echo(fd, 1); });
  });
  tell("all_programs", all, 1.13);
  EXPECT_LT(all, kFarBeyond) << "far beyond the goal";
}

TEST_F(Overhead, OnAConsumerThatWorks) {
  constexpr int kMessages = 120;
  const auto usage_usec = [&] {
    return static_cast<double>(read_keyed(cgroup_ / "cpu.stat").at("usage_usec"));
  };
  constexpr double kFarBeyondForWork = 1.2;
  const double all = ratio_of_all(kFarBeyondForWork, [&] {
    const double before = usage_usec();
    with_peer(
        cgroup_, tcp_line(),
        [](int fd) {  // 200 messages a second
          pin(0);
          char message[1024] = {};
          auto next = Clock::now();
          for (int i = 0; i < kMessages; ++i) {
            std::this_thread::sleep_until(next += 5ms);
            if (write(fd, message, sizeof(message)) != sizeof(message)) _exit(1);
          }
          return 0.0;
        },
        [](int fd) {  // about 2 ms of work each
          pin(1);
          char message[1024];
          while (recv(fd, message, sizeof(message), MSG_WAITALL) == sizeof(message))
            for (int i = 0; i < 400'000; ++i) asm volatile("");
        });
    return usage_usec() - before;
  });
  tell("all_programs", all, 1.02);
  EXPECT_LT(all, kFarBeyondForWork) << "far beyond the goal";
}

}  // namespace
}  // namespace sluice::kernel_test
