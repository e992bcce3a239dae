// The one seam under everything the daemon keeps in files: the lease, holds, profiles, recordings. Steps, not
// wishes: each is one system call that may fail, so that a test can fail every step in turn
// (tests/support/fake_files.hpp). Errors keep their errno and name the path. Thread-safe as the system calls
// are.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "cgroups/error.hpp"

namespace sluice::files {

using cgroups::Error;
using cgroups::Result;

using Handle = int;  // of an open file or directory; closed by its owner

enum class Open : std::uint8_t {
  read,    // it must exist
  append,  // made when it is missing; every write goes to its end
  make,    // the same, but it must not exist: EEXIST
};

// Whose a directory that is used must be.
enum class Whose : std::uint8_t {
  ours,     // this user's, and nobody else may change what is in it: EPERM
  anyones,  // somebody named it
};

class Files {
 public:
  Files() = default;
  Files(const Files&) = delete;
  Files& operator=(const Files&) = delete;
  virtual ~Files() = default;

  // One of ours. Makes it (with `mode`) when it is missing; its parent must exist.
  virtual Result<Handle> open_directory(const std::string& path, mode_t mode) = 0;
  // One that is there. ENOENT: there is none.
  virtual Result<Handle> find_directory(const std::string& path, Whose whose) = 0;
  // Regular files only, no symbolic link is followed, and a FIFO in its place does not block: EINVAL.
  virtual Result<Handle> open(Handle directory, const std::string& name, Open how) = 0;
  virtual void close(Handle handle) = 0;

  // At most so many bytes from the start; more are EFBIG.
  virtual Result<std::string> read(Handle file, std::size_t most) = 0;
  // How many bytes were taken: fewer than given when the disk is full in the middle, and never none of some.
  virtual Result<std::size_t> write(Handle file, std::string_view text) = 0;
  virtual Result<void> truncate(Handle file, std::uint64_t size) = 0;
  virtual Result<void> sync(Handle file_or_directory) = 0;
  virtual Result<void> rename(Handle directory, const std::string& from, const std::string& to) = 0;
  virtual Result<void> link(Handle directory, const std::string& from, const std::string& to) = 0;
  virtual Result<void> remove(Handle directory, const std::string& name) = 0;
};

// The process's own. One instance, alive for as long as the process.
Files& posix_files();

}  // namespace sluice::files
