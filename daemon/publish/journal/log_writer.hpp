// Hands finished log records on from a thread of its own, over a bounded queue: to journald, or to standard
// error. The thread that logs never waits, whatever reads the lines, or does not. A line that finds no room,
// or cannot be handed on, is lost and counted; how many were is logged when there is room again.
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

// For journald "FIELD=value" each; for standard error one finished line.
using LogRecord = std::vector<std::string>;

class LogWriter {
 public:
  static constexpr std::size_t kMaxRecords = 4096;     // that wait
  static constexpr std::size_t kMaxBytes = 4U << 20U;  // of those
  // On the thread; may take as long as it likes. False: the record did not arrive.
  using Send = std::function<bool(const LogRecord&)>;
  // On the thread: the record that says how many lines were lost.
  using Lost = std::function<LogRecord(std::uint64_t lines)>;

  LogWriter(Send send, Lost lost);
  ~LogWriter();
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  // Any thread. When no thread can be made, records wait, and it is tried again with later ones.
  void push(LogRecord record);
  // Until the queue is empty, but no longer than a second. Without a thread, what waits is sent by the
  // caller.
  void drain();
  [[nodiscard]] std::uint64_t lost() const;

 private:
  // Shared with the thread, which is left behind if its reader hangs when we want to go.
  struct Shared {
    std::mutex mutex;
    std::condition_variable added, emptied;
    std::deque<LogRecord> queue;
    std::size_t bytes = 0;  // in the queue
    bool runs = false, sending = false, stop = false;
    std::uint64_t lost = 0, lost_unsaid = 0;
    std::chrono::steady_clock::time_point start_at{};  // not before then a thread is tried for again
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
// write(2), all of it. Standard error may be a pipe that nobody reads: then it blocks, or fails with EPIPE
// (SIGPIPE must be ignored).
bool send_to_standard_error(const LogRecord& record);

}  // namespace sluice::publish
