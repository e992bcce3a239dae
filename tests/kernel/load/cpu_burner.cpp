// Threads that use CPU in bursts: an amount of CPU time at each interval, until SIGTERM or the end of the
// duration.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <thread>

#include "tests/kernel/load/ages.hpp"
#include "tests/kernel/load/clock.hpp"

namespace {

using namespace sluice::load;

struct Options {
  unsigned threads = 1;
  double burst_cpu_ms = 50;
  double every_ms = 200;
  double duration_seconds = 3600;
};

// A burst begins at its time or when the previous one is finished; its age counts from its time.
void burn(const Options& o, std::int64_t start, Ages& ages) {
  Burner burner;
  const auto every_usec = static_cast<std::int64_t>(o.every_ms * 1000);
  const auto end = start + static_cast<std::int64_t>(o.duration_seconds * 1e6);
  for (std::int64_t due = start; due < end && !stop_requested; due += every_usec) {
    while (now_usec() < due && !stop_requested) sleep_until_usec(due);
    burner.burn(o.burst_cpu_ms * 1000);
    ages.add(now_usec() - due);
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  CLI::App app{"Burns CPU in bursts", "cpu_burner"};
  app.add_option("--threads", o.threads)->check(CLI::Range(1, 64))->capture_default_str();
  app.add_option("--burst-cpu-ms", o.burst_cpu_ms, "CPU time of a burst, each thread")
      ->check(CLI::PositiveNumber);
  app.add_option("--every-ms", o.every_ms, "from burst to burst; less than the burst: all the time")
      ->check(CLI::PositiveNumber);
  app.add_option("--duration", o.duration_seconds, "s")->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  stop_on_signals();
  std::vector<Ages> ages(o.threads);
  std::vector<std::thread> threads;
  const std::int64_t start = now_usec();
  for (auto& a : ages) threads.emplace_back([&o, &a, start] { burn(o, start, a); });
  for (auto& t : threads) t.join();
  Ages all;
  for (const auto& a : ages) all.add(a);
  fmt::print(R"({{"bursts": {}, "burst_age_p50_ms": {:.1f}, "burst_age_p99_ms": {:.1f}, "cpu_ms": {:.1f}}})"
             "\n",
             all.count(), all.quantile_ms(0.5), all.quantile_ms(0.99),
             static_cast<double>(now_usec(CLOCK_PROCESS_CPUTIME_ID)) / 1000);
  return 0;
}
