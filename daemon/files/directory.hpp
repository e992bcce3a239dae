// Common operations on files, made of the seam's steps: one directory, whole files in it, and files that only
// grow. Use each object from one thread.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "daemon/files/files.hpp"

namespace sluice::files {

// What the result of a completed call must survive. A write that returned survives the process; only synced
// data survives the machine.
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

  // EINVAL or ELOOP: it exists but is no regular file.
  Result<bool> has(const std::string& name) const;
  // ENOENT: it does not exist.
  Result<std::string> read(const std::string& name, std::size_t most) const;
  // Replaces the text completely or not at all. Uses `name`.new meanwhile. An error after the rename (the
  // directory could not be synced) leaves the new text, which the machine may lose.
  Result<void> replace(const std::string& name, std::string_view text, Survives survives);
  Result<void> rename(const std::string& from, const std::string& to);
  // Success if it does not exist.
  Result<void> remove(const std::string& name);
  // Gives the file a second name, for damaged files to be examined later. Replaces an older file of that
  // name.
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

// A file that grows by whole appends: after a failed append the next one begins where the last whole one
// ended. The first append opens the file, so a temporary lack of descriptors does no lasting harm. Its
// directory must outlive it.
class AppendLog {
 public:
  // The first `size` bytes of the file are whole. `torn`: there is more, which is cut off before the first
  // append.
  AppendLog(const Directory& directory, const std::string& name, std::uint64_t size, bool torn = false)
      : files_(&directory.files()),
        directory_(directory.handle()),
        path_(directory.path_of(name)),
        name_(name),
        size_(size),
        torn_(torn) {}
  // For a new file. EEXIST: it exists.
  static Result<AppendLog> make(const Directory& directory, const std::string& name);
  AppendLog(AppendLog&& other) noexcept;
  AppendLog& operator=(AppendLog&& other) noexcept;
  AppendLog(const AppendLog&) = delete;
  AppendLog& operator=(const AppendLog&) = delete;
  ~AppendLog();

  // Appends all of it, or returns an error and appends nothing: see torn().
  Result<void> append(std::string_view text);
  // Cuts off what a failed append left.
  Result<void> mend();
  // True while the file ends with a part of a failed append that could not be cut off yet.
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
