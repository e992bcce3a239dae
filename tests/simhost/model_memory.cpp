// Memory during a step: growth, refaults, memory.high's reclaim and penalty, memory.max's kill.
#include <algorithm>
#include <cerrno>
#include <cmath>

#include "tests/simhost/model.hpp"

namespace sluice::simhost {
namespace {
constexpr double kReclaimBytesPerUsec = 800;     // clean page cache; about 0.75 GiB/s
constexpr double kHotReclaimBytesPerUsec = 200;  // referenced pages are scanned twice
constexpr double kFutileScanUsec = 2'000;  // one round of try_to_free_mem_cgroup_pages that frees nothing
constexpr double kFutileScanPages = 512;
constexpr double kSwapBytesPerUsec = 100;

double as_double(const MemoryLimit& limit) {
  return limit.bytes ? static_cast<double>(*limit.bytes) : Bandwidth::kForever;
}
MemoryLimit rounded(MemoryLimit limit) {
  if (limit.bytes) *limit.bytes -= *limit.bytes % static_cast<Bytes>(kPage);
  return limit;
}
}  // namespace

std::optional<std::uint64_t> Host::set_memory_high(Cgroup& cgroup, MemoryLimit limit) {
  cgroup.memory_high = rounded(limit);
  if (cgroup.memory_current <= as_double(cgroup.memory_high)) return std::nullopt;
  jobs_.push_back({.id = next_job_++, .cgroup = cgroup.id, .to_high = true, .result = {}});
  return jobs_.back().id;
}

std::optional<std::uint64_t> Host::set_memory_max(Cgroup& cgroup, MemoryLimit limit) {
  cgroup.memory_max = rounded(limit);
  if (cgroup.memory_current <= as_double(cgroup.memory_max)) return std::nullopt;
  jobs_.push_back({.id = next_job_++, .cgroup = cgroup.id, .to_high = false, .to_max = true, .result = {}});
  return jobs_.back().id;
}

std::uint64_t Host::reclaim(Cgroup& cgroup, Bytes bytes) {
  const auto pages = bytes / static_cast<Bytes>(kPage);
  jobs_.push_back({.id = next_job_++,
                   .cgroup = cgroup.id,
                   .to_high = false,
                   .left = static_cast<double>(pages) * kPage,
                   .result = {}});
  return jobs_.back().id;
}

std::optional<int> Host::reclaim_result(std::uint64_t id) {
  const auto job = std::find_if(jobs_.begin(), jobs_.end(), [&](const auto& j) { return j.id == id; });
  if (job == jobs_.end()) return 0;
  if (!job->result) return std::nullopt;
  const int result = *job->result;
  jobs_.erase(job);
  return result;
}

void Host::step_jobs(double elapsed) {
  for (ReclaimJob& job : jobs_) {
    if (job.result) continue;
    Cgroup* cgroup = find(job.cgroup);
    if (cgroup == nullptr) {
      job.result = ENODEV;
      continue;
    }
    const MemoryLimit& limit = job.to_max ? cgroup->memory_max : cgroup->memory_high;
    if (job.to_high || job.to_max) job.left = cgroup->memory_current - as_double(limit);
    if (job.left <= 0) {
      job.result = 0;
      continue;
    }
    double cold = 0;
    each(*cgroup, [&](Cgroup& at) { cold += at.task == nullptr ? 0 : at.task->memory.cold(); });
    const double speed = cold > 0 ? kReclaimBytesPerUsec : kHotReclaimBytesPerUsec;
    const double freed = reclaim_from(*cgroup, std::min(job.left, speed * elapsed), nullptr);
    job.left -= freed;
    if (job.left <= 0) {
      job.result = 0;
    } else if (freed <= 0 && --job.retries <= 0) {
      if (job.to_max && cgroup->task != nullptr) oom_kill(*cgroup->task, *cgroup, now_);
      job.result = job.to_high || job.to_max ? 0 : EAGAIN;
    }
  }
}

// Reclaims `bytes` from the tasks below; the task that charges comes first.
double Host::reclaim_from(Cgroup& cgroup, double bytes, Task* first) {
  double freed = 0;
  const auto take = [&](Task& task) {
    if (freed >= bytes) return;
    const double swap = cgroup.memory_swap_max.bytes == Bytes{0} ? 0 : swap_free();
    Reclaimed got = task.memory.reclaim(bytes - freed, swap);
    if (got.bytes < bytes - freed) got.scanned_pages += kFutileScanPages;
    freed += got.bytes;
    task.owed_cpu += got.scanned_pages * task.spec.reclaim_cpu_usec_per_page;
    for (Cgroup* at = task.cgroup; at != nullptr; at = at->parent) {
      at->memory.pgscan += got.scanned_pages;
      at->memory.pgsteal += got.stolen_pages;
    }
    update_memory(task);
  };
  if (first != nullptr) take(*first);
  each(cgroup, [&](Cgroup& at) {
    if (at.task != nullptr && at.task != first) take(*at.task);
  });
  return freed;
}

void Host::update_memory(Task& task) {
  const WorkingSet& m = task.memory;
  const double now_seen[5] = {m.anon(), m.hot(), m.cold(), m.kernel(), m.swapped()};
  for (Cgroup* at = task.cgroup; at != nullptr; at = at->parent) {
    double* fields[5] = {&at->anon, &at->file_hot, &at->file_cold, &at->kernel, &at->swapped};
    for (int i = 0; i < 5; ++i) *fields[i] = std::max(0.0, *fields[i] + now_seen[i] - task.seen_memory[i]);
    at->memory_current = at->anon + at->file_hot + at->file_cold + at->kernel;
    at->memory_peak = std::max(at->memory_peak, at->memory_current);
  }
  swap_used_ += now_seen[4] - task.seen_memory[4];
  std::copy(std::begin(now_seen), std::end(now_seen), std::begin(task.seen_memory));
}

void Host::step_memory(Task& task, double from, double to, double records) {
  task.memory_byte_usec += task.memory.resident() * (to - from);
  if (task.dead_since >= 0) return;
  WorkingSet::Demand demand = task.memory.demand(to, to - from, records);
  if (task.cgroup->frozen_here_or_above() || task.work.stalled_until() >= to) {
    // The thread that would allocate sleeps, so what it would free stays too.
    demand = {};
  }
  if (task.reclaiming) {
    // It stays in the kernel until usage is below the limit or nothing more can be freed.
    task.reclaiming = false;
    for (Cgroup* at = task.cgroup; at != nullptr; at = at->parent) {
      if (at->memory_current > as_double(at->memory_high)) enforce_high(task, *at, 0, from, to);
    }
  }
  if (demand.total() == 0 && demand.churn == 0) return;
  charge_memory(task, demand, from, to);
}

void Host::charge_memory(Task& task, const WorkingSet::Demand& demand, double from, double to) {
  if (demand.total() != 0) {
    task.memory.charge(demand);
    update_memory(task);
  }
  if (demand.refault > 0) {
    const double pages = demand.refault / kPage;
    for (Cgroup* at = task.cgroup; at != nullptr; at = at->parent) at->memory.refault_file += pages;
    // The reading threads wait in turns.
    task.work.stall_until(to + pages * task.memory.spec().refault_usec / task.work.spec().threads);
  }
  const double charged = std::max(0.0, demand.anon) + demand.cold + demand.refault + demand.churn;
  if (charged <= 0) return;
  for (Cgroup* at = task.cgroup; at != nullptr; at = at->parent) {
    if (at->memory_high.bytes && at->memory_current > as_double(at->memory_high)) {
      enforce_high(task, *at, charged / kPage, from, to);
    }
    if (at->memory_max.bytes && at->memory_current > as_double(at->memory_max)) enforce_max(task, *at, to);
  }
}

// mem_cgroup_handle_over_high(): the allocating task reclaims as long as that frees pages, and then sleeps.
void Host::enforce_high(Task& task, Cgroup& cgroup, double charged_pages, double from, double to) {
  constexpr double kClusterPages = 32;  // SWAP_CLUSTER_MAX: each round counts as one event
  const double excess = cgroup.memory_current - as_double(cgroup.memory_high);
  const double speed = task.memory.cold() > 0 ? kReclaimBytesPerUsec : kHotReclaimBytesPerUsec;
  const double anon_before = task.memory.anon();
  const double freed = reclaim_from(cgroup, std::min(excess, speed * (to - from)), &task);
  const auto rounds = static_cast<std::uint64_t>(1 + freed / kPage / kClusterPages);
  for (Cgroup* at = &cgroup; at != nullptr; at = at->parent) {
    at->memory.events.high += rounds;
    ++at->memory_events_changes;
  }
  double stall = freed / speed;
  if (const double swapped = anon_before - task.memory.anon(); swapped > 0)
    stall += swapped / kSwapBytesPerUsec;
  if (freed > 0 && freed < excess) {
    task.reclaiming = true;
    stall = std::max(stall, to - from);
  } else if (freed < excess) {
    stall += kFutileScanUsec +
             over_high_penalty_usec(cgroup.memory_current, as_double(cgroup.memory_high), charged_pages);
  }
  task.work.stall_until(std::max(to, task.work.stalled_until()) + stall);
}

void Host::enforce_max(Task& task, Cgroup& cgroup, double to) {
  for (Cgroup* at = &cgroup; at != nullptr; at = at->parent) {
    ++at->memory.events.max;
    ++at->memory_events_changes;
  }
  const double excess = cgroup.memory_current - as_double(cgroup.memory_max);
  const double freed = reclaim_from(cgroup, excess, &task);
  task.work.stall_until(to + freed / kHotReclaimBytesPerUsec);
  if (freed + 1 < excess) oom_kill(task, cgroup, to);
}

void Host::oom_kill(Task& task, Cgroup& at, double to) {
  for (Cgroup* up = &at; up != nullptr; up = up->parent) {
    ++up->memory.events.oom;
    ++up->memory_events_changes;
  }
  for (Cgroup* up = task.cgroup; up != nullptr; up = up->parent) {
    ++up->memory.events.oom_kill;
    ++up->memory_events_changes;
  }
  kill_task(task);
  task.dead_since = to;
}

void Host::kill_task(Task& task) {
  task.dead_since = now_exact();
  task.memory.restart();
  task.work.restart(now_exact());
  update_memory(task);
  for (Cgroup* at = task.cgroup; at != nullptr; at = at->parent) ++at->cgroup_events_changes;
}

// The node itself is full: cold page cache is freed first, whoever owns it; then the largest task is killed.
void Host::relieve_node(double to) {
  const double excess = root_->memory_current - static_cast<double>(spec_.memory);
  if (excess <= 0) return;
  if (reclaim_from(*root_, excess, nullptr) >= excess) return;
  const auto largest = std::max_element(tasks_.begin(), tasks_.end(), [](const auto& a, const auto& b) {
    return a->memory.resident() < b->memory.resident();
  });
  if (largest != tasks_.end() && (*largest)->dead_since < 0) oom_kill(**largest, *root_, to);
}

}  // namespace sluice::simhost
