// The model's tree as a mounted cgroup2 filesystem that follows the monotonic clock (libfuse3, low-level).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <tl/expected.hpp>

#include "tests/simhost/files.hpp"

namespace sluice::simhost {

struct FuseOptions {
  std::string mountpoint;
  bool read_only = false;
  bool allow_other = true;  // other users may read it; needs root, or user_allow_other in /etc/fuse.conf
  PsiTriggerRules psi;
};

// Faults injected by a test, per (cgroup, file).
struct Faults {
  int write_errno = 0;
  int read_errno = 0;
  int block_ms = 0;  // a write is carried out, and answered after this time (or at a signal)
  // A write waits until the fault ends, even on signals, as in the kernel's uninterruptible sleep.
  bool hang_after = false;   // carried out at once, answered when the fault ends
  bool hang_before = false;  // carried out when the fault ends
};

class FuseFs {
 public:
  // Mounts, and serves from its own thread until this object is destroyed, which unmounts.
  static tl::expected<std::unique_ptr<FuseFs>, std::string> mount(Host& host, const FuseOptions& options);
  ~FuseFs();
  FuseFs(const FuseFs&) = delete;
  FuseFs& operator=(const FuseFs&) = delete;

  // Runs `action` with exclusive access to the host, advanced to the present. While mounted, the host must
  // not be accessed otherwise.
  void with_host(const std::function<void(Host&)>& action);
  // Call only within with_host().
  void set_fault(const Cgroup& cgroup, File file, const Faults& faults);
  // Wakes all polls on files of this cgroup. With `file`, an armed PSI trigger fires, or an event is counted.
  void wake(const Cgroup& cgroup, std::optional<File> file);
  // The same for removed cgroups, so that their readers notice it.
  void wake_removed(const std::vector<CgroupId>& gone);
  // True if it was unmounted from outside.
  bool ended() const;

  class Impl;

 private:
  explicit FuseFs(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::simhost
