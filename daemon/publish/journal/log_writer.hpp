// Sends finished log records to journald or to standard error, from a thread of its own, over a bounded
// queue. The thread that logs never waits. A line that does not fit or cannot be sent is lost and counted;
// the number is logged as soon as lines can be sent again.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace sluice::publish {

// For journald one "FIELD=value" each; for standard error one complete line.
using LogRecord = std::vector<std::string>;

class LogWriter {
 public:
  static constexpr std::size_t kMaxRecords = 4096;     // queued
  static constexpr std::size_t kMaxBytes = 4U << 20U;  // of the queued records
  // Called on the thread; may block. False: the record did not arrive.
  using Send = std::function<bool(const LogRecord&)>;
  // Called on the thread: makes the record that reports the number of lost lines.
  using Lost = std::function<LogRecord(std::uint64_t lines)>;

  LogWriter(Send send, Lost lost);
  ~LogWriter();
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  // Any thread. If no thread can be created, records wait, and later calls try again.
  void push(LogRecord record);
  // Waits until the queue is empty, at most one second. Without a thread the caller sends the queued records.
  void drain();
  [[nodiscard]] std::uint64_t lost() const;

 private:
  // Shared with the thread. If its reader hangs at exit, the thread is left behind.
  struct Shared {
    std::mutex mutex;
    std::condition_variable added, emptied;
    std::deque<LogRecord> queue;
    std::size_t bytes = 0;  // in the queue
    bool runs = false, sending = false, stop = false;
    std::uint64_t lost = 0, lost_unsaid = 0;
    std::chrono::steady_clock::time_point start_at{};  // earliest time of the next attempt to create a thread
    Send send;
    Lost say_lost;

    void run();
    void send_one(std::unique_lock<std::mutex>& lock);
  };
  void be_running();
  std::shared_ptr<Shared> shared_;
};

// sd_journal_sendv.
bool send_to_journald(const LogRecord& record);
// Writes everything with write(2). Standard error may be a pipe without a reader: the write then blocks, or
// fails with EPIPE (SIGPIPE must be ignored).
bool send_to_standard_error(const LogRecord& record);

}  // namespace sluice::publish
