#include "cgroups/root.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include <array>
#include <cerrno>
#include <cstdio>

namespace sluice::cgroups {
namespace {

std::string what_it_is(const std::string& path, long type) {
  // On a hybrid host the v2 tree is mounted beside the v1 controllers and has no controllers.
  struct statfs unified = {};
  if (::statfs((path + "/unified").c_str(), &unified) == 0 && unified.f_type == CGROUP2_SUPER_MAGIC) {
    return "a hybrid host: the controllers are cgroup v1's";
  }
  if (type == CGROUP_SUPER_MAGIC) return "a cgroup v1 controller";
  if (type == TMPFS_MAGIC) return "a tmpfs, as where cgroup v1 is mounted or nothing is";
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "file system type %#lx", static_cast<unsigned long>(type));
  return text.data();
}

}  // namespace

Result<Root> Root::open(const std::string& path, Verify verify) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) {
    const int error = errno;
    return tl::unexpected(
        Error{error, path, error == ENOENT ? "there is no cgroup root at" : "open the cgroup root"});
  }
  struct statfs fs = {};
  if (::fstatfs(fd.get(), &fs) != 0) return tl::unexpected(Error{errno, path, "ask the file system type of"});
  const bool is_cgroup2 = fs.f_type == CGROUP2_SUPER_MAGIC;
  if (verify == Verify::cgroup2 && !is_cgroup2) {
    return tl::unexpected(Error{ENOTSUP, path,
                                "cgroup v2 is needed, and this is " +
                                    what_it_is(path, static_cast<long>(fs.f_type)) +
                                    " (boot with systemd.unified_cgroup_hierarchy=1):"});
  }
  return Root(std::move(fd), path, is_cgroup2);
}

}  // namespace sluice::cgroups
