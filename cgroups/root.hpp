// The root of a cgroup tree, as a directory fd. Tests pass another tree here.
#pragma once

#include <string>

#include "cgroups/error.hpp"
#include "cgroups/fd.hpp"

namespace sluice::cgroups {

enum class Verify {
  cgroup2,  // refuse anything but a cgroup v2 mount
  none,     // a simulated tree: FUSE or plain directories
};

class Root {
 public:
  // ENOENT, ENOTDIR, EACCES: from open(2). ENOTSUP: not cgroup v2; `what` describes what it seems to be, and
  // the cure.
  static Result<Root> open(const std::string& path, Verify verify);

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] bool is_cgroup2() const { return is_cgroup2_; }

 private:
  Root(Fd fd, std::string path, bool is_cgroup2)
      : fd_(std::move(fd)), path_(std::move(path)), is_cgroup2_(is_cgroup2) {}

  Fd fd_;
  std::string path_;
  bool is_cgroup2_ = false;
};

}  // namespace sluice::cgroups
