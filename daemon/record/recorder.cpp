#include "daemon/record/recorder.hpp"

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <ctime>
#include <initializer_list>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "daemon/process/clock.hpp"
#include "daemon/record/lines.hpp"

namespace sluice::record {
namespace {

constexpr std::size_t kWriteBytes = 1U << 20;
constexpr std::size_t kEndBytes = 256;  // reserved for the last line, which gives the reason of the end

bool is_one_of(int error, std::initializer_list<int> those) {
  return std::find(those.begin(), those.end(), error) != those.end();
}

std::string words_of(int error_number) {
  const char* words = ::strerrordesc_np(error_number);
  return words != nullptr ? words : "unknown error";
}

tl::unexpected<std::string> refused(const char* what, const std::string& path, const files::Error& error) {
  return tl::unexpected<std::string>(std::string("--record: ") + what + " " + path + ": " +
                                     words_of(error.errno_value) + ".");
}

std::size_t samples_in(const Entry& entry) {
  const auto* tick = std::get_if<TickEntry>(&entry);
  return tick != nullptr ? tick->input.tasks.size() : 0;
}

std::uint64_t ticks_in(std::vector<Entry>::const_iterator first, std::vector<Entry>::const_iterator last) {
  return static_cast<std::uint64_t>(
      std::count_if(first, last, [](const Entry& e) { return std::holds_alternative<TickEntry>(e); }));
}

// Begins an empty file of that name. An existing one is kept as NAME.old. Until its first line is written the
// new file is NAME.new.
files::Result<files::AppendLog> begin_file(files::Directory& folder, const std::string& name, bool replaces,
                                           const std::string& first_line) {
  const auto temporary = name + ".new", old = name + ".old";
  (void)folder.remove(temporary);
  auto log = files::AppendLog::make(folder, temporary);
  if (!log) return log;
  const auto begun = [&]() -> files::Result<void> {
    if (auto written = log->append(first_line); !written) return written;
    if (!replaces) return folder.rename(temporary, name);
    if (auto kept = folder.rename(name, old); !kept) return kept;
    auto moved = folder.rename(temporary, name);
    if (!moved) (void)folder.rename(old, name);
    return moved;
  }();
  if (!begun) {
    (void)folder.remove(temporary);
    return tl::unexpected(begun.error());
  }
  return log;
}

}  // namespace

// The thread owns `lines` and `log`. The mutex protects the members below it.
struct Recorder::Shared {
  Shared(std::string p, RecorderOptions o, files::Directory d, files::AppendLog l, LineWriter w)
      : path(std::move(p)),
        options(std::move(o)),
        folder(std::move(d)),
        log(std::move(l)),
        lines(std::move(w)) {}

  const std::string path;
  const RecorderOptions options;
  files::Directory folder;
  files::AppendLog log;
  LineWriter lines;

  mutable std::mutex mutex;
  std::condition_variable changed;
  std::vector<Entry> queue;
  std::size_t queued_samples = 0;
  bool over = false;                // no more entries are accepted
  bool closing = false;             // the daemon stops
  std::string end;                  // text of the last line
  std::optional<std::string> tell;  // for the daemon, reported once
  std::uint64_t dropped = 0;        // ticks
  std::thread thread;

  // Call with the mutex held.
  void stop(std::string last_line, const std::string& why) {
    if (!over)
      tell =
          "Recording ended: " + why + ". " + std::to_string(dropped) + " tick(s) that waited are not in it.";
    over = true;
    end = std::move(last_line);
  }

  // Called by the thread: nothing can be written from `first` on. This reason replaces a stop of the daemon.
  bool give_up(const std::vector<Entry>& entries, std::vector<Entry>::const_iterator first,
               std::string last_line, const std::string& why) {
    const std::lock_guard lock(mutex);
    dropped += ticks_in(first, entries.end()) + ticks_in(queue.begin(), queue.end());
    queue.clear();
    stop(std::move(last_line), why);
    return false;
  }

  // False: recording ended here.
  bool put(const std::vector<Entry>& entries) {
    std::string bytes;
    auto batch = entries.begin();  // first entry that is not written
    const auto write = [&](std::vector<Entry>::const_iterator next) {
      const auto written = log.append(bytes);
      if (!written) {
        lines.take_back(static_cast<std::uint64_t>(next - batch));
        const auto words = words_of(written.error().errno_value);
        return give_up(entries, batch, "cannot write: " + words, "cannot write " + path + ": " + words);
      }
      bytes.clear();
      batch = next;
      return true;
    };
    for (auto entry = entries.begin(); entry != entries.end(); ++entry) {
      const std::string line = std::visit([&](const auto& e) { return lines.line(e); }, *entry);
      if (log.size() + bytes.size() + line.size() + kEndBytes > options.max_bytes) {
        lines.take_back(1);
        return write(entry) && give_up(entries, entry, "size",
                                       path + " has reached its " + std::to_string(options.max_bytes) +
                                           " bytes (--record-max-bytes)");
      }
      bytes += line;
      if (bytes.size() >= kWriteBytes && !write(entry + 1)) return false;
    }
    return write(entries.end());
  }

  bool put_end(const std::string& reason) {
    if (log.append(lines.line(EndEntry{reason}))) return true;
    lines.take_back(1);
    return false;
  }

  void run() {
    std::unique_lock lock(mutex);
    for (bool more = true; more;) {
      changed.wait(lock, [&] { return over || !queue.empty(); });
      const auto entries = std::exchange(queue, {});
      queued_samples = 0;
      more = !over;
      lock.unlock();
      more = put(entries) && more;
      lock.lock();
    }
    const auto reason = end;
    lock.unlock();
    if (put_end(reason)) return;
    lock.lock();
    changed.wait(lock, [&] { return closing; });
    lock.unlock();
    (void)put_end(reason);
  }
};

tl::expected<std::unique_ptr<Recorder>, std::string> Recorder::open(const std::string& path,
                                                                    RecorderOptions options,
                                                                    files::Files& files) {
  const auto slash = path.rfind('/');
  const auto name = slash + 1 == path.size() ? "." : path.substr(slash + 1);
  auto folder = files::Directory::find(files,
                                       slash == std::string::npos ? "."
                                       : slash == 0               ? "/"
                                                                  : path.substr(0, slash),
                                       files::Whose::anyones);
  if (!folder) return refused("cannot create", path, folder.error());
  const auto before = folder->has(name);
  if (!before && is_one_of(before.error().errno_value, {EINVAL, ELOOP, EISDIR}))
    return tl::unexpected("--record: " + path + " is there and is no regular file: name another.");
  if (!before) return refused("cannot open", path, before.error());
  LineWriter lines;
  const auto header = lines.header(
      {.daemon_version = options.daemon_version,
       .real_usec = static_cast<std::uint64_t>(
           std::chrono::duration_cast<Usec>(std::chrono::system_clock::now().time_since_epoch()).count()),
       .monotonic = monotonic_now()});
  auto log = begin_file(*folder, name, *before, header);
  if (!log) return refused("cannot create", path, log.error());
  return std::unique_ptr<Recorder>(new Recorder(std::make_unique<Shared>(
      path, std::move(options), std::move(*folder), std::move(*log), std::move(lines))));
}

Recorder::Recorder(std::unique_ptr<Shared> shared) : shared_(std::move(shared)) {
  shared_->thread = std::thread([s = shared_.get()] { s->run(); });
}

Recorder::~Recorder() {
  {
    const std::lock_guard lock(shared_->mutex);
    if (!std::exchange(shared_->over, true)) shared_->end = "stopped";
    shared_->closing = true;
    shared_->changed.notify_all();
  }
  shared_->thread.join();
}

void Recorder::add(Entry entry) {
  const std::size_t samples = samples_in(entry);
  const bool is_tick = std::holds_alternative<TickEntry>(entry);
  auto& s = *shared_;
  const std::lock_guard lock(s.mutex);
  const bool full = s.queued_samples + samples > s.options.max_queued_samples ||
                    s.queue.size() >= s.options.max_queued_ticks;
  if (s.over || full) s.dropped += is_tick ? 1 : 0;
  if (s.over) return;
  if (full) {
    s.stop("slow", s.path + " cannot be written as fast as the host is sampled");
  } else {
    s.queue.push_back(std::move(entry));
    s.queued_samples += samples;
  }
  s.changed.notify_all();
}

std::optional<std::string> Recorder::ended() {
  const std::lock_guard lock(shared_->mutex);
  return std::exchange(shared_->tell, std::nullopt);
}

std::uint64_t Recorder::dropped() const {
  const std::lock_guard lock(shared_->mutex);
  return shared_->dropped;
}

}  // namespace sluice::record
