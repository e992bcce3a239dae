// Reads the lag of a consumer group from outside, writes it to a file, and reports it to Sluice if requested.
#include <fmt/format.h>
#include <systemd/sd-bus.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fstream>

#include "tests/kernel/load/clock.hpp"
#include "tests/kernel/load/redis.hpp"

namespace {

using namespace sluice::load;

struct Options {
  RedisAddress redis;
  std::string stream = "load", group = "workers", csv, task;
  int interval_ms = 200;
  int ttl_ms = 2000;
};

// org.sluice.Governor1.Task.ReportLoad of one task.
class LoadReporter {
 public:
  explicit LoadReporter(const std::string& task) {
    char* path = nullptr;
    check(sd_bus_path_encode("/org/sluice/Governor1/task", task.c_str(), &path), "the task's name");
    path_ = path;
    free(path);
    check(sd_bus_open_system(&bus_), "the system bus");
  }
  ~LoadReporter() { sd_bus_unref(bus_); }
  LoadReporter(const LoadReporter&) = delete;
  LoadReporter& operator=(const LoadReporter&) = delete;

  // False if the daemon did not accept it, for instance during a restart; error() has the reason.
  bool report(const GroupLag& lag, std::uint64_t ttl_usec) {
    sd_bus_error error{};
    const int r =
        sd_bus_call_method(bus_, "org.sluice.Governor1", path_.c_str(), "org.sluice.Governor1.Task",
                           "ReportLoad", &error, nullptr, "a{sd}t", 3, "lag",
                           static_cast<double>(lag.waiting), "processed", static_cast<double>(lag.processed),
                           "oldest_age_seconds", std::max(0.0, lag.oldest_age_seconds), ttl_usec);
    if (r < 0) error_ = error.message != nullptr ? error.message : std::strerror(-r);
    sd_bus_error_free(&error);
    return r >= 0;
  }
  [[nodiscard]] const std::string& error() const { return error_; }

 private:
  static void check(int r, const char* what) {
    if (r < 0) throw std::runtime_error(fmt::format("{}: {}", what, std::strerror(-r)));
  }
  sd_bus* bus_ = nullptr;
  std::string path_, error_;
};

int run(const Options& o) {
  stop_on_signals();
  Redis redis(o.redis);
  std::optional<LoadReporter> reporter;
  if (!o.task.empty()) reporter.emplace(o.task);
  std::ofstream csv(o.csv.empty() ? "/dev/null" : o.csv);
  csv << "t_usec,waiting_records,processed_records,oldest_age_seconds\n";
  long reports = 0, refused = 0;
  long long highest = 0, last = 0;
  for (std::int64_t wake = now_usec(); !stop_requested; wake += o.interval_ms * 1000) {
    sleep_until_usec(wake);
    const auto lag = group_lag(redis, o.stream, o.group);
    if (!lag) continue;
    last = lag->waiting;
    highest = std::max(highest, last);
    csv << fmt::format("{},{},{},{:.3f}\n", now_usec(), lag->waiting, lag->processed, lag->oldest_age_seconds)
        << std::flush;
    if (!reporter) continue;
    if (reporter->report(*lag, static_cast<std::uint64_t>(o.ttl_ms) * 1000)) {
      ++reports;
    } else if (stop_requested) {
      break;  // the signal interrupted the call; it was not refused
    } else if (refused++ == 0) {
      fmt::print(stderr, "lag_reporter: {}\n", reporter->error());
    }
  }
  if (!csv) throw std::runtime_error(o.csv + ": cannot be written");
  fmt::print(R"({{"lag_max_records": {}, "lag_last_records": {}, "reports": {}, "reports_refused": {}}})"
             "\n",
             highest, last, reports, refused);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  CLI::App app{"Watches the lag of a Redis consumer group; reports it over D-Bus when --task is given",
               "lag_reporter"};
  app.add_option("--redis-port", o.redis.port)->capture_default_str();
  app.add_option("--stream", o.stream)->capture_default_str();
  app.add_option("--group", o.group)->capture_default_str();
  app.add_option("--interval-ms", o.interval_ms)->check(CLI::Range(10, 60000))->capture_default_str();
  app.add_option("--csv", o.csv, "one line a look");
  app.add_option("--task", o.task, "the governed task to report to");
  app.add_option("--ttl-ms", o.ttl_ms, "how long a report holds")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    return run(o);
  } catch (const std::exception& e) {
    fmt::print(stderr, "lag_reporter: {}\n", e.what());
    return 1;
  }
}
