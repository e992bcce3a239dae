// How time advances: the node's CPU is shared, each task runs through the step, and memory and pressure are
// updated at its end.
#include <algorithm>
#include <cmath>

#include "tests/simhost/model.hpp"

namespace sluice::simhost {

namespace {
std::optional<MonotonicTime> idle_until(const Work& work) {
  if (work.idle_until() < 0) return std::nullopt;
  return MonotonicTime{Nsec(static_cast<std::int64_t>(work.idle_until() * 1e3))};
}
}  // namespace

void Host::advance(Usec by) {
  const double end = now_ + static_cast<double>(by.count());
  const auto step_usec = static_cast<double>(spec_.step.count());
  while (now_ < end) {
    // Steps are on a fixed grid, so that results do not depend on how a caller divides time.
    const double grid = (std::floor(now_ / step_usec) + 1) * step_usec;
    step(std::min(end, grid));
  }
}

void Host::step(double to) {
  const double from = now_;
  in_step_ = true;
  step_now_ = from;
  share_cpu(from, to);
  for (const auto& task : tasks_) {
    double records = 0;
    if (task->dead_since < 0) {
      const Slice slice = slice_for(*task, from, to);
      const auto throttled = [&](double at) {
        ++task->throttles;
        step_now_ = at;
        if (throttle_observer_) {
          throttle_observer_({.id = task->cgroup->id,
                              .at = MonotonicTime{Nsec(static_cast<std::int64_t>(at * 1e3))},
                              .cpu = 0,
                              .runnable_threads = task->work.runnable(),
                              .idle_until = idle_until(task->work)});
        }
        step_now_ = from;
      };
      // By reference: a std::function of the lambda itself would allocate in each step.
      const SliceUse use = task->work.run(slice, task->cgroup->bandwidth, std::cref(throttled));
      account_cpu(*task, use, slice);
      records = use.finished;
    } else if (task->spec.restart_after &&
               to >= task->dead_since + double(task->spec.restart_after->count())) {
      task->dead_since = -1;
      task->work.restart(to);
      for (Cgroup* at = task->cgroup; at != nullptr; at = at->parent) ++at->cgroup_events_changes;
    }
    step_memory(*task, from, to, records);
  }
  step_now_ = to;
  relieve_node(to);
  step_jobs(to - from);
  now_ = to;
  settle_pressure(from, to);
  in_step_ = false;
}

void Host::share_cpu(double from, double to) {
  double wanted = 0;
  auto& hungry = hungry_;
  hungry.clear();
  for (const auto& task : tasks_) {
    Cgroup& cgroup = *task->cgroup;
    cgroup.bandwidth.catch_up(from);
    const bool stopped = task->dead_since >= 0 || cgroup.frozen_here_or_above() ||
                         (cgroup.bandwidth.throttled() && cgroup.bandwidth.next_boundary() > to);
    const double demand = stopped ? 0 : std::min(spec_.cpus, task->work.demand_cores());
    wanted += demand;
    task->share_cores = demand;
    if (demand > 0) hungry.emplace_back(task.get(), demand);
    for (Cgroup* up = cgroup.parent; up != nullptr; up = up->parent) {
      if (!up->bandwidth.limited()) continue;
      up->bandwidth.catch_up(from);
      up->step_ancestor_demand = 0;
    }
  }
  if (wanted <= spec_.cpus) {
    // CPUs are free: a task that wakes within this step may use what no other task asked for.
    for (const auto& task : tasks_) task->share_cores += spec_.cpus - wanted;
  } else {
    // Weighted max-min: tasks that want less than their share get it, the others divide the rest.
    std::sort(hungry.begin(), hungry.end(), [](const auto& a, const auto& b) {
      const auto weight = [](const Task* t) { return static_cast<double>(t->cgroup->cpu_weight); };
      const double left = a.second / weight(a.first);
      const double right = b.second / weight(b.first);
      return left != right ? left < right : a.first->pid < b.first->pid;
    });
    double weights = 0;
    for (const auto& [task, demand] : hungry) weights += static_cast<double>(task->cgroup->cpu_weight);
    double left = spec_.cpus;
    for (const auto& [task, demand] : hungry) {
      const auto weight = static_cast<double>(task->cgroup->cpu_weight);
      task->share_cores = std::min(demand, left * weight / weights);
      left -= task->share_cores;
      weights -= weight;
    }
  }
  for (const auto& [task, demand] : hungry) {
    for (Cgroup* up = task->cgroup->parent; up != nullptr; up = up->parent) {
      if (up->bandwidth.limited()) up->step_ancestor_demand += task->share_cores;
    }
  }
}

Slice Host::slice_for(Task& task, double from, double to) {
  Slice slice{.from = from, .to = to, .cores = task.share_cores, .node_cpus = spec_.cpus};
  slice.frozen = task.cgroup->frozen_here_or_above();
  for (Cgroup* up = task.cgroup->parent; up != nullptr; up = up->parent) {
    if (!up->bandwidth.limited()) continue;
    // Siblings use one pool: each gets a part in proportion to its share of the demand below that ancestor.
    const double total = std::max(up->step_ancestor_demand, task.share_cores);
    const double part = total > 0 ? task.share_cores / total : 1;
    const double pool = up->bandwidth.throttled() ? 0 : up->bandwidth.runtime();
    slice.ancestor_runtime = std::min(slice.ancestor_runtime, pool * part);
    up->step_ancestor_demand -= task.share_cores;
  }
  return slice;
}

void Host::account_quota(Task& task, double until) {
  const Bandwidth& own = task.cgroup->bandwidth;
  const double cores = own.limited() ? *own.quota_usec() / own.period_usec() : spec_.cpus;
  const double elapsed = std::max(0.0, until - task.allocated_until);
  task.allocated += std::min(cores, spec_.cpus) * elapsed;
  task.observed += elapsed;
  task.allocated_until = std::max(task.allocated_until, until);
}

void Host::account_cpu(Task& task, const SliceUse& use, const Slice& slice) {
  // Reclaim on the task's behalf is additional kernel time; it is charged when there is quota for it.
  const double elapsed = slice.to - slice.from;
  task.cpu_used += use.cpu;
  task.memory_stalled += use.memory_some;
  const double reclaim_cpu = std::min({task.owed_cpu, use.cpu, elapsed});
  task.owed_cpu -= reclaim_cpu;
  const double system = std::min(use.cpu, use.cpu * task.spec.system_share + reclaim_cpu);
  const auto press = [&](Cgroup& at, Resource resource, double some, double full) {
    if (some <= 0 && use.cpu <= 0) return;  // a task that runs unhindered shows that not all are stalled
    auto& sum = at.step_pressure[static_cast<std::size_t>(resource)];
    if (!at.step_pressure[0].touched && !at.step_pressure[1].touched) pressed_.push_back(&at);
    sum.full = sum.touched ? std::min(sum.full, full) : full;
    sum.some = std::max(sum.some, some);
    sum.touched = true;
  };
  if (use.cpu > 0 || use.cpu_some > 0 || use.memory_some > 0) {
    task.cgroup->psi(Resource::cpu).add(task.work.run_queues().by_cpu());
    task.work.run_queues().forget();
  }
  for (Cgroup* at = task.cgroup; at != nullptr; at = at->parent) {
    at->cpu_usage += use.cpu;
    at->cpu_system += system;
    // The kernel has no "full" for the CPU of the whole system.
    press(*at, Resource::cpu, use.cpu_some, at->parent == nullptr ? 0 : use.cpu_full);
    press(*at, Resource::memory, use.memory_some, use.memory_full);
    if (at == task.cgroup || !at->bandwidth.limited()) continue;
    at->bandwidth.consume(use.cpu);
    if (use.starved_from >= 0 && at->bandwidth.runtime() < 1 && !at->bandwidth.throttled()) {
      at->bandwidth.throttle(use.starved_from, task.work.runnable());
    }
  }
  const Bandwidth& own = task.cgroup->bandwidth;
  const double cores = own.limited() ? *own.quota_usec() / own.period_usec() : spec_.cpus;
  const double granted_cores = std::min(cores, spec_.cpus);
  account_quota(task, slice.to);
  task.window_peak = std::max(task.window_peak, granted_cores);
  if (slice.to >= task.window_end) {
    task.window_sum += task.window_peak;
    const double could = task.cgroup->bandwidth.take_most_usec() / own.period_usec();
    task.window_could_sum += own.limited() ? std::min(could, spec_.cpus) : spec_.cpus;
    task.windows += 1;
    task.window_peak = granted_cores;
    task.window_end += 10e6;
  }
}

void Host::settle_pressure(double from, double to) {
  for (Cgroup* cgroup : pressed_) {
    for (std::size_t i = 0; i < cgroup->step_pressure.size(); ++i) {
      auto& sum = cgroup->step_pressure[i];
      if (sum.touched) cgroup->pressure[i].add(sum.some, sum.full);
      sum = {};
    }
  }
  pressed_.clear();
  // Averages and triggers need no finer resolution. Walking a thousand idle cgroups in each step would cost
  // more.
  constexpr double kLook = 10'000;
  if (std::floor(from / kLook) == std::floor(to / kLook)) return;
  each(*root_, [&](Cgroup& cgroup) {
    for (Psi& psi : cgroup.pressure) psi.advance(to);
  });
}

TaskStats Host::stats(CgroupId id) {
  TaskStats out;
  const Task* found = task(id);
  if (found == nullptr) {
    out.alive = false;
    return out;
  }
  const Work& work = found->work;
  const Delays& delays = work.delays();
  const auto late = static_cast<double>(delays.late() + work.unfinished_late(now_));
  const double counted = static_cast<double>(delays.count() + work.unfinished_late(now_));
  out.arrivals = work.arrived();
  out.finished = delays.count();
  out.backlog = work.backlog();
  out.backlog_cpu_usec = work.backlog_cpu_usec();
  out.oldest_age_usec = work.backlog() == 0 ? 0 : now_ - work.oldest_arrival();
  out.busy_for_usec = now_ - work.last_idle();
  out.runnable_threads = work.runnable();
  out.delay_p50_usec = delays.quantile_usec(0.5);
  out.delay_p99_usec = delays.quantile_usec(0.99);
  out.delay_worst_usec = delays.worst_usec();
  out.delay_mean_usec = delays.mean_usec();
  out.late_share = counted > 0 ? late / counted : 0;
  out.usage_usec = found->cpu_used;
  out.observed_usec = found->observed;
  const Bandwidth& own = found->cgroup->bandwidth;
  out.offered_usec =
      own.limited() ? own.offered_usec() - found->offered_before : spec_.cpus * found->observed;
  out.granted_usec = found->cgroup->bandwidth.granted_usec() - found->granted_before;
  if (found->observed > 0) {
    out.allocated_cores = found->allocated / found->observed;
    out.memory_stall_share = found->memory_stalled / found->observed;
    out.memory_mean_bytes = found->memory_byte_usec / found->observed;
  }
  out.q10_cores = found->windows > 0 ? found->window_sum / found->windows : found->window_peak;
  out.could10_cores = found->windows > 0 ? found->window_could_sum / found->windows : 0;
  out.throttles = found->throttles;
  out.alive = found->dead_since < 0;
  return out;
}

void Host::reset_stats() {
  for (const auto& task : tasks_) {
    task->work.reset_stats();
    task->cpu_used = task->allocated = task->observed = 0;
    task->memory_stalled = task->memory_byte_usec = 0;
    task->granted_before = task->cgroup->bandwidth.granted_usec();
    task->offered_before = task->cgroup->bandwidth.offered_usec();
    task->allocated_until = now_;
    task->throttles = 0;
    task->window_sum = task->window_could_sum = task->windows = task->window_peak = 0;
    task->window_end = now_ + 10e6;
  }
}

}  // namespace sluice::simhost
