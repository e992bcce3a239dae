#include "daemon/record/recorder.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <ctime>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "daemon/record/lines.hpp"

namespace sluice::record {
namespace {

constexpr std::size_t kWriteBytes = 1U << 20;
constexpr std::size_t kEndBytes = 256;  // always left for the line that says how it ended

std::string because(const std::string& what, const std::string& path, int error_number) {
  const char* words = ::strerrordesc_np(error_number);
  return what + " " + path + ": " + (words != nullptr ? words : "unknown error");
}

Nsec read_clock(clockid_t clock) {
  timespec t{};
  clock_gettime(clock, &t);
  return std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec);
}

std::size_t samples_in(const Entry& entry) {
  const auto* tick = std::get_if<TickEntry>(&entry);
  return tick != nullptr ? tick->input.tasks.size() : 0;
}

}  // namespace

// The thread owns `lines`, `written` and the descriptor; the mutex guards the rest.
struct Recorder::Shared {
  Shared(std::string p, RecorderOptions o, int f) : path(std::move(p)), options(std::move(o)), fd(f) {}
  ~Shared() { ::close(fd); }

  const std::string path;
  const RecorderOptions options;
  const int fd;
  LineWriter lines;
  std::uint64_t written = 0;

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Entry> queue;
  std::size_t queued_samples = 0;
  bool over = false;                // nothing more is taken
  std::string end;                  // what the last line will say
  std::optional<std::string> tell;  // to the daemon, once
  std::thread thread;

  // Also by the thread itself, for what it cannot write.
  void stop(std::string last_line, std::optional<std::string> sentence) {
    const std::lock_guard lock(mutex);
    if (over) return;
    over = true;
    end = std::move(last_line);
    tell = std::move(sentence);
    changed.notify_one();
  }

  bool put(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::write(fd, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) {
        stop("", "Recording ended: " + because("cannot write", path, errno) + ".");
        return false;
      }
      written += static_cast<std::uint64_t>(n);
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }

  // False: it ended here.
  bool put(const std::vector<Entry>& entries) {
    std::string bytes;
    for (const auto& entry : entries) {
      const std::string line = std::visit([&](const auto& e) { return lines.line(e); }, entry);
      if (written + bytes.size() + line.size() + kEndBytes > options.max_bytes) {
        lines.take_back();
        stop("size", "Recording ended: " + path + " has reached its " + std::to_string(options.max_bytes) +
                         " bytes (--record-max-bytes).");
        (void)put(bytes);
        return false;
      }
      bytes += line;
      if (bytes.size() < kWriteBytes) continue;
      if (!put(bytes)) return false;
      bytes.clear();
    }
    return put(bytes);
  }

  void run() {
    for (bool last = false; !last;) {
      std::vector<Entry> entries;
      {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return over || !queue.empty(); });
        entries = std::exchange(queue, {});
        queued_samples = 0;
        last = over;
      }
      if (!put(entries)) break;
    }
    std::string reason;
    {
      const std::lock_guard lock(mutex);
      reason = end;
    }
    if (!reason.empty()) (void)put(lines.line(EndEntry{reason}));
  }
};

tl::expected<std::unique_ptr<Recorder>, std::string> Recorder::open(const std::string& path,
                                                                    RecorderOptions options) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) == 0) {
    if (!S_ISREG(found.st_mode))
      return tl::unexpected("--record: " + path + " is there and is no regular file: name another.");
    if (::rename(path.c_str(), (path + ".old").c_str()) != 0)
      return tl::unexpected("--record: " + because("cannot move away", path, errno) + ".");
  }
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return tl::unexpected("--record: " + because("cannot create", path, errno) + ".");
  auto shared = std::make_unique<Shared>(path, std::move(options), fd);
  const Header header{.daemon_version = shared->options.daemon_version,
                      .real_usec = static_cast<std::uint64_t>(read_clock(CLOCK_REALTIME).count() / 1000),
                      .monotonic = read_clock(CLOCK_MONOTONIC)};
  if (!shared->put(shared->lines.header(header)))
    return tl::unexpected("--record: " + because("cannot write", path, errno) + ".");
  return std::unique_ptr<Recorder>(new Recorder(std::move(shared)));
}

Recorder::Recorder(std::unique_ptr<Shared> shared) : shared_(std::move(shared)) {
  shared_->thread = std::thread([s = shared_.get()] { s->run(); });
}

Recorder::~Recorder() {
  shared_->stop("stopped", std::nullopt);
  shared_->thread.join();
}

void Recorder::add(Entry entry) {
  const std::size_t samples = samples_in(entry);
  std::unique_lock lock(shared_->mutex);
  auto& s = *shared_;
  if (s.over) return;
  s.queue.push_back(std::move(entry));
  s.queued_samples += samples;
  if (s.queued_samples <= s.options.max_queued_samples && s.queue.size() <= s.options.max_queued_ticks) {
    s.changed.notify_one();
    return;
  }
  s.queue.pop_back();
  lock.unlock();
  s.stop("slow", "Recording ended: " + s.path + " cannot be written as fast as the host is sampled.");
}

std::optional<std::string> Recorder::ended() {
  const std::lock_guard lock(shared_->mutex);
  return std::exchange(shared_->tell, std::nullopt);
}

}  // namespace sluice::record
