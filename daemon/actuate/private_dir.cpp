#include "daemon/actuate/private_dir.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace sluice::actuate {

using cgroups::Error;
using cgroups::Fd;

cgroups::Result<Fd> open_own_directory(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) {
    return tl::unexpected(Error{errno, path, "make the directory"});
  }
  Fd dir(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir) return tl::unexpected(Error{errno, path, "open the directory"});
  struct stat status = {};
  if (::fstat(dir.get(), &status) != 0) return tl::unexpected(Error{errno, path, "stat the directory"});
  if (status.st_uid != ::geteuid() || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return tl::unexpected(
        Error{EPERM, path, "others can write to the directory (chown it to this user, chmod go-w)"});
  }
  return dir;
}

}  // namespace sluice::actuate
