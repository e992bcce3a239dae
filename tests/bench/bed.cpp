#include "tests/bench/bed.hpp"

#include <algorithm>
#include <cmath>

#include "config/config.hpp"
#include "daemon/values/knob_value.hpp"
#include "tests/bench/worst_minute.hpp"

namespace sluice::bench {
namespace {

simhost::TaskSpec task_spec(const Trace& trace, const Conditions& conditions, const std::string& cgroup) {
  simhost::TaskSpec spec;
  spec.cgroup = cgroup;
  std::vector<simhost::Load::Point> points;
  for (std::size_t s = 0; s < trace.cores.size(); ++s) {
    points.push_back({.t_s = static_cast<double>(s), .value = trace.cores[s] / conditions.cost_usec * 1e6});
  }
  spec.work.load = simhost::Load({.shape = simhost::Load::Shape::csv}, std::move(points));
  spec.work.cost_usec = conditions.cost_usec;
  spec.work.cost_sigma = conditions.cost_sigma;
  spec.work.threads = conditions.threads;
  spec.work.background_cores = conditions.background_cores;
  spec.work.gc_period = conditions.gc_period;
  spec.work.gc_usec = conditions.gc_usec;
  if (conditions.gc_period.count() > 0) spec.work.gc_threads = static_cast<unsigned>(kCapCores);
  spec.work.bytes_per_record = 1'000;
  spec.memory.churn_per_record = 0;
  return spec;
}

}  // namespace

Bed::Bed(const Trace& trace, const Conditions& conditions)
    : step_cores_(conditions.step_cores),
      host_({.cpus = kCapCores, .seed = conditions.seed, .step = kPeriod}),
      id_(host_.add_task(task_spec(trace, conditions, cgroup_)).value()),
      seconds_(trace.cores.size()),
      warm_up_seconds_(conditions.warm_up_seconds),
      // The phase of the kernel's periods relative to our ticks cannot be chosen.
      phase_(7'000 + static_cast<std::int64_t>(simhost::mix64(conditions.seed) % 86) * 1'000) {}

void Bed::run(const std::function<void()>& each_period) {
  host_.advance(phase_);
  auto& cgroup = *host_.find(id_);
  host_.set_cpu_max(cgroup, static_cast<std::uint64_t>(quota_ * 1e8), 100'000'000);
  host_.advance(kPeriod - phase_);
  const auto end = Usec(static_cast<std::int64_t>(seconds_) * 1'000'000);
  const auto warm = Usec(static_cast<std::int64_t>(warm_up_seconds_) * 1'000'000);
  while (host_.now() < end) {
    each_period();
    if (host_.now() == warm) {
      host_.reset_stats();
      stopped_before_ = static_cast<double>(work().scheduler().throttle.stopped.count());
      written_at_.clear();
      budgeted_at_.clear();
      measuring_ = true;
    }
    host_.advance(kPeriod);
    if (period_observer_) period_observer_();
  }
  finish();
}

Receipt Bed::write(const Write& write) {
  const Receipt receipt = host_.apply(write);
  if (receipt.holds) quota_ = std::min(kCapCores, number_of(*receipt.holds));
  written_at_.push_back(in_seconds(receipt.started_at.time_since_epoch()));
  if (write.reason.rule != Rule::released) budgeted_at_.push_back(written_at_.back());
  return receipt;
}

void Bed::write_cores(double cores) {
  Write w;
  w.id = id_;
  const double whole = config::whole_steps_up(cores, step_cores_);
  w.value = cpu_max_of(std::clamp(whole, kFewestCores, kCapCores), kPeriod);
  if (std::abs(number_of(w.value) - quota_) < 1e-9) return;
  write(w);
}

void Bed::finish() {
  const simhost::TaskStats s = host_.stats(id_);
  const double wall = s.observed_usec;
  arrivals_ = s.arrivals;
  figures_.usage_cores = s.usage_usec / wall;
  figures_.quota_cores = s.allocated_cores;
  figures_.offered_cores = s.offered_usec / wall;
  figures_.q10_cores = s.q10_cores;
  figures_.could10_cores = s.could10_cores;
  figures_.delay_p50_s = s.delay_p50_usec / 1e6;
  figures_.delay_p99_s = s.delay_p99_usec / 1e6;
  figures_.delay_worst_s = std::max(s.delay_worst_usec, s.oldest_age_usec) / 1e6;
  figures_.stall_share =
      (static_cast<double>(work().scheduler().throttle.stopped.count()) - stopped_before_) / wall;
  figures_.writes_per_minute = static_cast<double>(written_at_.size()) / (wall / 60e6);
  figures_.writes_worst_minute = worst_minute(budgeted_at_);
}

double Bed::late_share(double deadline_s) {
  const double usec = deadline_s * 1e6;
  const auto late = work().delays().later_than(usec) +
                    work().unfinished_later_than(static_cast<double>(host_.now().count()), usec);
  // Some finished records arrived before the warm-up ended.
  const auto all = work().delays().count() + work().backlog();
  return all == 0 ? 0 : static_cast<double>(late) / static_cast<double>(all);
}

}  // namespace sluice::bench
