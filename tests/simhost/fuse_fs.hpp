// The model's tree as a mounted cgroup2 filesystem, moving with the monotonic clock (libfuse3, low-level).
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
  bool allow_other = true;  // other users may look in; needs root, or user_allow_other in /etc/fuse.conf
  PsiTriggerRules psi;
};

// Faults that a test asks for, kept by (cgroup, file).
struct Faults {
  int write_errno = 0;
  int read_errno = 0;
  int block_ms = 0;  // a write is carried out, then answered so much later (sooner on a signal)
  // A write waits until the fault ends, signals or not, as in the kernel's uninterruptible sleep.
  bool hang_after = false;   // carried out at once, and answered then
  bool hang_before = false;  // carried out then
};

class FuseFs {
 public:
  // Mounts, and serves from a thread of its own until this object dies, which unmounts.
  static tl::expected<std::unique_ptr<FuseFs>, std::string> mount(Host& host, const FuseOptions& options);
  ~FuseFs();
  FuseFs(const FuseFs&) = delete;
  FuseFs& operator=(const FuseFs&) = delete;

  // Runs `action` with the host to itself, brought up to the present. While mounted, touch the host in no
  // other way.
  void with_host(const std::function<void(Host&)>& action);
  // Within with_host() only.
  void set_fault(const Cgroup& cgroup, File file, const Faults& faults);
  // Every poll on files of this cgroup looks again; with `file`, an armed PSI trigger fires or an event
  // counts.
  void wake(const Cgroup& cgroup, std::optional<File> file);
  // The same for cgroups that are gone: their readers learn it.
  void wake_removed(const std::vector<CgroupId>& gone);
  // Whether somebody else unmounted it.
  bool ended() const;

  class Impl;

 private:
  explicit FuseFs(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::simhost
