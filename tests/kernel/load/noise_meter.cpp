// How late a thread of the highest priority is woken: the latency that the machine itself adds to every
// measurement. The host stops an emulated guest for milliseconds; no program in it can be faster than this
// one.
#include <fmt/format.h>
#include <sched.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstring>

#include "tests/kernel/load/ages.hpp"
#include "tests/kernel/load/clock.hpp"

int main(int argc, char** argv) {
  using namespace sluice::load;
  int every_usec = 2000;
  CLI::App app{"Measures how late a real-time thread is woken, until SIGTERM", "noise_meter"};
  app.add_option("--every-usec", every_usec)->check(CLI::Range(100, 1'000'000))->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  stop_on_signals();
  sched_param priority{};
  priority.sched_priority = 50;
  if (sched_setscheduler(0, SCHED_FIFO, &priority) != 0) {
    fmt::print(stderr, "noise_meter: no real-time priority: {}\n", std::strerror(errno));
    return 1;
  }
  Ages late;
  while (!stop_requested) {
    const std::int64_t due = now_usec() + every_usec;
    sleep_until_usec(due);
    if (!stop_requested) late.add(now_usec() - due);
  }
  fmt::print(R"({{"wakes": {}, "late_p50_usec": {:.0f}, "late_p99_usec": {:.0f}, "late_max_usec": {:.0f}}})"
             "\n",
             late.count(), late.quantile_ms(0.5) * 1000, late.quantile_ms(0.99) * 1000,
             late.quantile_ms(1) * 1000);
  return 0;
}
