// The seam below everything that the daemon keeps in files: lease, holds, profiles, recordings. Each method
// is one system call that may fail, so that a test can fail every step in turn
// (tests/support/fake_files.hpp). Errors keep their errno and name the path. As thread-safe as the system
// calls.
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
  read,    // the file must exist
  append,  // created if missing; every write goes to its end
  make,    // like append, but the file must not exist: EEXIST
};

// Requirement on the owner of a directory.
enum class Whose : std::uint8_t {
  ours,     // this user's, and no other user may change its content: EPERM
  anyones,  // any; the user named it
};

class Files {
 public:
  Files() = default;
  Files(const Files&) = delete;
  Files& operator=(const Files&) = delete;
  virtual ~Files() = default;

  // Opens a directory of ours. Creates it with `mode` if it is missing; its parent must exist.
  virtual Result<Handle> open_directory(const std::string& path, mode_t mode) = 0;
  // Opens an existing directory. ENOENT: it does not exist.
  virtual Result<Handle> find_directory(const std::string& path, Whose whose) = 0;
  // Regular files only: no symbolic link is followed, and a FIFO in its place does not block: EINVAL.
  virtual Result<Handle> open(Handle directory, const std::string& name, Open how) = 0;
  virtual void close(Handle handle) = 0;

  // At most `most` bytes from the start; a longer file gives EFBIG.
  virtual Result<std::string> read(Handle file, std::size_t most) = 0;
  // Returns the number of bytes written: less than given if the disk became full, but at least 1.
  virtual Result<std::size_t> write(Handle file, std::string_view text) = 0;
  virtual Result<void> truncate(Handle file, std::uint64_t size) = 0;
  virtual Result<void> sync(Handle file_or_directory) = 0;
  virtual Result<void> rename(Handle directory, const std::string& from, const std::string& to) = 0;
  virtual Result<void> link(Handle directory, const std::string& from, const std::string& to) = 0;
  virtual Result<void> remove(Handle directory, const std::string& name) = 0;
};

// The process's own files. One instance, which exists until the process ends.
Files& posix_files();

}  // namespace sluice::files
