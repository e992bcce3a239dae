// Where log lines go: to journald with fields, or to a terminal with the same text. All code logs through
// spdlog's default logger; LogFields adds fields.
#pragma once

#include <spdlog/common.h>

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "daemon/publish/journal/line_limit.hpp"
#include "daemon/values/report.hpp"

namespace sluice::publish {

enum class LogTarget : std::uint8_t {
  automatic,  // journald if standard error is connected to it (JOURNAL_STREAM), else standard error
  journal,
  standard_error,
};

struct LogOptions {
  LogTarget target = LogTarget::automatic;
  spdlog::level::level_enum level = spdlog::level::info;
};

// Replaces spdlog's default logger. Call once before the first line, with SIGPIPE ignored. A thread of its
// own sends the lines over a bounded queue. If journald hangs, or standard error is not read, lines are lost
// (counted and reported); no tick is delayed.
void set_up_log(const LogOptions& options);
// Waits at most one second for queued lines. Call at exit.
void shut_down_log();
// Number of lines lost since the start.
std::uint64_t log_lines_lost();

// Fields of every line that this thread logs while the object lives. The sink takes them on the logging
// thread at the time of the call, so a line never gets fields of another thread or of a later line.
//   LogFields fields{{"SLUICE_TASK", name}};  spdlog::warn("...");
class LogFields {
 public:
  LogFields(std::initializer_list<std::pair<std::string_view, std::string>> fields);
  ~LogFields();
  LogFields(const LogFields&) = delete;
  LogFields& operator=(const LogFields&) = delete;

 private:
  std::size_t count_;
};

// Logs one line per adjustment and notice of a report. Bursts are limited: kDecisionsPerMinute (the default
// write budget) per task, knob and rule; kNoticesPerMinute per task and kind; kLinesPerSecond in total. After
// the minute or second a line reports how many were omitted.
class LogPublisher {
 public:
  static constexpr std::uint32_t kLinesPerSecond = 100;
  static constexpr std::uint32_t kDecisionsPerMinute = 60, kNoticesPerMinute = 10;
  void publish(const Report& report);
  // Lines that do not come from a report, with the same limits. `source` is their origin.
  enum class Source : std::uint8_t { engine, oom_kill };
  void say(Source source, spdlog::level::level_enum level, const std::string& task, const std::string& text,
           MonotonicTime now);

 private:
  bool may_log(const LineLimit::Key& key, std::uint32_t most, std::string_view line, MonotonicTime now);
  void say_left_out(MonotonicTime now);
  LineLimit limit_;
  MonotonicTime window_start_{};
  std::uint32_t lines_ = 0;
  std::uint64_t left_out_ = 0;
};

}  // namespace sluice::publish
