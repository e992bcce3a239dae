#include "daemon/actuate/single_instance.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>

#include "daemon/files/files.hpp"

namespace sluice::actuate {
namespace {

using cgroups::Error;
using cgroups::Fd;

// The pid that the holder wrote. Empty between its locking and its writing.
std::string pid_in(int fd) {
  std::array<char, 16> text{};
  const ssize_t n = ::pread(fd, text.data(), text.size(), 0);
  const std::string_view read(text.data(), n > 0 ? static_cast<std::size_t>(n) : 0);
  return std::string(read.substr(0, read.find_first_not_of("0123456789")));
}

}  // namespace

cgroups::Result<SingleInstance> SingleInstance::acquire(const std::string& runtime_dir) {
  const auto opened = files::posix_files().open_directory(runtime_dir, 0755);
  if (!opened) return tl::unexpected(opened.error());
  const Fd dir(*opened);
  const auto path = runtime_dir + "/lock";
  Fd lock(::openat(dir.get(), "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644));
  if (!lock) return tl::unexpected(Error{errno, path, "open the lock"});
  struct stat status = {};
  if (::fstat(lock.get(), &status) != 0) return tl::unexpected(Error{errno, path, "stat the lock"});
  if (!S_ISREG(status.st_mode))
    return tl::unexpected(Error{EINVAL, path, "lock what is no regular file (remove it)"});
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    if (error != EWOULDBLOCK) return tl::unexpected(Error{error, path, "lock"});
    const auto pid = pid_in(lock.get());
    return tl::unexpected(Error{error, path,
                                "another sluiced governs this host, " +
                                    (pid.empty() ? std::string("pid unknown") : "pid " + pid) +
                                    "; it holds"});
  }
  // The file stays when its holder ends, because removing it would race with the next process that opens it.
  // Only the lock counts; the pid is information. On a full disk it is missing, and baselines can still be
  // restored.
  const auto pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(lock.get(), 0) != 0 ||
      ::pwrite(lock.get(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    [[maybe_unused]] const int cut = ::ftruncate(lock.get(), 0);
  }
  return SingleInstance(std::move(lock));
}

}  // namespace sluice::actuate
