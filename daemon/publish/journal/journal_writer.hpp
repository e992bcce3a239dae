// Hands finished records to journald from a thread of its own, over a bounded queue. The thread that logs
// never waits: when the queue is full the line is dropped, counted, and the count is logged when there is
// room.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace sluice::publish {

using JournalRecord = std::vector<std::string>;  // "FIELD=value" each

class JournalWriter {
 public:
  static constexpr std::size_t kQueueLength = 4096;
  using Send = std::function<void(const JournalRecord&)>;
  explicit JournalWriter(Send send);
  ~JournalWriter();
  JournalWriter(const JournalWriter&) = delete;
  JournalWriter& operator=(const JournalWriter&) = delete;

  void push(JournalRecord record);
  // Until the queue is empty, but no longer than a second.
  void drain();
  [[nodiscard]] std::uint64_t dropped() const;

 private:
  // Shared with the thread, which is left behind if journald hangs when we want to go.
  struct Shared {
    std::mutex mutex;
    std::condition_variable added, emptied;
    std::deque<JournalRecord> queue;
    bool sending = false, stop = false;
    std::uint64_t dropped = 0, dropped_unsaid = 0;
    Send send;
  };
  static void run(Shared& shared);
  std::shared_ptr<Shared> shared_;
};

// sd_journal_sendv.
void send_to_journald(const JournalRecord& record);

}  // namespace sluice::publish
