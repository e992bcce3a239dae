// What is done to files more than once, made of the seam's steps: one directory, whole files in it, and files
// that only grow. One thread each.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "daemon/files/files.hpp"

namespace sluice::files {

// What a completed call has to survive. A write that returned survives the process; only what was synced
// survives the machine.
enum class Survives : std::uint8_t { process, machine };

class Directory {
 public:
  // See Files::open_directory and find_directory.
  static Result<Directory> open(Files& files, const std::string& path, mode_t mode);
  static Result<Directory> find(Files& files, const std::string& path, Whose whose);
  Directory(Directory&& other) noexcept
      : files_(other.files_), path_(std::move(other.path_)), handle_(std::exchange(other.handle_, -1)) {}
  Directory& operator=(Directory&&) = delete;
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  ~Directory();

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string path_of(std::string_view name) const;

  // EINVAL or ELOOP: what is there is no regular file.
  Result<bool> has(const std::string& name) const;
  // ENOENT: there is none.
  Result<std::string> read(const std::string& name, std::size_t most) const;
  // The new text, or the old one: never a part. `name`.new is used on the way. An error after the rename (the
  // directory could not be synced) leaves the new one, and the machine may forget it.
  Result<void> replace(const std::string& name, std::string_view text, Survives survives);
  Result<void> rename(const std::string& from, const std::string& to);
  // None to begin with is success.
  Result<void> remove(const std::string& name);
  // A second name, for what is damaged and may be examined later. An older one of that name gives way.
  Result<void> keep_as(const std::string& name, const std::string& second);

  Files& files() const { return *files_; }
  [[nodiscard]] Handle handle() const { return handle_; }

 private:
  Directory(Files& files, std::string path, Handle handle)
      : files_(&files), path_(std::move(path)), handle_(handle) {}
  Result<void> write_new(const std::string& name, std::string_view text, Survives survives);
  Error named(Error error, const std::string& name) const;

  Files* files_;
  std::string path_;
  Handle handle_ = -1;
};

// A file that grows by whole appends: after one that failed, the next begins where the last whole one ended.
// It is opened by the first append, so that having no descriptor left today does no harm tomorrow. Its
// directory outlives it.
class AppendLog {
 public:
  // The first `size` bytes of the file are whole; `torn`: more is in it, and is cut off before anything is
  // appended.
  AppendLog(const Directory& directory, const std::string& name, std::uint64_t size, bool torn = false)
      : files_(&directory.files()),
        directory_(directory.handle()),
        path_(directory.path_of(name)),
        name_(name),
        size_(size),
        torn_(torn) {}
  // Of a new file. EEXIST: there is one.
  static Result<AppendLog> make(const Directory& directory, const std::string& name);
  AppendLog(AppendLog&& other) noexcept;
  AppendLog& operator=(AppendLog&& other) noexcept;
  AppendLog(const AppendLog&) = delete;
  AppendLog& operator=(const AppendLog&) = delete;
  ~AppendLog();

  // All of it, or an error and nothing of it: see torn().
  Result<void> append(std::string_view text);
  // Cuts off what a failed append left.
  Result<void> mend();
  // The file has more than its whole appends, for now: a part of one that failed, which could not be cut off
  // yet.
  [[nodiscard]] bool torn() const { return torn_; }
  [[nodiscard]] std::uint64_t size() const { return size_; }  // of its whole appends

 private:
  Result<void> be_open();
  Error named(Error error) const;

  Files* files_;
  Handle directory_ = -1;
  std::string path_, name_;
  Handle handle_ = -1;
  std::uint64_t size_ = 0;
  bool torn_ = false;
};

}  // namespace sluice::files
