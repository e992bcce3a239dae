// Load in a cgroup: real processes on a real kernel, a model task on the simulated host.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace conformance {

struct LoadSpec {
  unsigned spin = 0;        // threads that only use CPU
  unsigned anon_mib = 0;    // touched once and then kept
  unsigned cache_mib = 0;   // clean page cache, read once
  unsigned grow_mib_s = 0;  // anon, added in small parts
};

class Load {
 public:
  // Returns when the load is established: memory touched, cache filled.
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
