// What the model knows and the daemon does not: what arrives, how long records wait, and what the same load
// would do without any limit: a twin of the host that nobody governs, with the same seed, moved along in
// step.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "tests/simhost/fuse_fs.hpp"
#include "tests/simhost/scenario.hpp"

namespace sluice::demo {

// Of one task, since begin().
struct TaskView {
  std::string name, cgroup;
  double deadline_usec = 0;
  double load_per_s = 0;      // records that arrived in the last second
  double usage_cores = 0;     // in the last second
  double delay_p99_usec = 0;  // of the records finished in the last five seconds
  double worst_usec = 0;      // since begin()
  std::uint64_t records = 0, late = 0;
  std::uint64_t waiting = 0, finished = 0;
  double oldest_age_s = 0;
  double allocated_cores = 0;  // mean of cpu.max, at most the node
  double mean_usage_cores = 0;
  double static_peak_cores = 0;  // the most work that arrived in any one second
  double least_fixed_cores = 0;  // the smallest fixed limit under which nothing would have been late
  double memory_bytes = 0, unlimited_memory_bytes = 0;  // means, governed and not
  bool at_baseline = false;                             // neither cpu.max nor memory.high limits it
};

class ModelWatch {
 public:
  // Both hosts must hold the same tasks, and be at the same time.
  ModelWatch(simhost::FuseFs& mounted, simhost::Host& twin, std::vector<std::string> cgroups);
  ~ModelWatch();

  void begin();   // what came before does not count
  void sample();  // every 100 ms or so
  std::vector<TaskView> views() const { return views_; }

 private:
  struct Trail;
  void follow(Trail& trail, simhost::Host& governed, TaskView& view);

  simhost::FuseFs& mounted_;
  simhost::Host& twin_;
  std::vector<std::unique_ptr<Trail>> trails_;
  std::vector<TaskView> views_;
};

}  // namespace sluice::demo
