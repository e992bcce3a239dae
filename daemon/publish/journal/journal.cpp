#include "daemon/publish/journal/journal.hpp"

#include <fmt/format.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

#include "daemon/publish/journal/journal_fields.hpp"
#include "daemon/publish/journal/journal_writer.hpp"
#include "daemon/publish/words/names.hpp"
#include "daemon/publish/words/words.hpp"

namespace sluice::publish {

namespace {

// The fields in force on this thread, oldest first. Only LogFields writes it, only the sink reads it, and
// both on the thread that logs.
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

class JournalSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  JournalSink() : writer_(send_to_journald) {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    JournalRecord record;
    record.push_back(
        fmt::format("MESSAGE={}", std::string_view(message.payload.data(), message.payload.size())));
    record.push_back(fmt::format("PRIORITY={}", syslog_priority(message.level)));
    record.emplace_back("SYSLOG_IDENTIFIER=sluiced");
    for (const auto& [name, value] : thread_fields()) record.push_back(fmt::format("{}={}", name, value));
    writer_.push(std::move(record));
  }
  void flush_() override { writer_.drain(); }

  JournalWriter writer_;
};

// JOURNAL_STREAM is "device:inode" of the socket that systemd made our standard error; after a redirection
// the variable is still there and lies.
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

class Scope {  // LogFields for a list that is made at run time
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

// On a terminal nothing else says which task a line is about.
std::string line_of(const std::string& task, const std::string& text) {
  return task.empty() ? text : c_escape(task) + ": " + text;
}

}  // namespace

void set_up_log(const LogOptions& options) {
  const bool journal =
      options.target == LogTarget::journal || (options.target == LogTarget::automatic && stderr_is_journal());
  std::shared_ptr<spdlog::logger> logger;
  if (journal) {
    logger = std::make_shared<spdlog::logger>("sluiced", std::make_shared<JournalSink>());
  } else {
    logger =
        std::make_shared<spdlog::logger>("sluiced", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    logger->set_pattern("%H:%M:%S.%e %^%-7l%$ %v");
  }
  logger->set_level(options.level);
  spdlog::set_default_logger(std::move(logger));
}

void shut_down_log() {
  spdlog::default_logger()->flush();
}

LogFields::LogFields(std::initializer_list<std::pair<std::string_view, std::string>> fields)
    : count_(fields.size()) {
  auto& all = thread_fields();
  all.insert(all.end(), fields.begin(), fields.end());
}

LogFields::~LogFields() {
  thread_fields().resize(thread_fields().size() - count_);
}

bool LogPublisher::may_log(MonotonicTime now) {
  if (now - window_start_ >= std::chrono::seconds(1)) {
    if (left_out_ > 0) spdlog::warn("{} more lines about tasks were left out", std::exchange(left_out_, 0));
    window_start_ = now;
    lines_ = 0;
  }
  if (lines_ < kLinesPerSecond) {
    ++lines_;
    return true;
  }
  ++left_out_;
  return false;
}

void LogPublisher::publish(const Report& report) {
  for (const auto& notice : report.notices) {
    if (!may_log(report.now)) continue;
    const Scope fields(journal_fields(notice, report.tick));
    std::string text = sentence(notice);
    if (notice.kind == Notice::Kind::mode_changed)
      text = fmt::format("the mode is {} now", mode_name(report.node.mode));
    spdlog::log(level_of(notice.kind), "{}", line_of(notice.task, text));
  }
  if (!spdlog::should_log(spdlog::level::info)) return;
  for (const auto& adjustment : report.adjustments) {
    if (!may_log(report.now)) continue;
    const Scope fields(journal_fields(adjustment, report.tick));
    spdlog::info("{}", line_of(adjustment.task, sentence(adjustment)));
  }
}

}  // namespace sluice::publish
