#include "daemon/actuate/single_instance.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>

#include "daemon/files/files.hpp"

namespace sluice::actuate {
namespace {

using cgroups::Error;
using cgroups::Fd;

// The digits a holder wrote. It may be between taking the lock and writing them: then there are none.
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
  Fd lock(::openat(dir.get(), "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!lock) return tl::unexpected(Error{errno, path, "open the lock"});
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    if (error != EWOULDBLOCK) return tl::unexpected(Error{error, path, "lock"});
    const auto pid = pid_in(lock.get());
    return tl::unexpected(Error{error, path,
                                "another sluiced governs this host, " +
                                    (pid.empty() ? std::string("pid unknown") : "pid " + pid) +
                                    "; it holds"});
  }
  // The file stays when its holder ends: removing it would race with the next one's opening it.
  // The lock is what counts, and the pid a courtesy: on a full disk there is none, and baselines are given
  // back all the same.
  const auto pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(lock.get(), 0) != 0 ||
      ::pwrite(lock.get(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    [[maybe_unused]] const int cut = ::ftruncate(lock.get(), 0);
  }
  return SingleInstance(std::move(lock));
}

}  // namespace sluice::actuate
