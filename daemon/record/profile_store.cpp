#include "daemon/record/profile_store.hpp"

#include <algorithm>
#include <cerrno>
#include <condition_variable>
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
constexpr std::size_t kSizeMost = 256U << 20;  // ten thousand tasks need about 60 MB
constexpr std::size_t kBadTold = 5;

// Returns an error; empty: none.
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

// The mutex protects all members that are not constant.
struct ProfileStore::Shared {
  Shared(const std::string& path, files::Files& f) : files(f) {
    const auto slash = path.rfind('/');
    folder = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
    name = path.substr(slash + 1);
  }

  files::Files& files;
  std::string folder, name;
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<std::vector<NamedProfile>> next;
  bool over = false, failing = false;
  std::optional<std::string> tell;
  std::thread thread;

  // The folder is opened for each write: it may be mounted or removed while the daemon runs.
  files::Result<void> write(const std::vector<NamedProfile>& profiles) {
    return files::Directory::open(files, folder, 0700).and_then([&](files::Directory d) {
      return d.replace(name, format_profiles(profiles), files::Survives::machine);
    });
  }

  void run() {
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [&] { return over || next; });
      if (!next) return;
      const auto profiles = *std::exchange(next, std::nullopt);
      lock.unlock();
      const auto written = write(profiles);
      lock.lock();
      if (!written && !failing)
        tell =
            "What forecasts learn cannot be saved, so it ends with this run: " + describe(written.error()) +
            ".";
      failing = !written;
    }
  }
};

ProfileStore::ProfileStore(const std::string& path, files::Files& files)
    : shared_(std::make_unique<Shared>(path, files)) {
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
  const auto& name = shared_->name;
  const auto corrupt = name + ".corrupt";
  auto folder = files::Directory::find(shared_->files, shared_->folder, files::Whose::ours);
  const auto text = folder ? folder->read(name, kSizeMost) : tl::unexpected(folder.error());
  if (!text && text.error().errno_value == ENOENT) return out;
  const auto keep_aside = [&] {
    return folder->keep_as(name, corrupt) ? "the file was kept as " + folder->path_of(corrupt) + "."
                                          : std::string("the file could not be kept aside.");
  };
  if (!text) {
    out.notice = "Forecasts begin anew: " + describe(text.error()) + (folder ? "; " + keep_aside() : ".");
    return out;
  }
  auto parsed = parse_profiles(*text);
  out.profiles = std::move(parsed.profiles);
  if (parsed.bad.empty()) return out;
  std::string bad;
  for (std::size_t i = 0; i < parsed.bad.size() && i < kBadTold; ++i)
    bad += (bad.empty() ? "" : ", ") + parsed.bad[i];
  out.notice = folder->path_of(name) + ": " + std::to_string(parsed.bad.size()) +
               " damaged or foreign line(s) ignored: " + bad +
               (parsed.bad.size() > kBadTold ? " and more" : "") + "; what was learned of " +
               std::to_string(out.profiles.size()) + " task(s) is intact; " + keep_aside();
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
