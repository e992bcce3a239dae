// Serves a list of records with known CPU times at known times in a cgroup, and reports the kernel's figures
// and the records' delays. The caller sets the quota, which must exist.
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
#include <cmath>
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
  std::string cgroup, arrivals, served;
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

// Uses CPU time with few reads of the clock. At each read the kernel accounts the thread's time at once, and
// so detects a used-up quota earlier than the scheduler's tick does for a task that only computes.
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
  // first estimate; too small means more clock reads, too large a longer first record
  double loops_per_usec_ = 20;
  std::uint64_t state_ = 1;
  volatile std::uint64_t sink_ = 0;
};

// The result of a record. Its cost is everything that its thread used since the previous record, including
// the wake-up.
struct Served {
  std::atomic<std::int64_t> cpu_usec{0};
  std::atomic<std::int64_t> done_usec{0};  // 0: not finished
};

// Memory shared by the process in the cgroup and the one that observes it.
struct Shared {
  sem_t started, ready, go;
  std::atomic<std::int64_t> start_usec{0};
  std::atomic<std::size_t> next{0};
  std::array<Served, kMostRecords> served{};
};

Shared* share() {
  void* memory =
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (memory == MAP_FAILED) throw std::runtime_error("mmap: " + std::string(std::strerror(errno)));
  auto* shared = new (memory) Shared;
  sem_init(&shared->started, 1, 0);
  sem_init(&shared->ready, 1, 0);
  sem_init(&shared->go, 1, 0);
  return shared;
}

void wait_for(sem_t& semaphore) {
  while (sem_wait(&semaphore) != 0) {
  }
}

// A free thread takes the next record, now or when it arrives: one queue, first come first served.
void serve(const std::vector<Record>& records, Shared& shared) {
  QuietBurner burner;
  sem_post(&shared.started);
  wait_for(shared.go);
  std::int64_t before = now_usec(CLOCK_THREAD_CPUTIME_ID);
  for (std::size_t i = shared.next++; i < records.size(); i = shared.next++) {
    const std::int64_t due = shared.start_usec + records[i].at_usec;
    while (now_usec() < due) sleep_until_usec(due);
    burner.burn(records[i].cpu_usec);
    const std::int64_t after = now_usec(CLOCK_THREAD_CPUTIME_ID);
    shared.served[i].cpu_usec = after - before;
    shared.served[i].done_usec = now_usec();
    before = after;
  }
  for (;;) pause();
}

[[noreturn]] void be_the_task(const Options& o, const std::vector<Record>& records, Shared& shared) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < o.threads; ++i) threads.emplace_back([&] { serve(records, shared); });
  for (unsigned i = 0; i < o.threads; ++i) wait_for(shared.started);
  // Joined only now, with all threads: starting is work that belongs to no record. So is exiting; the process
  // will be killed.
  std::ofstream procs(o.cgroup + "/cgroup.procs");
  if (!(procs << "0\n").flush()) {
    fmt::print(stderr, "record_server: {}/cgroup.procs: cannot be joined\n", o.cgroup);
    _exit(1);
  }
  sem_post(&shared.ready);
  QuietBurner burner;  // the quota's timer runs only while a thread runs
  while (shared.start_usec == 0) {
    burner.burn(200);
    sleep_until_usec(now_usec() + 15'000);
  }
  for (;;) pause();
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

// The start of one of the quota's periods: of some observed starts, the one that was observed soonest.
std::int64_t begin_of_a_period(const std::string& cgroup, std::int64_t period_usec) {
  std::int64_t best = now_usec();
  std::int64_t periods = look(cgroup).periods;
  const std::int64_t end = best + std::max<std::int64_t>(6 * period_usec, 200'000);
  bool seen = false;
  while (now_usec() < end) {
    sleep_until_usec(now_usec() + 500);
    const Counters now = look(cgroup);
    if (now.periods == periods) continue;
    const std::int64_t past = now.at_usec - best;
    const std::int64_t since = (past % period_usec + period_usec) % period_usec;  // if `best` was exact
    const std::int64_t off = since > period_usec / 2 ? since - period_usec : since;
    best = !seen || off < 0 ? now.at_usec : now.at_usec - off;
    periods = now.periods;
    seen = true;
  }
  if (!seen) throw std::runtime_error(cgroup + ": no period of its quota was seen to begin");
  return best;
}

void tell(const std::vector<Record>& records, const Shared& shared, const Counters& a, const Counters& b) {
  Ages delays;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const std::int64_t done = shared.served[i].done_usec;
    if (done != 0 && done <= b.at_usec) delays.add(done - shared.start_usec - records[i].at_usec);
  }
  fmt::print(
      R"({{"elapsed_usec": {}, "usage_usec": {}, "nr_periods": {}, "nr_throttled": {}, "throttled_usec": {}, )"
      R"("some_usec": {}, "full_usec": {}, "finished": {}, )"
      R"("delay_p50_ms": {:.2f}, "delay_p99_ms": {:.2f}}})"
      "\n",
      b.at_usec - a.at_usec, b.usage - a.usage, b.periods - a.periods,
      b.throttled_periods - a.throttled_periods, b.throttled_usec - a.throttled_usec, b.some - a.some,
      b.full - a.full, delays.count(), delays.quantile_ms(0.5), delays.quantile_ms(0.99));
}

// Writes the list again with the measured cost of each record; an unfinished record keeps its given cost.
void write_served(const std::string& path, const std::vector<Record>& records, const Shared& shared) {
  std::ofstream out(path);
  for (std::size_t i = 0; i < records.size(); ++i) {
    const Served& served = shared.served[i];
    out << fmt::format(
        "{} {:.0f}\n", records[i].at_usec,
        served.done_usec != 0 ? std::max(1.0, static_cast<double>(served.cpu_usec)) : records[i].cpu_usec);
  }
  if (!out.flush()) throw std::runtime_error(path + ": cannot be written");
}

int run(const Options& o) {
  const auto records = read_arrivals(o.arrivals);
  Shared* shared = share();
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("fork: " + std::string(std::strerror(errno)));
  if (child == 0) be_the_task(o, records, *shared);
  timespec limit{};
  clock_gettime(CLOCK_REALTIME, &limit);
  limit.tv_sec += 20;
  if (sem_timedwait(&shared->ready, &limit) != 0) {
    kill(child, SIGKILL);
    throw std::runtime_error(o.cgroup + ": the task does not start");
  }
  // Begins at the start of a period, so that the model can begin at the same point. By then the start-up
  // costs have no effect any more.
  double cores = 0, period_seconds = 0;
  if (!parse_cpu_max(read_file(o.cgroup + "/cpu.max"), 1, cores, period_seconds))
    throw std::runtime_error(o.cgroup + "/cpu.max: is not QUOTA PERIOD");
  const auto period_usec = std::llround(period_seconds * 1e6);
  shared->start_usec = begin_of_a_period(o.cgroup, period_usec) + (300'000 / period_usec + 3) * period_usec;
  for (unsigned i = 0; i < o.threads; ++i) sem_post(&shared->go);
  sleep_until_usec(shared->start_usec);
  const Counters before = look(o.cgroup);
  sleep_until_usec(shared->start_usec + static_cast<std::int64_t>(o.seconds * 1e6));
  const Counters after = look(o.cgroup);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  tell(records, *shared, before, after);
  if (!o.served.empty()) write_served(o.served, records, *shared);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  CLI::App app{"Serves a list of records in a cgroup, and tells what its files say of it", "record_server"};
  app.add_option("cgroup", o.cgroup, "its folder")->required();
  app.add_option("--arrivals", o.arrivals, "file with lines AT_USEC CPU_USEC")->required();
  app.add_option("--served", o.served, "file for the list with the CPU time that each record really took");
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
