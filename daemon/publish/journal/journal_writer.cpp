#include "daemon/publish/journal/journal_writer.hpp"

#include <sys/uio.h>
#include <systemd/sd-journal.h>

#include <chrono>
#include <csignal>
#include <memory>
#include <utility>

namespace sluice::publish {

JournalWriter::JournalWriter(Send send) : shared_(std::make_shared<Shared>()) {
  shared_->send = std::move(send);
  sigset_t all, old;  // signals belong to the loop's thread
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  std::thread([shared = shared_] { run(*shared); }).detach();
  pthread_sigmask(SIG_SETMASK, &old, nullptr);
}

JournalWriter::~JournalWriter() {
  drain();
  const std::lock_guard lock(shared_->mutex);
  shared_->stop = true;
  shared_->added.notify_one();
}

void JournalWriter::push(JournalRecord record) {
  const std::lock_guard lock(shared_->mutex);
  if (shared_->queue.size() >= kQueueLength) {
    ++shared_->dropped;
    ++shared_->dropped_unsaid;
    return;
  }
  shared_->queue.push_back(std::move(record));
  shared_->added.notify_one();
}

void JournalWriter::drain() {
  std::unique_lock lock(shared_->mutex);
  shared_->emptied.wait_for(lock, std::chrono::seconds(1),
                            [this] { return shared_->queue.empty() && !shared_->sending; });
}

std::uint64_t JournalWriter::dropped() const {
  const std::lock_guard lock(shared_->mutex);
  return shared_->dropped;
}

void JournalWriter::run(Shared& shared) {
  std::unique_lock lock(shared.mutex);
  while (true) {
    shared.added.wait(lock, [&] { return shared.stop || !shared.queue.empty(); });
    if (shared.stop) return;
    JournalRecord record = std::move(shared.queue.front());
    shared.queue.pop_front();
    const auto lost = std::exchange(shared.dropped_unsaid, 0);
    shared.sending = true;
    lock.unlock();
    shared.send(record);
    if (lost > 0) {
      shared.send(
          {"MESSAGE=" + std::to_string(lost) + " lines were lost: the journal was too slow", "PRIORITY=4"});
    }
    lock.lock();
    shared.sending = false;
    if (shared.queue.empty()) shared.emptied.notify_all();
  }
}

void send_to_journald(const JournalRecord& record) {
  std::vector<iovec> fields;
  fields.reserve(record.size());
  for (const auto& field : record) {
    fields.push_back({const_cast<char*>(field.data()), field.size()});  // sd_journal_sendv only reads
  }
  // A journal that cannot be written to has nowhere to complain.
  static_cast<void>(sd_journal_sendv(fields.data(), static_cast<int>(fields.size())));
}

}  // namespace sluice::publish
