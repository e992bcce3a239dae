// Samples a cgroup's limits and counters at a constant rate until SIGTERM; then prints what it was given and
// used.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <fstream>

#include "tests/kernel/load/clock.hpp"
#include "tests/kernel/load/recording.hpp"

namespace {

using namespace sluice::load;

struct Options {
  std::string cgroup, csv, summary;
  int interval_ms = 50;
};

// A file of the cgroup, kept open.
class KeptFile {
 public:
  KeptFile(const std::string& folder, const char* name)
      : path_(folder + "/" + name), fd_(open(path_.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (fd_ < 0) throw std::runtime_error(path_ + ": cannot be opened");
  }
  ~KeptFile() { close(fd_); }
  KeptFile(const KeptFile&) = delete;
  KeptFile& operator=(const KeptFile&) = delete;

  // Valid until the next call. Empty if the cgroup is gone.
  std::string_view read() {
    const ssize_t n = pread(fd_, buffer_, sizeof buffer_, 0);
    return {buffer_, n > 0 ? static_cast<std::size_t>(n) : 0};
  }

 private:
  std::string path_;
  int fd_;
  char buffer_[4096];
};

int run(const Options& o) {
  stop_on_signals();
  KeptFile cpu_max(o.cgroup, "cpu.max"), cpu_stat(o.cgroup, "cpu.stat"), current(o.cgroup, "memory.current"),
      high(o.cgroup, "memory.high"), pressure(o.cgroup, "memory.pressure");
  const auto cpus = static_cast<double>(sysconf(_SC_NPROCESSORS_ONLN));
  std::ofstream csv(o.csv.empty() ? "/dev/null" : o.csv);
  csv << "t_usec,quota_cores,usage_usec,memory_bytes,memory_high_bytes,memory_some_usec\n";
  Recording recording;
  for (std::int64_t wake = now_usec(); !stop_requested; wake += o.interval_ms * 1000) {
    sleep_until_usec(wake);
    Look look;
    look.at_usec = now_usec();
    const auto usage = keyed_value(cpu_stat.read(), "usage_usec");
    if (!usage || !parse_cpu_max(cpu_max.read(), cpus, look.quota_cores, look.period_seconds))
      break;  // the cgroup is gone
    look.usage_usec = *usage;
    look.memory_bytes = std::atof(std::string(current.read()).c_str());
    if (const std::string limit(high.read()); !limit.starts_with("max"))
      look.memory_high_bytes = std::atof(limit.c_str());
    const std::string some(pressure.read());
    if (const auto at = some.find("total="); at != std::string::npos)
      look.memory_some_usec = std::atoll(some.c_str() + at + 6);
    recording.add(look);
    csv << fmt::format("{},{:.4f},{},{:.0f},{},{}\n", look.at_usec, look.quota_cores, look.usage_usec,
                       look.memory_bytes,
                       look.memory_high_bytes ? fmt::format("{:.0f}", *look.memory_high_bytes) : "max",
                       look.memory_some_usec);
  }
  if (!csv.flush()) throw std::runtime_error(o.csv + ": cannot be written");
  if (o.summary.empty()) {
    fmt::print("{}\n", recording.json());
  } else if (!(std::ofstream(o.summary) << recording.json() << "\n").flush()) {
    throw std::runtime_error(o.summary + ": cannot be written");
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  CLI::App app{"Records what a cgroup is given and uses", "cgroup_recorder"};
  app.add_option("cgroup", o.cgroup, "its folder")->required();
  app.add_option("--interval-ms", o.interval_ms)->check(CLI::Range(1, 60000))->capture_default_str();
  app.add_option("--csv", o.csv, "one line a look");
  app.add_option("--summary", o.summary, "file for the summary; without it: standard output");
  CLI11_PARSE(app, argc, argv);
  try {
    return run(o);
  } catch (const std::exception& e) {
    fmt::print(stderr, "cgroup_recorder: {}\n", e.what());
    return 1;
  }
}
