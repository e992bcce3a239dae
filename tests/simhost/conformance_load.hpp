// Load in a cgroup: real processes on a real kernel, a task of the model on the simulated host.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace conformance {

struct LoadSpec {
  unsigned spin = 0;        // threads that only burn CPU
  unsigned anon_mib = 0;    // touched once, then held
  unsigned cache_mib = 0;   // clean page cache, read once
  unsigned grow_mib_s = 0;  // anon, added a little at a time
};

class Load {
 public:
  // Returns when the load stands: memory touched, cache filled.
  Load(const std::string& cgroup, const LoadSpec& spec);
  ~Load() { stop(); }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;
  void stop();  // kills, and waits until the cgroup is empty

 private:
  std::string cgroup_;
  std::vector<pid_t> children_;
  bool running_ = true;
};

}  // namespace conformance
