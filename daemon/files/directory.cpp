#include "daemon/files/directory.hpp"

#include <cerrno>

namespace sluice::files {
namespace {

// Closes a handle at the end of a scope.
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

// `rest` is what was not written.
Result<void> write_all(Files& files, Handle file, std::string_view& rest) {
  while (!rest.empty()) {
    const auto taken = files.write(file, rest);
    if (!taken) return tl::unexpected(taken.error());
    rest.remove_prefix(*taken);
  }
  return {};
}

}  // namespace

Result<Directory> Directory::open(Files& files, const std::string& path, mode_t mode) {
  return files.open_directory(path, mode).map([&](Handle handle) { return Directory(files, path, handle); });
}

Result<Directory> Directory::find(Files& files, const std::string& path, Whose whose) {
  return files.find_directory(path, whose).map([&](Handle handle) { return Directory(files, path, handle); });
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

Result<bool> Directory::has(const std::string& name) const {
  const auto file = files_->open(handle_, name, Open::read);
  if (!file && file.error().errno_value == ENOENT) return false;
  if (!file) return tl::unexpected(named(file.error(), name));
  files_->close(*file);
  return true;
}

Result<std::string> Directory::read(const std::string& name, std::size_t most) const {
  const auto file = files_->open(handle_, name, Open::read);
  if (!file) return tl::unexpected(named(file.error(), name));
  const Closing closing(*files_, *file);
  return files_->read(*file, most).map_error([&](Error e) { return named(std::move(e), name); });
}

Result<void> Directory::write_new(const std::string& name, std::string_view text, Survives survives) {
  const auto file = files_->open(handle_, name, Open::make);
  if (!file) return tl::unexpected(file.error());
  const Closing closing(*files_, *file);
  if (auto written = write_all(*files_, *file, text); !written) return written;
  return survives == Survives::machine ? files_->sync(*file) : Result<void>{};
}

Result<void> Directory::replace(const std::string& name, std::string_view text, Survives survives) {
  const auto temporary = name + ".new";
  (void)files_->remove(handle_, temporary);
  const auto written = write_new(temporary, text, survives);
  const auto moved = written ? files_->rename(handle_, temporary, name) : written;
  if (!moved) {
    (void)files_->remove(handle_, temporary);
    return tl::unexpected(named(moved.error(), written ? name : temporary));
  }
  if (survives == Survives::process) return {};
  return files_->sync(handle_).map_error([&](Error e) { return named(std::move(e), name); });
}

Result<void> Directory::rename(const std::string& from, const std::string& to) {
  return files_->rename(handle_, from, to).map_error([&](Error e) { return named(std::move(e), from); });
}

Result<void> Directory::remove(const std::string& name) {
  const auto removed = files_->remove(handle_, name);
  if (!removed && removed.error().errno_value != ENOENT) return tl::unexpected(named(removed.error(), name));
  return {};
}

Result<void> Directory::keep_as(const std::string& name, const std::string& second) {
  (void)files_->remove(handle_, second);
  return files_->link(handle_, name, second).map_error([&](Error e) { return named(std::move(e), second); });
}

Result<AppendLog> AppendLog::make(const Directory& directory, const std::string& name) {
  AppendLog log(directory, name, 0);
  const auto file = log.files_->open(log.directory_, name, Open::make);
  if (!file) return tl::unexpected(log.named(file.error()));
  log.handle_ = *file;
  return log;
}

AppendLog::AppendLog(AppendLog&& other) noexcept
    : files_(other.files_),
      directory_(other.directory_),
      path_(std::move(other.path_)),
      name_(std::move(other.name_)),
      handle_(std::exchange(other.handle_, -1)),
      size_(other.size_),
      torn_(other.torn_) {}

AppendLog& AppendLog::operator=(AppendLog&& other) noexcept {
  std::swap(files_, other.files_);
  std::swap(directory_, other.directory_);
  std::swap(path_, other.path_);
  std::swap(name_, other.name_);
  std::swap(handle_, other.handle_);
  std::swap(size_, other.size_);
  std::swap(torn_, other.torn_);
  return *this;
}

AppendLog::~AppendLog() {
  if (handle_ >= 0) files_->close(handle_);
}

Error AppendLog::named(Error error) const {
  error.path = path_;
  return error;
}

Result<void> AppendLog::be_open() {
  if (handle_ >= 0) return {};
  const auto file = files_->open(directory_, name_, Open::append);
  if (!file) return tl::unexpected(named(file.error()));
  handle_ = *file;
  return {};
}

Result<void> AppendLog::mend() {
  if (!torn_) return {};
  if (auto opened = be_open(); !opened) return opened;
  if (const auto cut = files_->truncate(handle_, size_); !cut) return tl::unexpected(named(cut.error()));
  torn_ = false;
  return {};
}

Result<void> AppendLog::append(std::string_view text) {
  if (auto mended = mend(); !mended) return mended;
  if (auto opened = be_open(); !opened) return opened;
  auto rest = text;
  if (const auto written = write_all(*files_, handle_, rest); !written) {
    torn_ = rest.size() != text.size();
    (void)mend();
    return tl::unexpected(named(written.error()));
  }
  size_ += text.size();
  return {};
}

}  // namespace sluice::files
