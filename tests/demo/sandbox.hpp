// Where the demo lives: a folder of its own, and mounts that nobody else sees. Both are gone when it ends,
// whatever ends it: mounts with their namespace, the folder by a guardian process that waits for the demo's
// end.
#pragma once

#include <sys/types.h>

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace sluice::demo {

class Sandbox {
 public:
  // Call it first, while there is one thread only.
  static tl::expected<Sandbox, std::string> enter();

  ~Sandbox();
  Sandbox(Sandbox&& other) noexcept
      : folder_(std::move(other.folder_)),
        alive_(std::exchange(other.alive_, -1)),
        guardian_(std::exchange(other.guardian_, -1)) {}
  Sandbox& operator=(Sandbox&&) = delete;

  const std::string& folder() const { return folder_; }
  std::string mountpoint() const { return folder_ + "/cgroup"; }

 private:
  Sandbox(std::string folder, int alive, pid_t guardian)
      : folder_(std::move(folder)), alive_(alive), guardian_(guardian) {}

  std::string folder_;
  int alive_;  // the guardian waits for its end
  pid_t guardian_;
};

}  // namespace sluice::demo
