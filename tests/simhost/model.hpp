// One deterministic model of a host: a cgroup tree, tasks, CPU bandwidth, memory reclaim, pressure. It has no
// clock: only advance() moves time. Equal seeds and equal calls give equal results. Not thread-safe.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <unordered_map>
#include <vector>

#include "daemon/arbitrate/plan.hpp"
#include "daemon/sample/snapshot.hpp"
#include "tests/simhost/cgroup.hpp"
#include "tests/simhost/task.hpp"

namespace sluice::simhost {

struct HostSpec {
  double cpus = 4;
  Bytes memory = 8ULL << 30;
  Bytes swap = 0;
  std::uint64_t seed = 1;
  // The interval at which tasks affect each other (shares of a full node, quotas of ancestors, memory). A
  // single task is exact for every value: its own quota, arrivals and completions are events in between.
  Usec step{1'000};
  bool kernel_programs = true;  // samples contain the data of kernel programs
  bool memory_reclaim = true;   // apply() uses memory.reclaim, as on kernels from 5.19
};

class Host {
 public:
  explicit Host(const HostSpec& spec);
  ~Host();
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  const HostSpec& spec() const { return spec_; }
  Usec now() const { return Usec(static_cast<std::int64_t>(now_)); }
  void advance(Usec by);

  // --- The tree. Paths are absolute within it: "/system.slice/clicks.service".
  Cgroup& root() { return *root_; }
  Cgroup* find(CgroupId id);
  Cgroup* find(std::string_view path);
  tl::expected<Cgroup*, int> make_cgroup(Cgroup& parent, std::string_view name);  // errno of mkdir(2)
  int remove_cgroup(Cgroup& cgroup);  // errno of rmdir(2); 0: removed
  // Removes it with everything in it, children included: a cgroup that vanishes during a read on a real host.
  void destroy_cgroup(Cgroup& cgroup);
  // Creates every missing ancestor with cpu and memory enabled.
  tl::expected<Cgroup*, int> make_path(std::string_view path);

  // --- Tasks. One per cgroup.
  tl::expected<CgroupId, std::string> add_task(const TaskSpec& spec);
  void remove_task(CgroupId id);  // the process exits; its cgroup stays
  Task* task(CgroupId id);
  const std::vector<std::unique_ptr<Task>>& tasks() const { return tasks_; }
  TaskStats stats(CgroupId id);
  void reset_stats();  // ends a warm-up
  Task* task_by_pid(int pid);
  int move_task(Task& task, Cgroup& to);  // errno
  void kill_task(Task& task);

  // --- The knobs. Return 0 or the kernel's errno; an error changes nothing.
  int set_cpu_max(Cgroup& cgroup, std::optional<std::uint64_t> quota_nsec, std::uint64_t period_nsec);
  int set_cpu_burst(Cgroup& cgroup, std::uint64_t usec);
  // The limit applies at once. Its reclaim takes model time; reclaim_result() of the id reports the end.
  std::optional<std::uint64_t> set_memory_high(Cgroup& cgroup, MemoryLimit limit);
  std::optional<std::uint64_t> set_memory_max(Cgroup& cgroup, MemoryLimit limit);
  std::uint64_t reclaim(Cgroup& cgroup, Bytes bytes);   // memory.reclaim: EAGAIN unless all was freed
  std::optional<int> reclaim_result(std::uint64_t id);  // absent: not finished
  void cancel_reclaim(std::uint64_t id) {
    std::erase_if(jobs_, [&](auto& job) { return job.id == id; });
  }
  // The receipt that an actuator would get for this write, in model time.
  Receipt apply(const Write& write);

  // --- What can be observed.
  Sample sample(CgroupId id);
  NodeFacts facts() const { return {.cpu_capacity_cores = spec_.cpus, .memory_capacity = spec_.memory}; }
  double swap_free() const { return std::max(0.0, static_cast<double>(spec_.swap) - swap_used_); }
  // Called within advance(), at the exact time. It may write knobs of that cgroup, but not add or remove
  // anything.
  void on_throttle(std::function<void(const ThrottleEvent&)> observer) {
    throttle_observer_ = std::move(observer);
  }

 private:
  struct ReclaimJob {
    std::uint64_t id = 0;
    CgroupId cgroup;
    bool to_high = true;  // until usage is below the limit; otherwise until `left` bytes are freed
    bool to_max = false;
    double left = 0;
    int retries = 16;
    std::optional<int> result;
  };

  void sample_ancestors(const Cgroup& cgroup, Sample& out);
  void step(double to);
  double now_exact() const { return in_step_ ? step_now_ : now_; }
  void share_cpu(double from, double to);
  Slice slice_for(Task& task, double from, double to);
  int apply_cpu_max(Cgroup& cgroup, const CpuMax& value);
  void account_quota(Task& task, double until);
  void account_cpu(Task& task, const SliceUse& use, const Slice& slice);
  void step_memory(Task& task, double from, double to, double records);
  void charge_memory(Task& task, const WorkingSet::Demand& demand, double from, double to);
  double reclaim_from(Cgroup& cgroup, double bytes, Task* first);
  void enforce_high(Task& task, Cgroup& cgroup, double charged_pages, double from, double to);
  void enforce_max(Task& task, Cgroup& cgroup, double to);
  void relieve_node(double to);
  void oom_kill(Task& task, Cgroup& at, double to);
  void step_jobs(double elapsed);
  void update_memory(Task& task);
  void settle_pressure(double from, double to);

  HostSpec spec_;
  double now_ = 0;
  double step_now_ = 0;
  bool in_step_ = false;
  std::unique_ptr<Cgroup> root_;
  std::unordered_map<std::uint64_t, Cgroup*> by_id_;
  std::uint64_t next_id_ = 2;
  int next_pid_ = 1001;
  std::vector<std::unique_ptr<Task>> tasks_;
  std::vector<ReclaimJob> jobs_;
  std::vector<Cgroup*> pressed_;                  // in this step
  std::vector<std::pair<Task*, double>> hungry_;  // tasks of this step and the cores they want
  std::uint64_t next_job_ = 1;
  double swap_used_ = 0;
  std::function<void(const ThrottleEvent&)> throttle_observer_;
};

}  // namespace sluice::simhost
