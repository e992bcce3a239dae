// Serves a list of records in the model, as record_server of the kernel tests does on a kernel, and prints
// the same figures.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "tests/simhost/model.hpp"

namespace {

using namespace sluice;
using namespace sluice::simhost;

struct Options {
  std::string arrivals;
  unsigned threads = 1;
  double seconds = 8;
  double cpus = 2;
  std::uint64_t quota_usec = 0;  // 0: none
  std::uint64_t period_usec = 100'000;
  double cost_scale = 1;
};

std::vector<ListedRecord> read_arrivals(const Options& o) {
  std::ifstream in(o.arrivals);
  if (!in) throw std::runtime_error(o.arrivals + ": cannot be read");
  std::vector<ListedRecord> out;
  for (std::string line; std::getline(in, line);) {
    ListedRecord record;
    std::istringstream fields(line);
    const double before = out.empty() ? 0 : out.back().at_usec;
    if (!(fields >> record.at_usec >> record.cpu_usec) || record.at_usec < before || record.cpu_usec <= 0)
      throw std::runtime_error(fmt::format("{}:{}: '{}': expected AT_USEC CPU_USEC, in order of time",
                                           o.arrivals, out.size() + 1, line));
    record.cpu_usec *= o.cost_scale;
    out.push_back(record);
  }
  return out;
}

int run(const Options& o) {
  TaskSpec spec{.cgroup = "/task", .work = {}, .memory = {}, .restart_after = {}};
  spec.work.records = std::make_shared<const std::vector<ListedRecord>>(read_arrivals(o));
  spec.work.threads = o.threads;
  Host host({.cpus = o.cpus});
  const auto id = host.add_task(spec);
  if (!id) throw std::runtime_error(id.error());
  Cgroup& cgroup = *host.find(*id);
  if (o.quota_usec > 0) {
    if (const int error = host.set_cpu_max(cgroup, o.quota_usec * 1'000, o.period_usec * 1'000); error != 0)
      throw std::runtime_error(
          fmt::format("cpu.max '{} {}' is refused: errno {}", o.quota_usec, o.period_usec, error));
  }
  const Usec length(std::llround(o.seconds * 1e6));
  host.advance(length);
  const TaskStats stats = host.stats(*id);
  const CpuBandwidth stat = cgroup.bandwidth.stat();
  const PressureTotals pressure = cgroup.psi(Resource::cpu).totals();
  fmt::print(
      R"({{"elapsed_usec": {}, "usage_usec": {:.0f}, "nr_periods": {}, "nr_throttled": {}, "throttled_usec": {}, )"
      R"("some_usec": {}, "full_usec": {}, "finished": {}, "delay_p50_ms": {:.2f}, "delay_p99_ms": {:.2f}}})"
      "\n",
      length.count(), stats.usage_usec, stat.nr_periods, stat.nr_throttled, stat.throttled.count(),
      pressure.some.count(), pressure.full.count(), stats.finished, stats.delay_p50_usec / 1e3,
      stats.delay_p99_usec / 1e3);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  CLI::App app{"Serves a list of records in the model, and tells what its files would say", "simhost_replay"};
  app.add_option("--arrivals", o.arrivals, "file with lines AT_USEC CPU_USEC")->required();
  app.add_option("--threads", o.threads)->check(CLI::Range(1, 64))->capture_default_str();
  app.add_option("--seconds", o.seconds)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--cpus", o.cpus, "of the host")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--quota-usec", o.quota_usec, "0: none")->capture_default_str();
  app.add_option("--period-usec", o.period_usec)->capture_default_str();
  app.add_option("--cost-scale", o.cost_scale, "multiplies each record's CPU time")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    return run(o);
  } catch (const std::exception& e) {
    fmt::print(stderr, "simhost_replay: {}\n", e.what());
    return 1;
  }
}
