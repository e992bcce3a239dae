// Members of a consumer group that use CPU for each record in proportion to its work. At SIGTERM they stop
// and write a summary of the records' ages; unfinished records count with their current age.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <fstream>
#include <thread>

#include "tests/kernel/load/ages.hpp"
#include "tests/kernel/load/clock.hpp"
#include "tests/kernel/load/redis.hpp"

namespace {

using namespace sluice::load;

struct Options {
  RedisAddress redis;
  std::string stream = "load", group = "workers", summary;
  unsigned threads = 2;
  double unit_cpu_ms = 10;
  double deadline_ms = 1000;
  int read_at_once = 1;
};

struct Worker {
  Ages age;   // from sent to finished
  Ages wait;  // from sent to started
  std::string error;
};

void consume(const Options& o, const std::string& name, Worker& worker) try {
  Redis redis(o.redis);
  Burner burner;
  while (!stop_requested) {
    const auto reply = redis.call({"XREADGROUP", "GROUP", o.group, name, "COUNT",
                                   std::to_string(o.read_at_once), "BLOCK", "200", "STREAMS", o.stream, ">"});
    for (const auto& record : records_of(*reply)) {
      if (stop_requested) return;
      worker.wait.add(now_usec() - record.sent_usec);
      burner.burn(record.work * o.unit_cpu_ms * 1000);
      redis.call({"XACK", o.stream, o.group, record.id});
      worker.age.add(now_usec() - record.sent_usec);
    }
  }
} catch (const std::exception& e) {
  worker.error = e.what();
  stop_requested = 1;
}

// Unfinished records: delivered to a member and not acknowledged ("0"), or not delivered at all (">").
Ages unfinished(const Options& o, Redis& redis) {
  Ages ages;
  const std::int64_t now = now_usec();
  auto add = [&](const std::string& member, const std::string& from) {
    const auto reply =
        redis.call({"XREADGROUP", "GROUP", o.group, member, "COUNT", "1000000", "STREAMS", o.stream, from});
    for (const auto& r : records_of(*reply)) ages.add(now - r.sent_usec);
  };
  for (unsigned i = 0; i < o.threads; ++i) add("worker-" + std::to_string(i), "0");
  add("rest", ">");
  return ages;
}

int run(const Options& o) {
  stop_on_signals();
  Redis(o.redis).create_group(o.stream, o.group);
  std::vector<Worker> workers(o.threads);
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < o.threads; ++i)
    threads.emplace_back([&o, &workers, i] { consume(o, "worker-" + std::to_string(i), workers[i]); });
  for (auto& t : threads) t.join();
  Ages age, wait;
  for (const auto& w : workers) {
    if (!w.error.empty()) throw std::runtime_error(w.error);
    age.add(w.age);
    wait.add(w.wait);
  }
  const std::size_t finished = age.count();
  Redis redis(o.redis);
  const Ages rest = unfinished(o, redis);
  age.add(rest);
  wait.add(rest);
  const std::string summary = fmt::format(
      R"({{"records": {}, "unfinished_records": {}, "age_p50_ms": {:.1f}, "age_p99_ms": {:.1f}, "age_max_ms": {:.1f}, )"
      R"("wait_p50_ms": {:.1f}, "wait_p99_ms": {:.1f}, "late_ratio": {:.5f}, "deadline_ms": {}, "cpu_ms": {:.1f}}})"
      "\n",
      finished, rest.count(), age.quantile_ms(0.5), age.quantile_ms(0.99), age.quantile_ms(1),
      wait.quantile_ms(0.5), wait.quantile_ms(0.99), age.late_ratio(o.deadline_ms), o.deadline_ms,
      static_cast<double>(now_usec(CLOCK_PROCESS_CPUTIME_ID)) / 1000);
  if (o.summary.empty()) {
    fmt::print("{}", summary);
  } else if (!(std::ofstream(o.summary) << summary).flush()) {
    throw std::runtime_error(o.summary + ": cannot be written");
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  CLI::App app{"A Redis consumer group whose records cost CPU", "stream_consumer"};
  app.add_option("--redis-port", o.redis.port)->capture_default_str();
  app.add_option("--stream", o.stream)->capture_default_str();
  app.add_option("--group", o.group)->capture_default_str();
  app.add_option("--threads", o.threads, "members of the group")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--unit-cpu-ms", o.unit_cpu_ms, "CPU time of one unit of work")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--deadline-ms", o.deadline_ms, "what is late")->check(CLI::PositiveNumber);
  app.add_option("--read-at-once", o.read_at_once, "records a read")->check(CLI::Range(1, 10000));
  app.add_option("--summary", o.summary, "file for the summary; without it: standard output");
  CLI11_PARSE(app, argc, argv);
  try {
    return run(o);
  } catch (const std::exception& e) {
    fmt::print(stderr, "stream_consumer: {}\n", e.what());
    return 1;
  }
}
