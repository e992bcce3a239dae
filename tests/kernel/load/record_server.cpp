// Serves a list of records, of known CPU time at known times, in a cgroup, and tells what the kernel's files
// and the records' delays say of it. The cgroup is left as it is: its limits are the caller's.
#include <fmt/format.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <new>
#include <sstream>
#include <thread>

#include "tests/kernel/load/ages.hpp"
#include "tests/kernel/load/clock.hpp"
#include "tests/kernel/load/recording.hpp"

namespace {

using namespace sluice::load;

constexpr std::size_t kMostRecords = 4096;

struct Options {
  std::string cgroup, arrivals;
  unsigned threads = 1;
  double seconds = 8;
};

struct Record {
  std::int64_t at_usec = 0;  // since the start
  double cpu_usec = 0;
};

// Lines "AT_USEC CPU_USEC", in order of time.
std::vector<Record> read_arrivals(const std::string& path) {
  std::ifstream in(path);
  if (!in) throw std::runtime_error(path + ": cannot be read");
  std::vector<Record> out;
  std::string line;
  while (std::getline(in, line)) {
    Record record;
    std::istringstream fields(line);
    const std::int64_t before = out.empty() ? 0 : out.back().at_usec;
    if (!(fields >> record.at_usec >> record.cpu_usec) || record.at_usec < before || record.cpu_usec <= 0)
      throw std::runtime_error(fmt::format("{}:{}: '{}': expected AT_USEC CPU_USEC, in order of time", path,
                                           out.size() + 1, line));
    out.push_back(record);
  }
  if (out.empty() || out.size() > kMostRecords)
    throw std::runtime_error(
        fmt::format("{}: has {} records; one to {} can be served", path, out.size(), kMostRecords));
  return out;
}

// Burns CPU time with few looks at the clock: each look has the kernel account the thread's time at once, and
// so finds a spent quota sooner than the scheduler's tick does for a task that only computes.
class QuietBurner {
 public:
  void burn(double cpu_usec) {
    owed_usec_ += cpu_usec;
    const std::int64_t start = now_usec(CLOCK_THREAD_CPUTIME_ID);
    double used = 0;
    while (used < owed_usec_) {
      const double left = owed_usec_ - used;
      const auto loops = static_cast<long>(std::max(50.0, left > 200 ? loops_per_usec_ * left * 0.8 : 0.0));
      for (long i = 0; i < loops; ++i) state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
      sink_ = state_;
      const double before = used;
      used = static_cast<double>(now_usec(CLOCK_THREAD_CPUTIME_ID) - start);
      if (const double took = used - before; took > 500)
        loops_per_usec_ += 0.3 * (static_cast<double>(loops) / took - loops_per_usec_);
    }
    owed_usec_ -= used;
  }

 private:
  double owed_usec_ = 0;
  double loops_per_usec_ = 20;  // until it is known; too few means more looks, too many a longer first record
  std::uint64_t state_ = 1;
  volatile std::uint64_t sink_ = 0;
};

// What the process in the cgroup and the one that watches it share.
struct Shared {
  sem_t ready, go;
  std::atomic<std::int64_t> start_usec{0};
  std::atomic<std::size_t> next{0};
  std::array<std::atomic<std::int64_t>, kMostRecords> done_usec{};  // by record; 0: not yet
};

Shared* share() {
  void* memory =
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (memory == MAP_FAILED) throw std::runtime_error("mmap: " + std::string(std::strerror(errno)));
  auto* shared = new (memory) Shared;
  sem_init(&shared->ready, 1, 0);
  sem_init(&shared->go, 1, 0);
  return shared;
}

// A free thread takes the next record, now or when it arrives: one queue, first come first served.
void serve(const std::vector<Record>& records, Shared& shared) {
  QuietBurner burner;
  sem_post(&shared.ready);
  while (sem_wait(&shared.go) != 0) {
  }
  for (std::size_t i; (i = shared.next++) < records.size();) {
    const std::int64_t due = shared.start_usec + records[i].at_usec;
    while (now_usec() < due) sleep_until_usec(due);
    burner.burn(records[i].cpu_usec);
    shared.done_usec[i] = now_usec();
  }
}

[[noreturn]] void be_the_task(const Options& o, const std::vector<Record>& records, Shared& shared) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  std::ofstream procs(o.cgroup + "/cgroup.procs");
  if (!(procs << "0\n").flush()) {
    fmt::print(stderr, "record_server: {}/cgroup.procs: cannot be joined\n", o.cgroup);
    _exit(1);
  }
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < o.threads; ++i) threads.emplace_back([&] { serve(records, shared); });
  for (auto& thread : threads) thread.join();
  for (;;) pause();  // it is killed: an exit would be work, too
}

std::string read_file(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in) throw std::runtime_error(path + ": cannot be read");
  return text.str();
}

struct Counters {
  std::int64_t at_usec, usage, periods, throttled_periods, throttled_usec, some, full;
};

std::int64_t total_of(const std::string& pressure, const char* line) {
  const auto from = pressure.find(line);
  const auto total = from == std::string::npos ? from : pressure.find("total=", from);
  return total == std::string::npos ? 0 : std::atoll(pressure.c_str() + total + 6);
}

Counters look(const std::string& cgroup) {
  const std::string pressure = read_file(cgroup + "/cpu.pressure"), stat = read_file(cgroup + "/cpu.stat");
  const auto value = [&](const char* key) { return keyed_value(stat, key).value_or(0); };
  return {.at_usec = now_usec(),
          .usage = value("usage_usec"),
          .periods = value("nr_periods"),
          .throttled_periods = value("nr_throttled"),
          .throttled_usec = value("throttled_usec"),
          .some = total_of(pressure, "some"),
          .full = total_of(pressure, "full")};
}

void tell(const std::vector<Record>& records, const Shared& shared, const Counters& a, const Counters& b) {
  Ages delays;
  double cpu_usec = 0;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const std::int64_t done = shared.done_usec[i];
    if (done == 0 || done > b.at_usec) continue;
    delays.add(done - shared.start_usec - records[i].at_usec);
    cpu_usec += records[i].cpu_usec;
  }
  fmt::print(
      R"({{"elapsed_usec": {}, "usage_usec": {}, "nr_periods": {}, "nr_throttled": {}, "throttled_usec": {}, )"
      R"("some_usec": {}, "full_usec": {}, "finished": {}, "finished_cpu_usec": {:.0f}, )"
      R"("delay_p50_ms": {:.2f}, "delay_p99_ms": {:.2f}}})"
      "\n",
      b.at_usec - a.at_usec, b.usage - a.usage, b.periods - a.periods,
      b.throttled_periods - a.throttled_periods, b.throttled_usec - a.throttled_usec, b.some - a.some,
      b.full - a.full, delays.count(), cpu_usec, delays.quantile_ms(0.5), delays.quantile_ms(0.99));
}

int run(const Options& o) {
  const auto records = read_arrivals(o.arrivals);
  Shared* shared = share();
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("fork: " + std::string(std::strerror(errno)));
  if (child == 0) be_the_task(o, records, *shared);
  for (unsigned i = 0; i < o.threads; ++i) {
    timespec limit{};
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += 20;
    if (sem_timedwait(&shared->ready, &limit) != 0) {
      kill(child, SIGKILL);
      throw std::runtime_error(o.cgroup + ": the task does not start");
    }
  }
  // What starting took has left the run queues, the period and its timer.
  shared->start_usec = now_usec() + 400'000;
  for (unsigned i = 0; i < o.threads; ++i) sem_post(&shared->go);
  sleep_until_usec(shared->start_usec);
  const Counters before = look(o.cgroup);
  sleep_until_usec(shared->start_usec + static_cast<std::int64_t>(o.seconds * 1e6));
  const Counters after = look(o.cgroup);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  tell(records, *shared, before, after);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  CLI::App app{"Serves a list of records in a cgroup, and tells what its files say of it", "record_server"};
  app.add_option("cgroup", o.cgroup, "its folder")->required();
  app.add_option("--arrivals", o.arrivals, "file with lines AT_USEC CPU_USEC")->required();
  app.add_option("--threads", o.threads)->check(CLI::Range(1, 64))->capture_default_str();
  app.add_option("--seconds", o.seconds)->check(CLI::PositiveNumber)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    return run(o);
  } catch (const std::exception& e) {
    fmt::print(stderr, "record_server: {}\n", e.what());
    return 1;
  }
}
