// What is done to files more than once, made of the seam's steps: one directory of the daemon's own, whole files in
// it, and files that only grow. One thread each.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "daemon/files/files.hpp"

namespace sluice::files {

// What a completed call has to survive. A write that returned survives the process; only what was synced survives the
// machine.
enum class Survives : std::uint8_t { process, machine };

class Directory {
 public:
  static Result<Directory> open(Files& files, const std::string& path, mode_t mode);
  Directory(Directory&& other) noexcept
      : files_(other.files_), path_(std::move(other.path_)), handle_(std::exchange(other.handle_, -1)) {}
  Directory& operator=(Directory&&) = delete;
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  ~Directory();

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string path_of(std::string_view name) const;

  // ENOENT: there is none.
  Result<std::string> read(const std::string& name, std::size_t most) const;
  // The new text, or the old one: never a part. `name`.new is used on the way.
  Result<void> replace(const std::string& name, std::string_view text, Survives survives);
  Result<void> remove(const std::string& name);
  // A second name, for what is damaged and may be looked at later. An older one of that name gives way.
  Result<void> keep_as(const std::string& name, const std::string& second);

  Files& files() const { return *files_; }
  [[nodiscard]] Handle handle() const { return handle_; }

 private:
  Directory(Files& files, std::string path, Handle handle)
      : files_(&files), path_(std::move(path)), handle_(handle) {}
  Error named(Error error, const std::string& name) const;

  Files* files_;
  std::string path_;
  Handle handle_ = -1;
};

// A file that grows by whole appends: after one that failed, the next begins where the last whole one ended.
class AppendLog {
 public:
  // `size`: of what is whole in it.
  static Result<AppendLog> open(const Directory& directory, const std::string& name, std::uint64_t size);
  AppendLog(AppendLog&& other) noexcept
      : files_(other.files_), path_(std::move(other.path_)), handle_(std::exchange(other.handle_, -1)),
        size_(other.size_), torn_(other.torn_) {}
  AppendLog& operator=(AppendLog&& other) noexcept;
  AppendLog(const AppendLog&) = delete;
  AppendLog& operator=(const AppendLog&) = delete;
  ~AppendLog();

  // All of it, or an error and, as far as the file shows, nothing of it.
  Result<void> append(std::string_view text);
  [[nodiscard]] std::uint64_t size() const { return size_; }

 private:
  AppendLog(Files& files, std::string path, Handle handle, std::uint64_t size)
      : files_(&files), path_(std::move(path)), handle_(handle), size_(size) {}

  Files* files_;
  std::string path_;
  Handle handle_ = -1;
  std::uint64_t size_ = 0;
  bool torn_ = false;  // more is in it than `size_`
};

}  // namespace sluice::files
