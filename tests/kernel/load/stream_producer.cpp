// Sends the records of a schedule to a Redis stream in batches, each with its send time and its work.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

#include "tests/kernel/load/clock.hpp"
#include "tests/kernel/load/redis.hpp"
#include "tests/kernel/load/schedule.hpp"

namespace {

using namespace sluice::load;

struct Options {
  RedisAddress redis;
  std::string stream = "load", source = "burst";
  ScheduleOptions schedule;
  int batch_ms = 25;
  bool list = false;
};

int produce(const Options& o) {
  const auto arrivals = make_schedule(o.source, o.schedule);
  if (o.list) {
    for (const auto& a : arrivals) fmt::print("{} {:.4f}\n", a.at_usec, a.work);
    return 0;
  }
  Redis redis(o.redis);
  stop_on_signals();
  const std::int64_t start = now_usec(), batch_usec = o.batch_ms * 1000;
  std::size_t sent = 0;
  double work = 0;
  // how far behind the schedule: a producer without enough CPU invalidates the test
  std::int64_t latest_usec = 0;
  for (std::int64_t wake = start + batch_usec; sent < arrivals.size() && !stop_requested;
       wake += batch_usec) {
    sleep_until_usec(wake);
    const std::int64_t now = now_usec();
    std::size_t batch = 0;
    for (; sent < arrivals.size() && start + arrivals[sent].at_usec <= now; ++sent, ++batch) {
      latest_usec = std::max(latest_usec, now - start - arrivals[sent].at_usec);
      work += arrivals[sent].work;
      redis.append({"XADD", o.stream, "*", "sent_usec", std::to_string(now), "work",
                    fmt::format("{:.6f}", arrivals[sent].work)});
    }
    for (; batch > 0; --batch) redis.take();
  }
  fmt::print(R"({{"records": {}, "scheduled_records": {}, "work_units": {:.3f}, "seconds": {:.3f}, )"
             R"("behind_schedule_max_ms": {:.1f}}})"
             "\n",
             sent, arrivals.size(), work, static_cast<double>(now_usec() - start) / 1e6,
             static_cast<double>(latest_usec) / 1000);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  CLI::App app{"Paces records into a Redis stream by a trace or a shape", "stream_producer"};
  app.add_option("--redis-port", o.redis.port)->capture_default_str();
  app.add_option("--stream", o.stream)->capture_default_str();
  app.add_option("--source", o.source, "flat, burst, step, diurnal, or a trace file")->capture_default_str();
  app.add_option("--start", o.schedule.start_seconds, "where in the trace to begin, s")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--speedup", o.schedule.speedup, "trace seconds a second")->check(CLI::PositiveNumber);
  app.add_option("--peak-rate", o.schedule.peak_rate, "records/s at the peak")->check(CLI::PositiveNumber);
  app.add_option("--duration", o.schedule.duration_seconds, "s")->check(CLI::PositiveNumber);
  app.add_option("--batch-ms", o.batch_ms)->check(CLI::Range(1, 1000))->capture_default_str();
  app.add_flag("--list", o.list, "print the schedule (µs, work units) instead of sending it");
  CLI11_PARSE(app, argc, argv);
  try {
    return produce(o);
  } catch (const std::exception& e) {
    fmt::print(stderr, "stream_producer: {}\n", e.what());
    return 1;
  }
}
