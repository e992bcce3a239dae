#include "daemon/publish/journal/journal.hpp"

#include <fmt/format.h>
#include <spdlog/details/os.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "daemon/publish/journal/journal_fields.hpp"
#include "daemon/publish/journal/log_writer.hpp"
#include "daemon/publish/words/names.hpp"
#include "daemon/publish/words/words.hpp"

namespace sluice::publish {

namespace {

// The fields in force on this thread, oldest first. LogFields writes them and the sink reads them, both on
// the thread that logs.
std::vector<std::pair<std::string_view, std::string>>& thread_fields() {
  thread_local std::vector<std::pair<std::string_view, std::string>> fields;
  return fields;
}

int syslog_priority(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::trace:
    case spdlog::level::debug:
      return 7;
    case spdlog::level::info:
      return 6;
    case spdlog::level::warn:
      return 4;
    case spdlog::level::err:
      return 3;
    default:
      return 2;
  }
}

// One per process: the log is set up once.
std::atomic<const LogWriter*> the_writer = nullptr;

std::string lines_lost(std::uint64_t lines, const char* why) {
  return fmt::format("{} {} lost: {}", lines, lines == 1 ? "line was" : "lines were", why);
}

// Common to both sinks: spdlog's part runs on the thread that logs, the rest on the writer's thread.
class QueueSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  QueueSink(LogWriter::Send send, LogWriter::Lost lost) : writer_(std::move(send), std::move(lost)) {
    the_writer = &writer_;
  }
  ~QueueSink() override { the_writer = nullptr; }
  QueueSink(const QueueSink&) = delete;
  QueueSink& operator=(const QueueSink&) = delete;

 protected:
  void push(LogRecord record) { writer_.push(std::move(record)); }
  void flush_() override { writer_.drain(); }

 private:
  LogWriter writer_;
};

class JournalSink final : public QueueSink {
 public:
  JournalSink()
      : QueueSink(send_to_journald, [](std::uint64_t lines) -> LogRecord {
          return {"MESSAGE=" + lines_lost(lines, "the journal was too slow"), "PRIORITY=4",
                  "SYSLOG_IDENTIFIER=sluiced"};
        }) {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    LogRecord record;
    record.push_back(
        fmt::format("MESSAGE={}", std::string_view(message.payload.data(), message.payload.size())));
    record.push_back(fmt::format("PRIORITY={}", syslog_priority(message.level)));
    record.emplace_back("SYSLOG_IDENTIFIER=sluiced");
    for (const auto& [name, value] : thread_fields()) record.push_back(fmt::format("{}={}", name, value));
    push(std::move(record));
  }
};

// A line for people: time, level (coloured on a terminal) and text.
class LineFormat {
 public:
  std::string operator()(const spdlog::details::log_msg& message) {
    spdlog::memory_buf_t line;
    formatter_.format(message, line);
    std::string text(line.data(), line.size());
    if (colored_ && message.color_range_end > message.color_range_start) {
      text.insert(message.color_range_end, "\x1b[m");
      text.insert(message.color_range_start, color_of(message.level));
    }
    return text;
  }

 private:
  static const char* color_of(spdlog::level::level_enum level) {
    if (level >= spdlog::level::err) return "\x1b[1;31m";
    return level == spdlog::level::warn ? "\x1b[1;33m" : "\x1b[32m";
  }
  const bool colored_ = spdlog::details::os::in_terminal(stderr) && spdlog::details::os::is_color_terminal();
  spdlog::pattern_formatter formatter_{"%H:%M:%S.%e %^%-7l%$ %v"};
};

class StandardErrorSink final : public QueueSink {
 public:
  StandardErrorSink()
      : QueueSink(send_to_standard_error, [format = std::make_shared<LineFormat>()](std::uint64_t lines) {
          const auto text = lines_lost(lines, "standard error was not read, or could not be written");
          return LogRecord{(*format)({"sluiced", spdlog::level::warn, text})};
        }) {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override { push({format_(message)}); }
  LineFormat format_;
};

// JOURNAL_STREAM is "device:inode" of the socket that systemd made our standard error. After a redirection
// the variable remains but is wrong.
bool stderr_is_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat is {};
  if (stream == nullptr || ::fstat(STDERR_FILENO, &is) != 0) return false;
  return stream == fmt::format("{}:{}", is.st_dev, is.st_ino);
}

spdlog::level::level_enum level_of(Notice::Kind kind) {
  switch (kind) {
    case Notice::Kind::task_added:
    case Notice::Kind::task_removed:
    case Notice::Kind::breaker_closed:
    case Notice::Kind::unsaturated:
    case Notice::Kind::mode_changed:
    case Notice::Kind::pressure_known:
      return spdlog::level::info;
    case Notice::Kind::plan_violation:
      return spdlog::level::err;
    default:
      return spdlog::level::warn;
  }
}

class Scope {  // LogFields for a list made at run time
 public:
  explicit Scope(Fields fields) : count_(fields.size()) {
    auto& all = thread_fields();
    all.insert(all.end(), std::make_move_iterator(fields.begin()), std::make_move_iterator(fields.end()));
  }
  ~Scope() { thread_fields().resize(thread_fields().size() - count_); }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

 private:
  std::size_t count_;
};

// On a terminal only the text can name the task.
std::string line_of(const std::string& task, const std::string& text) {
  return task.empty() ? text : c_escape(task) + ": " + text;
}

}  // namespace

void set_up_log(const LogOptions& options) {
  const bool journal =
      options.target == LogTarget::journal || (options.target == LogTarget::automatic && stderr_is_journal());
  std::shared_ptr<spdlog::sinks::sink> sink;
  if (journal) {
    sink = std::make_shared<JournalSink>();
  } else {
    sink = std::make_shared<StandardErrorSink>();
  }
  auto logger = std::make_shared<spdlog::logger>("sluiced", std::move(sink));
  logger->set_level(options.level);
  spdlog::set_default_logger(std::move(logger));
}

void shut_down_log() {
  spdlog::default_logger()->flush();
}

std::uint64_t log_lines_lost() {
  const auto* writer = the_writer.load();
  return writer == nullptr ? 0 : writer->lost();
}

LogFields::LogFields(std::initializer_list<std::pair<std::string_view, std::string>> fields)
    : count_(fields.size()) {
  auto& all = thread_fields();
  all.insert(all.end(), fields.begin(), fields.end());
}

LogFields::~LogFields() {
  thread_fields().resize(thread_fields().size() - count_);
}

// A line that is refused by its own limit does not count against the limit of all lines.
bool LogPublisher::may_log(const LineLimit::Key& key, std::uint32_t most, std::string_view line,
                           MonotonicTime now) {
  if (lines_ >= kLinesPerSecond) {
    ++left_out_;
    return false;
  }
  if (!limit_.allow(key, most, line, now)) return false;
  ++lines_;
  return true;
}

void LogPublisher::say_left_out(MonotonicTime now) {
  if (now - window_start_ >= std::chrono::seconds(1)) {
    if (left_out_ > 0) spdlog::warn("{} more lines about tasks were left out", std::exchange(left_out_, 0));
    window_start_ = now;
    lines_ = 0;
  }
  for (const auto& [key, lines, example] : limit_.ended(now)) {
    if (lines_ >= kLinesPerSecond) {
      left_out_ += lines;
      continue;
    }
    ++lines_;
    const Scope fields(key.task.empty() ? Fields{} : Fields{{"SLUICE_TASK", c_escape(key.task)}});
    spdlog::warn("{} more like this were left out in the last minute: {}", lines, example);
  }
}

void LogPublisher::say(Source source, spdlog::level::level_enum level, const std::string& task,
                       const std::string& text, MonotonicTime now) {
  say_left_out(now);
  const auto line = line_of(task, text);
  if (!may_log({task, -1 - static_cast<int>(source)}, task.empty() ? kDecisionsPerMinute : kNoticesPerMinute,
               line, now))
    return;
  const Scope fields(task.empty() ? Fields{} : Fields{{"SLUICE_TASK", c_escape(task)}});
  spdlog::log(level, "{}", line);
}

void LogPublisher::publish(const Report& report) {
  constexpr int kOfKnob = 1000;
  say_left_out(report.now);
  for (const auto& notice : report.notices) {
    std::string text = sentence(notice);
    if (notice.kind == Notice::Kind::mode_changed)
      text = fmt::format("the mode is {} now", mode_name(report.node.mode));
    const auto line = line_of(notice.task, text);
    if (!may_log({notice.task, static_cast<int>(notice.kind)}, kNoticesPerMinute, line, report.now)) continue;
    const Scope fields(journal_fields(notice, report.tick));
    spdlog::log(level_of(notice.kind), "{}", line);
  }
  if (!spdlog::should_log(spdlog::level::info)) return;
  for (const auto& adjustment : report.adjustments) {
    const int kind =
        kOfKnob * (1 + static_cast<int>(adjustment.knob)) + static_cast<int>(adjustment.reason.rule);
    const auto line = line_of(adjustment.task, sentence(adjustment));
    if (!may_log({adjustment.task, kind}, kDecisionsPerMinute, line, report.now)) continue;
    const Scope fields(journal_fields(adjustment, report.tick));
    spdlog::info("{}", line);
  }
}

}  // namespace sluice::publish
