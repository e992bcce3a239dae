// Where lines go: journald with fields, or a terminal with the same text. Everything logs through spdlog's
// default logger; fields go along in LogFields.
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
  automatic,  // journald when standard error is connected to it (JOURNAL_STREAM), else standard error
  journal,
  standard_error,
};

struct LogOptions {
  LogTarget target = LogTarget::automatic;
  spdlog::level::level_enum level = spdlog::level::info;
};

// Replaces spdlog's default logger. Call once, before the first line, with SIGPIPE ignored. Lines are handed
// on by a thread of its own over a bounded queue: a journald that hangs, or a reader of standard error that
// goes away or does not read, costs lines (counted, and said), never a tick.
void set_up_log(const LogOptions& options);
// Waits up to a second for queued lines; at exit.
void shut_down_log();
// Lines that found no room or no reader, since the start.
std::uint64_t log_lines_lost();

// Fields of every line that this thread logs while the object lives. The sink takes them on the logging
// thread at the time of the call, so a line never gets another thread's or a later line's fields.
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

// One line for each adjustment and notice of a report. Storms are cut: kDecisionsPerMinute (as many as may be
// written by default) of a task, knob and rule, kNoticesPerMinute of a task and kind, and kLinesPerSecond of
// all. Once the minute or the second is over, a line says how many were left out.
class LogPublisher {
 public:
  static constexpr std::uint32_t kLinesPerSecond = 100;
  static constexpr std::uint32_t kDecisionsPerMinute = 60, kNoticesPerMinute = 10;
  void publish(const Report& report);
  // What is no report's, with the same bounds: of one `source`, which names the place that says it.
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
