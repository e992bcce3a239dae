#include "daemon/publish/journal/log_writer.hpp"

#include <poll.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <utility>

#include "daemon/process/quiet_thread.hpp"

namespace sluice::publish {

namespace {

constexpr auto kPatience = std::chrono::seconds(1);  // of drain, and between attempts to create a thread

std::size_t bytes_of(const LogRecord& record) {
  std::size_t bytes = 0;
  for (const auto& field : record) bytes += field.size();
  return bytes;
}

}  // namespace

LogWriter::LogWriter(Send send, Lost lost) : shared_(std::make_shared<Shared>()) {
  shared_->send = std::move(send);
  shared_->say_lost = std::move(lost);
  const std::lock_guard lock(shared_->mutex);
  be_running();
}

LogWriter::~LogWriter() {
  drain();
  const std::lock_guard lock(shared_->mutex);
  shared_->stop = true;
  shared_->added.notify_one();
}

void LogWriter::be_running() {
  if (shared_->runs) return;
  const auto now = std::chrono::steady_clock::now();
  if (now < shared_->start_at) return;
  shared_->start_at = now + kPatience;
  shared_->runs = process::run_detached([shared = shared_] { shared->run(); });
}

void LogWriter::push(LogRecord record) {
  const auto bytes = bytes_of(record);
  const std::lock_guard lock(shared_->mutex);
  be_running();
  if (shared_->queue.size() >= kMaxRecords || shared_->bytes + bytes > kMaxBytes) {
    ++shared_->lost;
    ++shared_->lost_unsaid;
    return;
  }
  shared_->bytes += bytes;
  shared_->queue.push_back(std::move(record));
  shared_->added.notify_one();
}

void LogWriter::drain() {
  std::unique_lock lock(shared_->mutex);
  be_running();
  while (!shared_->runs && !shared_->queue.empty()) shared_->send_one(lock);
  shared_->emptied.wait_for(lock, kPatience, [this] { return shared_->queue.empty() && !shared_->sending; });
}

std::uint64_t LogWriter::lost() const {
  const std::lock_guard lock(shared_->mutex);
  return shared_->lost;
}

void LogWriter::Shared::run() {
  std::unique_lock lock(mutex);
  while (true) {
    added.wait(lock, [&] { return stop || !queue.empty(); });
    if (stop) return;
    send_one(lock);
  }
}

// Sends the oldest record, and then the number of lines lost before.
void LogWriter::Shared::send_one(std::unique_lock<std::mutex>& lock) {
  const LogRecord record = std::move(queue.front());
  queue.pop_front();
  bytes -= bytes_of(record);
  const auto unsaid = std::exchange(lost_unsaid, 0);
  sending = true;
  lock.unlock();
  const bool arrived = send(record);
  const bool said = unsaid == 0 || (arrived && send(say_lost(unsaid)));
  lock.lock();
  sending = false;
  if (!arrived) {
    ++lost;
    ++lost_unsaid;
  }
  if (!said) lost_unsaid += unsaid;
  if (queue.empty()) emptied.notify_all();
}

bool send_to_journald(const LogRecord& record) {
  std::vector<iovec> fields;
  fields.reserve(record.size());
  for (const auto& field : record) {
    fields.push_back({const_cast<char*>(field.data()), field.size()});  // sd_journal_sendv only reads
  }
  return sd_journal_sendv(fields.data(), static_cast<int>(fields.size())) == 0;
}

bool send_to_standard_error(const LogRecord& record) {
  for (std::string_view rest : record) {
    while (!rest.empty()) {
      const ssize_t n = ::write(STDERR_FILENO, rest.data(), rest.size());
      if (n >= 0) {
        rest.remove_prefix(static_cast<std::size_t>(n));
        continue;
      }
      if (errno == EINTR) continue;
      if (errno != EAGAIN) return false;
      pollfd ready{STDERR_FILENO, POLLOUT, 0};  // another process shares it and has made it non-blocking
      if (::poll(&ready, 1, -1) < 0 && errno != EINTR) return false;
    }
  }
  return true;
}

}  // namespace sluice::publish
