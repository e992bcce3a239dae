#include "daemon/record/profile_store.hpp"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>
#include <utility>

#include "daemon/decide/forecast.hpp"
#include "daemon/record/codec.hpp"
#include "daemon/record/lines.hpp"

namespace sluice::record {
namespace {

constexpr std::string_view kVersion = "forecast1";
constexpr std::string_view kComment = "# What Sluice has learned of its tasks' seasons. Made by sluiced.\n";
constexpr std::size_t kSizeMost = 256U << 20;  // ten thousand tasks take some 60 MB
constexpr std::size_t kBadTold = 5;

std::string words_of(int error_number) {
  const char* words = ::strerrordesc_np(error_number);
  return words != nullptr ? words : "unknown error";
}

// Empty, or why it is none.
std::string parse_line(std::string_view line, NamedProfile& out) {
  const auto body = unsealed(line);
  if (!body) return body.error();
  const auto kind = body->substr(0, body->find(' '));
  if (kind != kVersion) return "of another version";
  Decoder in(body->substr(kind.size()));
  in(out);
  if (!in.good()) return in.what();
  if (!in.at_end()) return "more on it than belongs there";
  return plausible(out.profile) ? "" : "no profile that can be";
}

class File {
 public:
  File(const std::string& path, int flags)
      : fd_(::open(path.c_str(), flags | O_NOFOLLOW | O_CLOEXEC, 0600)) {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

// An errno, or 0.
int read_all(int fd, std::string& text) {
  std::array<char, std::size_t{16} << 10> chunk{};
  for (;;) {
    const ssize_t n = ::read(fd, chunk.data(), chunk.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    if (n == 0) return 0;
    text.append(chunk.data(), static_cast<std::size_t>(n));
    if (text.size() > kSizeMost) return EFBIG;
  }
}

int write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return ::fsync(fd) == 0 ? 0 : errno;
}

// Atomic: whoever reads it finds the old one or the new one. An errno, or 0.
int replace(const std::string& path, std::string_view text) {
  const std::string fresh = path + ".new";
  ::unlink(fresh.c_str());
  const File file(fresh, O_WRONLY | O_CREAT | O_EXCL);
  int error = file.fd() < 0 ? errno : write_all(file.fd(), text);
  if (error == 0 && ::rename(fresh.c_str(), path.c_str()) != 0) error = errno;
  if (error != 0) ::unlink(fresh.c_str());
  return error;
}

}  // namespace

std::string format_profiles(std::span<const NamedProfile> profiles) {
  std::string text(kComment);
  for (const auto& each : profiles) {
    std::string line(kVersion);
    Encoder{line}(each);
    text += sealed(std::move(line));
  }
  return text;
}

ProfileText parse_profiles(std::string_view text) {
  ProfileText out;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.empty() || line.front() == '#') continue;
    NamedProfile profile;
    if (const auto why = parse_line(line, profile); why.empty()) {
      out.profiles.push_back(std::move(profile));
    } else {
      out.bad.push_back("line " + std::to_string(number) + " (" + why + ")");
    }
  }
  return out;
}

// The mutex guards all but the path.
struct ProfileStore::Shared {
  explicit Shared(std::string p) : path(std::move(p)) {}

  const std::string path;
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<std::vector<NamedProfile>> next;
  bool over = false, failing = false;
  std::optional<std::string> tell;
  std::thread thread;

  void run() {
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [&] { return over || next; });
      if (!next) return;
      const auto profiles = *std::exchange(next, std::nullopt);
      lock.unlock();
      const int error = replace(path, format_profiles(profiles));
      lock.lock();
      if (error != 0 && !failing)
        tell =
            path + " cannot be written, so what forecasts learn ends with this run: " + words_of(error) + ".";
      failing = error != 0;
    }
  }
};

ProfileStore::ProfileStore(std::string path) : shared_(std::make_unique<Shared>(std::move(path))) {
  shared_->thread = std::thread([s = shared_.get()] { s->run(); });
}

ProfileStore::~ProfileStore() {
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->over = true;
    shared_->changed.notify_one();
  }
  shared_->thread.join();
}

ProfileStore::Loaded ProfileStore::load() const {
  Loaded out;
  const auto& path = shared_->path;
  const auto corrupt = path + ".corrupt";
  std::string text;
  const File file(path, O_RDONLY);
  if (file.fd() < 0 && errno == ENOENT) return out;
  if (const int error = file.fd() < 0 ? errno : read_all(file.fd(), text); error != 0) {
    out.notice = path + " cannot be read, so forecasts begin anew: " + words_of(error) + ".";
    return out;
  }
  auto parsed = parse_profiles(text);
  out.profiles = std::move(parsed.profiles);
  if (parsed.bad.empty()) return out;
  std::string bad;
  for (std::size_t i = 0; i < parsed.bad.size() && i < kBadTold; ++i)
    bad += (bad.empty() ? "" : ", ") + parsed.bad[i];
  const bool kept = ::rename(path.c_str(), corrupt.c_str()) == 0;
  out.notice = path + ": " + std::to_string(parsed.bad.size()) +
               " damaged or foreign line(s) ignored: " + bad +
               (parsed.bad.size() > kBadTold ? " and more" : "") + "; what was learned of " +
               std::to_string(out.profiles.size()) + " task(s) is intact; " +
               (kept ? "the file was kept as " + corrupt + "." : "the file could not be kept aside.");
  return out;
}

void ProfileStore::save(std::vector<NamedProfile> profiles) {
  const std::lock_guard lock(shared_->mutex);
  shared_->next = std::move(profiles);
  shared_->changed.notify_one();
}

std::optional<std::string> ProfileStore::failed() {
  const std::lock_guard lock(shared_->mutex);
  return std::exchange(shared_->tell, std::nullopt);
}

}  // namespace sluice::record
