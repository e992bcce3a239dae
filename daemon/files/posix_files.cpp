#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>

#include "cgroups/fd.hpp"
#include "daemon/files/files.hpp"

namespace sluice::files {
namespace {

tl::unexpected<Error> failed(const std::string& path, const char* what) {
  return tl::unexpected(Error{errno, path, what});
}

class PosixFiles final : public Files {
 public:
  Result<Handle> open_directory(const std::string& path, mode_t mode) override {
    if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) return failed(path, "make the directory");
    return find_directory(path, Whose::ours);
  }

  Result<Handle> find_directory(const std::string& path, Whose whose) override {
    cgroups::Fd dir(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!dir) return failed(path, "open the directory");
    if (whose == Whose::anyones) return dir.release();
    struct stat status = {};
    if (::fstat(dir.get(), &status) != 0) return failed(path, "stat the directory");
    if (status.st_uid != ::geteuid() || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
      return tl::unexpected(
          Error{EPERM, path, "others can write to the directory (chown it to this user, chmod go-w)"});
    }
    return dir.release();
  }

  Result<Handle> open(Handle directory, const std::string& name, Open how) override {
    int flags = O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    switch (how) {
      case Open::read:
        flags |= O_RDONLY;
        break;
      case Open::append:
        flags |= O_WRONLY | O_CREAT | O_APPEND;
        break;
      case Open::make:
        flags |= O_WRONLY | O_CREAT | O_EXCL | O_APPEND;
        break;
    }
    cgroups::Fd file(::openat(directory, name.c_str(), flags, 0600));
    const auto irregular = [&] {
      return tl::unexpected(Error{EINVAL, name, "open what is no regular file"});
    };
    if (!file && errno == ENXIO) return irregular();  // a FIFO without a reader, or a socket
    if (!file) return failed(name, "open");
    struct stat status = {};
    if (::fstat(file.get(), &status) != 0) return failed(name, "stat");
    if (!S_ISREG(status.st_mode)) return irregular();
    return file.release();
  }

  void close(Handle handle) override { ::close(handle); }

  Result<std::string> read(Handle file, std::size_t most) override {
    std::string text;
    std::array<char, std::size_t{16} << 10> chunk;
    while (text.size() <= most) {
      const ssize_t n = ::pread(file, chunk.data(), chunk.size(), static_cast<off_t>(text.size()));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return failed({}, "read");
      if (n == 0) return text;
      text.append(chunk.data(), static_cast<std::size_t>(n));
    }
    return tl::unexpected(Error{EFBIG, {}, "read"});
  }

  Result<std::size_t> write(Handle file, std::string_view text) override {
    std::size_t taken = 0;
    while (taken < text.size()) {
      const ssize_t n = ::write(file, text.data() + taken, text.size() - taken);
      if (n < 0 && errno == EINTR) continue;
      if (n == 0) errno = ENOSPC;  // no file system does that; prevents an endless loop in callers
      if (n <= 0 && taken == 0) return failed({}, "write");
      if (n <= 0) return taken;  // the next call returns the error
      taken += static_cast<std::size_t>(n);
    }
    return taken;
  }

  Result<void> truncate(Handle file, std::uint64_t size) override {
    return check(::ftruncate(file, static_cast<off_t>(size)), "truncate");
  }
  Result<void> sync(Handle handle) override { return check(::fsync(handle), "sync"); }
  Result<void> rename(Handle directory, const std::string& from, const std::string& to) override {
    return check(::renameat(directory, from.c_str(), directory, to.c_str()), "replace", to);
  }
  Result<void> link(Handle directory, const std::string& from, const std::string& to) override {
    return check(::linkat(directory, from.c_str(), directory, to.c_str(), 0), "link", to);
  }
  Result<void> remove(Handle directory, const std::string& name) override {
    return check(::unlinkat(directory, name.c_str(), 0), "remove", name);
  }

 private:
  static Result<void> check(int result, const char* what, const std::string& path = {}) {
    if (result != 0) return failed(path, what);
    return {};
  }
};

}  // namespace

Files& posix_files() {
  static PosixFiles files;
  return files;
}

}  // namespace sluice::files
