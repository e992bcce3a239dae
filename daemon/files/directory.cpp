#include "daemon/files/directory.hpp"

#include <cerrno>

namespace sluice::files {
namespace {

// A handle until the end of a scope.
class Closing {
 public:
  Closing(Files& files, Handle handle) : files_(files), handle_(handle) {}
  Closing(const Closing&) = delete;
  Closing& operator=(const Closing&) = delete;
  ~Closing() { files_.close(handle_); }

 private:
  Files& files_;
  Handle handle_;
};

}  // namespace

Result<Directory> Directory::open(Files& files, const std::string& path, mode_t mode) {
  return files.open_directory(path, mode).map([&](Handle handle) { return Directory(files, path, handle); });
}

Directory::~Directory() {
  if (handle_ >= 0) files_->close(handle_);
}

std::string Directory::path_of(std::string_view name) const {
  return path_ + "/" + std::string(name);
}

Error Directory::named(Error error, const std::string& name) const {
  error.path = path_of(name);
  return error;
}

Result<std::string> Directory::read(const std::string& name, std::size_t most) const {
  const auto file = files_->open(handle_, name, Open::read);
  if (!file) return tl::unexpected(named(file.error(), name));
  const Closing closing(*files_, *file);
  return files_->read(*file, most).map_error([&](Error e) { return named(std::move(e), name); });
}

Result<void> Directory::replace(const std::string& name, std::string_view text, Survives survives) {
  const auto temporary = name + ".new";
  (void)files_->remove(handle_, temporary);
  const auto written = [&]() -> Result<void> {
    const auto file = files_->open(handle_, temporary, Open::make);
    if (!file) return tl::unexpected(named(file.error(), temporary));
    const Closing closing(*files_, *file);
    for (auto rest = text; !rest.empty();) {
      const auto taken = files_->write(*file, rest);
      if (!taken) return tl::unexpected(named(taken.error(), temporary));
      rest.remove_prefix(*taken);
    }
    if (survives == Survives::machine) {
      if (auto synced = files_->sync(*file); !synced) return tl::unexpected(named(synced.error(), temporary));
    }
    if (auto moved = files_->rename(handle_, temporary, name); !moved)
      return tl::unexpected(named(moved.error(), name));
    return {};
  }();
  if (!written) {
    (void)files_->remove(handle_, temporary);
    return written;
  }
  if (survives == Survives::machine) {
    if (auto synced = files_->sync(handle_); !synced) return tl::unexpected(named(synced.error(), name));
  }
  return {};
}

Result<void> Directory::remove(const std::string& name) {
  auto removed = files_->remove(handle_, name);
  if (!removed && removed.error().errno_value != ENOENT) return tl::unexpected(named(removed.error(), name));
  return {};
}

Result<void> Directory::keep_as(const std::string& name, const std::string& second) {
  (void)files_->remove(handle_, second);
  return files_->link(handle_, name, second).map_error([&](Error e) { return named(std::move(e), second); });
}

Result<AppendLog> AppendLog::open(const Directory& directory, const std::string& name, std::uint64_t size) {
  auto file = directory.files().open(directory.handle(), name, Open::append);
  if (!file) {
    file.error().path = directory.path_of(name);
    return tl::unexpected(file.error());
  }
  return AppendLog(directory.files(), directory.path_of(name), *file, size);
}

AppendLog& AppendLog::operator=(AppendLog&& other) noexcept {
  std::swap(files_, other.files_);
  std::swap(path_, other.path_);
  std::swap(handle_, other.handle_);
  std::swap(size_, other.size_);
  std::swap(torn_, other.torn_);
  return *this;
}

AppendLog::~AppendLog() {
  if (handle_ >= 0) files_->close(handle_);
}

Result<void> AppendLog::append(std::string_view text) {
  const auto named = [&](Error e) {
    e.path = path_;
    return e;
  };
  if (torn_) {
    if (auto cut = files_->truncate(handle_, size_); !cut) return tl::unexpected(named(cut.error()));
    torn_ = false;
  }
  for (auto rest = text; !rest.empty();) {
    const auto taken = files_->write(handle_, rest);
    if (!taken) {
      torn_ = rest.size() != text.size();
      if (torn_ && files_->truncate(handle_, size_)) torn_ = false;
      return tl::unexpected(named(taken.error()));
    }
    if (*taken == 0) return tl::unexpected(Error{ENOSPC, path_, "write"});
    rest.remove_prefix(*taken);
    torn_ = !rest.empty();
  }
  size_ += text.size();
  return {};
}

}  // namespace sluice::files
