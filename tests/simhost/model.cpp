// The tree, the tasks and the knobs. model_step.cpp and model_memory.cpp advance the time.
#include "tests/simhost/model.hpp"

#include <algorithm>
#include <cerrno>
#include <cmath>

namespace sluice::simhost {

bool Cgroup::populated() const {
  if (task != nullptr && task->dead_since < 0) return true;
  return std::any_of(children.begin(), children.end(),
                     [](const auto& child) { return child.second->populated(); });
}

Host::Host(const HostSpec& spec) : spec_(spec), root_(std::make_unique<Cgroup>()) {
  root_->id = CgroupId{1};
  by_id_[1] = root_.get();
}

Host::~Host() = default;

Cgroup* Host::find(CgroupId id) {
  const auto found = by_id_.find(id.value);
  return found == by_id_.end() ? nullptr : found->second;
}

Cgroup* Host::find(std::string_view path) {
  Cgroup* at = root_.get();
  while (!path.empty()) {
    const auto slash = path.find('/');
    const std::string_view name = path.substr(0, slash);
    path = slash == std::string_view::npos ? std::string_view{} : path.substr(slash + 1);
    if (name.empty()) continue;
    const auto child = at->children.find(name);
    if (child == at->children.end()) return nullptr;
    at = child->second.get();
  }
  return at;
}

tl::expected<Cgroup*, int> Host::make_cgroup(Cgroup& parent, std::string_view name) {
  if (name.find('\n') != std::string_view::npos) return tl::unexpected(EINVAL);
  if (parent.children.contains(name)) return tl::unexpected(EEXIST);
  auto made = std::make_unique<Cgroup>();
  made->id = CgroupId{next_id_++};
  made->name = name;
  made->parent = &parent;
  for (Psi& psi : made->pressure) psi.start(now_exact());
  Cgroup* out = made.get();
  by_id_[out->id.value] = out;
  parent.children.emplace(out->name, std::move(made));
  return out;
}

int Host::remove_cgroup(Cgroup& cgroup) {
  if (cgroup.parent == nullptr || !cgroup.children.empty() || cgroup.populated()) return EBUSY;
  if (cgroup.task != nullptr && cgroup.task->spec.restart_after) return EBUSY;  // it will restart
  destroy_cgroup(cgroup);
  return 0;
}

void Host::destroy_cgroup(Cgroup& cgroup) {
  while (!cgroup.children.empty()) destroy_cgroup(*cgroup.children.begin()->second);
  if (cgroup.task != nullptr) remove_task(cgroup.id);
  by_id_.erase(cgroup.id.value);
  if (cgroup.parent != nullptr) {
    // The key is a copy: erasing by the node's own name would read freed memory.
    const std::string name = cgroup.name;
    cgroup.parent->children.erase(name);
  }
}

tl::expected<Cgroup*, int> Host::make_path(std::string_view path) {
  Cgroup* at = root_.get();
  while (!path.empty()) {
    const auto slash = path.find('/');
    const std::string name(path.substr(0, slash));
    path = slash == std::string_view::npos ? std::string_view{} : path.substr(slash + 1);
    if (name.empty()) continue;
    at->subtree_control |= kCpu | kMemory;
    const auto child = at->children.find(name);
    if (child != at->children.end()) {
      at = child->second.get();
      continue;
    }
    const auto made = make_cgroup(*at, name);
    if (!made) return made;
    at = *made;
  }
  return at;
}

tl::expected<CgroupId, std::string> Host::add_task(const TaskSpec& spec) {
  const auto cgroup = make_path(spec.cgroup);
  if (!cgroup) return tl::unexpected("cgroup '" + spec.cgroup + "' is no valid path");
  if (*cgroup == root_.get() || (*cgroup)->task != nullptr) {
    return tl::unexpected("cgroup '" + spec.cgroup + "' cannot take a task: it is the root or has one");
  }
  if (spec.work.threads == 0 || spec.work.cost_usec <= 0) {
    return tl::unexpected("task '" + spec.cgroup + "': threads and cost_usec must be above 0");
  }
  const std::uint64_t seed = mix64(spec_.seed) ^ mix64(next_pid_);
  auto task = std::make_unique<Task>(Task{.spec = spec,
                                          .pid = next_pid_++,
                                          .cgroup = *cgroup,
                                          .work = Work(spec.work, seed, now_),
                                          .memory = WorkingSet(spec.memory)});
  task->window_end = now_ + 10e6;
  task->allocated_until = now_;
  (*cgroup)->task = task.get();
  update_memory(*task);
  for (Cgroup* at = *cgroup; at != nullptr; at = at->parent) ++at->cgroup_events_changes;
  tasks_.push_back(std::move(task));
  return (*cgroup)->id;
}

Task* Host::task(CgroupId id) {
  Cgroup* cgroup = find(id);
  return cgroup == nullptr ? nullptr : cgroup->task;
}

Task* Host::task_by_pid(int pid) {
  const auto found = std::find_if(tasks_.begin(), tasks_.end(), [&](const auto& t) { return t->pid == pid; });
  return found == tasks_.end() ? nullptr : found->get();
}

void Host::remove_task(CgroupId id) {
  Task* gone = task(id);
  if (gone == nullptr) return;
  Cgroup* cgroup = gone->cgroup;
  gone->memory = WorkingSet(MemorySpec{.anon = 0, .anon_mib = {}, .kernel = 0});
  update_memory(*gone);
  cgroup->task = nullptr;
  for (Cgroup* at = cgroup; at != nullptr; at = at->parent) ++at->cgroup_events_changes;
  std::erase_if(tasks_, [&](const auto& t) { return t.get() == gone; });
}

int Host::move_task(Task& task, Cgroup& to) {
  if (task.cgroup == &to) return 0;
  if (to.task != nullptr)
    return EOPNOTSUPP;  // the model has one task per cgroup; the kernel has no such limit
  if (to.parent != nullptr && (to.subtree_control & kMemory) != 0) return EBUSY;
  // The kernel leaves charged memory in the old cgroup; here it moves with the task, see README.md.
  const WorkingSet kept = task.memory;
  task.memory = WorkingSet(MemorySpec{.anon = 0, .anon_mib = {}, .kernel = 0});
  update_memory(task);
  Cgroup* from = task.cgroup;
  from->task = nullptr;
  task.cgroup = &to;
  to.task = &task;
  task.memory = kept;
  update_memory(task);
  for (Cgroup* at : {from, &to}) {
    for (; at != nullptr; at = at->parent) ++at->cgroup_events_changes;
  }
  return 0;
}

int Host::set_cpu_max(Cgroup& cgroup, std::optional<std::uint64_t> quota_nsec, std::uint64_t period_nsec) {
  constexpr std::uint64_t kMillisecond = 1'000'000;
  constexpr std::uint64_t kMaxRuntime = ((1ULL << 44) - 1) * 1'000;  // MAX_BW
  const auto burst_nsec = static_cast<std::uint64_t>(std::llround(cgroup.bandwidth.burst_usec() * 1'000));
  if (period_nsec < kMillisecond || period_nsec > 1'000 * kMillisecond) return EINVAL;
  if (quota_nsec) {
    if (*quota_nsec < kMillisecond || *quota_nsec > kMaxRuntime) return EINVAL;
    if (burst_nsec > *quota_nsec || burst_nsec + *quota_nsec > kMaxRuntime) return EINVAL;
  }
  const std::optional<double> quota =
      quota_nsec ? std::optional(static_cast<double>(*quota_nsec) / 1e3) : std::nullopt;
  if (cgroup.task != nullptr) account_quota(*cgroup.task, now_exact());
  cgroup.bandwidth.set(quota, static_cast<double>(period_nsec) / 1e3, cgroup.bandwidth.burst_usec(),
                       now_exact());
  if (cgroup.task != nullptr) {
    const double cores = quota ? *quota / cgroup.bandwidth.period_usec() : spec_.cpus;
    cgroup.task->window_peak = std::max(cgroup.task->window_peak, std::min(cores, spec_.cpus));
  }
  return 0;
}

int Host::set_cpu_burst(Cgroup& cgroup, std::uint64_t usec) {
  const auto quota = cgroup.bandwidth.quota_usec();
  if (usec > UINT64_MAX / 1'000) return EINVAL;
  if (quota && static_cast<double>(usec) > *quota) return EINVAL;
  cgroup.bandwidth.set(quota, cgroup.bandwidth.period_usec(), static_cast<double>(usec), now_exact());
  return 0;
}

// As in cgroups::Cgroup::write: each accepted write refills the period.
int Host::apply_cpu_max(Cgroup& cgroup, const CpuMax& value) {
  const auto to_nsec = [](Usec v) { return static_cast<std::uint64_t>(v.count()) * 1'000; };
  const auto to_usec = [](Usec v) { return static_cast<std::uint64_t>(v.count()); };
  const auto quota = value.quota ? std::optional(to_nsec(*value.quota)) : std::nullopt;
  const auto held = [&] { return *cgroup.bandwidth.cpu_max().burst; };
  int error = set_cpu_max(cgroup, quota, to_nsec(value.period));
  if (error == EINVAL && value.quota && held() > *value.quota) {
    set_cpu_burst(cgroup, to_usec(std::min(value.burst.value_or(*value.quota), *value.quota)));
    error = set_cpu_max(cgroup, quota, to_nsec(value.period));
  }
  if (error == 0 && value.burst && held() != *value.burst)
    error = set_cpu_burst(cgroup, to_usec(*value.burst));
  return error;
}

Receipt Host::apply(const Write& write) {
  Receipt out;
  out.id = write.id;
  out.knob = write.knob;
  out.asked = write.value;
  out.caused_at = write.caused_at;
  out.started_at = out.written_at = out.finished_at =
      MonotonicTime{Nsec(static_cast<std::int64_t>(now_exact() * 1e3))};
  Cgroup* cgroup = find(write.id);
  const Controller needs = write.knob == Knob::memory_high ? kMemory : kCpu;
  if (cgroup == nullptr || cgroup->parent == nullptr || !cgroup->has(needs)) {
    out.result = Receipt::Result::vanished;
    out.error_number = cgroup == nullptr ? ENODEV : ENOENT;
    return out;
  }
  out.path = cgroup->path() + "/" + std::string(file_name(write.knob));
  if (const auto* cpu = std::get_if<CpuMax>(&write.value); cpu != nullptr && write.knob == Knob::cpu_max) {
    out.error_number = apply_cpu_max(*cgroup, *cpu);
    out.holds = cgroup->bandwidth.cpu_max();
  } else if (const auto* limit = std::get_if<MemoryLimit>(&write.value);
             limit != nullptr && write.knob == Knob::memory_high) {
    // The actuator first reclaims from outside with memory.reclaim. In model time this and the write are
    // immediate. What reclaim at the limit has still to free is freed in the following steps.
    const double excess = limit->bytes ? cgroup->memory_current - static_cast<double>(*limit->bytes) : 0;
    if (spec_.memory_reclaim && excess > 0) reclaim_from(*cgroup, excess, nullptr);
    set_memory_high(*cgroup, *limit);
    out.holds = cgroup->memory_high;
  } else if (const auto* weight = std::get_if<CpuWeight>(&write.value);
             weight != nullptr && write.knob == Knob::cpu_weight) {
    cgroup->cpu_weight = weight->weight;
    out.holds = *weight;
  } else {
    out.error_number = EINVAL;
  }
  out.result = out.error_number == 0 ? Receipt::Result::written : Receipt::Result::refused;
  return out;
}

// As in the daemon's sampler: each at most once a second.
void Host::sample_ancestors(const Cgroup& cgroup, Sample& out) {
  for (Cgroup* up = cgroup.parent; up != nullptr && up->parent != nullptr; up = up->parent) {
    auto& seen = up->readings;
    if (seen.at < 0 || now_exact() - seen.at >= 1e6) {
      up->bandwidth.catch_up(now_exact());
      seen.before = seen.at < 0 ? up->bandwidth.stat() : seen.last;
      seen.last = up->bandwidth.stat();
      seen.at = now_exact();
    }
    const CpuMax limit = up->bandwidth.cpu_max();
    const double cores =
        limit.quota ? static_cast<double>(limit.quota->count()) / static_cast<double>(limit.period.count())
                    : Bandwidth::kForever;
    if (limit.quota && (!out.ancestor_cpu || cores < out.ancestor_cpu->max_cores)) {
      out.ancestor_cpu = AncestorCpu{cores, up->path(), seen.last.nr_periods - seen.before.nr_periods,
                                     seen.last.nr_throttled - seen.before.nr_throttled};
    }
    for (const auto& bytes : {up->memory_high.bytes, up->memory_max.bytes}) {
      if (bytes) out.ancestor_memory = std::min(*bytes, out.ancestor_memory.value_or(*bytes));
    }
    if (up->memory_swap_max.bytes && *up->memory_swap_max.bytes == 0 && out.swap_free) out.swap_free = 0;
  }
}

Sample Host::sample(CgroupId id) {
  Sample out;
  out.id = id;
  out.read_at = MonotonicTime{Nsec(static_cast<std::int64_t>(now_exact() * 1e3))};
  Cgroup* cgroup = find(id);
  if (cgroup == nullptr) return out;
  const auto usec = [](double value) { return Usec(std::llround(value)); };
  const auto bytes = [](double value) {
    return static_cast<Bytes>(std::max(0.0, value / kPage)) * static_cast<Bytes>(kPage);
  };
  const auto count = [](double value) { return static_cast<std::uint64_t>(value); };
  out.cpu = CpuUsage{.usage = usec(cgroup->cpu_usage),
                     .user = usec(cgroup->cpu_usage) - usec(cgroup->cpu_system),
                     .system = usec(cgroup->cpu_system)};
  out.cpu_pressure = cgroup->psi(Resource::cpu).totals();
  out.memory_pressure = cgroup->psi(Resource::memory).totals();
  if (cgroup->parent == nullptr) return out;
  if (cgroup->has(kCpu)) {
    cgroup->bandwidth.catch_up(now_exact());
    out.bandwidth = cgroup->bandwidth.stat();
    out.cpu_max = cgroup->bandwidth.cpu_max();
    out.cpu_weight = CpuWeight{static_cast<std::uint32_t>(cgroup->cpu_weight)};
  }
  if (spec_.kernel_programs && cgroup->task != nullptr) {
    const Work& work = cgroup->task->work;
    const SchedulerTotals scheduler = work.scheduler();
    out.runnable_threads = work.runnable();
    out.throttle = scheduler.throttle;
    out.run_queue = scheduler.wait;
    if (work.idle_until() >= 0)
      out.idle_until = MonotonicTime{Nsec(static_cast<std::int64_t>(work.idle_until() * 1e3))};
    out.flow = work.flow();
  }
  if (cgroup->has(kMemory)) {
    out.memory_current = bytes(cgroup->memory_current);
    const MemoryCounters& memory = cgroup->memory;
    out.memory_stat = MemoryStat{.anon = bytes(cgroup->anon),
                                 .file = bytes(cgroup->file_hot) + bytes(cgroup->file_cold),
                                 .unreclaimable = bytes(cgroup->kernel),
                                 .workingset_refault_anon = count(memory.refault_anon),
                                 .workingset_refault_file = count(memory.refault_file),
                                 .pgscan = count(memory.pgscan),
                                 .pgsteal = count(memory.pgsteal)};
    out.memory_events = memory.events;
    out.memory_high = cgroup->memory_high;
    out.memory_max = cgroup->memory_max;
    const bool may_swap = !cgroup->memory_swap_max.bytes || *cgroup->memory_swap_max.bytes > 0;
    out.swap_free = may_swap ? bytes(swap_free()) : 0;
  }
  sample_ancestors(*cgroup, out);
  out.frozen = cgroup->frozen_here_or_above();
  return out;
}

}  // namespace sluice::simhost
