#include "tests/demo/model_watch.hpp"

#include <algorithm>
#include <cmath>

namespace sluice::demo {
namespace {

using simhost::Delays;
using simhost::Host;

constexpr double kRateWindow = 1e6, kDelayWindow = 5e6;  // usec
// Longer stretches say nothing new about the peak: their mean only nears the whole run's.
constexpr double kPeakWindow = 60e6;

// The smallest delay that at most 1 % of what finished between the two states exceeded.
double p99_between(const Delays& before, const Delays& now) {
  const auto count = now.count() - before.count();
  if (count == 0) return 0;
  const auto allowed = static_cast<std::uint64_t>(static_cast<double>(count) * 0.01);
  double low = 0, high = now.worst_usec();
  for (int i = 0; i < 40 && high - low > 50; ++i) {
    const double middle = (low + high) / 2;
    (now.later_than(middle) - before.later_than(middle) <= allowed ? high : low) = middle;
  }
  return high;
}

}  // namespace

struct ModelWatch::Trail {
  struct Point {
    double at = 0;
    double arrived_cpu = 0;  // CPU that all work so far needs: done and still waiting
    double used_cpu = 0;
    std::uint64_t arrivals = 0;
  };
  std::string cgroup;
  std::deque<Point> points;
  std::deque<std::pair<double, Delays>> delays;
};

ModelWatch::ModelWatch(simhost::FuseFs& mounted, Host& twin, std::vector<std::string> cgroups)
    : mounted_(mounted), twin_(twin) {
  for (auto& cgroup : cgroups) {
    auto trail = std::make_unique<Trail>();
    trail->cgroup = std::move(cgroup);
    trails_.push_back(std::move(trail));
  }
  begin();
}
ModelWatch::~ModelWatch() = default;

void ModelWatch::begin() {
  mounted_.with_host([&](Host& host) {
    twin_.advance(host.now() - twin_.now());
    host.reset_stats();
    twin_.reset_stats();
  });
  views_.assign(trails_.size(), {});
  for (std::size_t i = 0; i < trails_.size(); ++i) {
    trails_[i]->points.clear();
    trails_[i]->delays.clear();
    views_[i].cgroup = trails_[i]->cgroup;
    const auto name = views_[i].cgroup.substr(views_[i].cgroup.rfind('/') + 1);
    views_[i].name = name.substr(0, name.rfind('.'));
  }
  sample();
}

void ModelWatch::sample() {
  mounted_.with_host([&](Host& host) {
    twin_.advance(host.now() - twin_.now());
    for (std::size_t i = 0; i < trails_.size(); ++i) follow(*trails_[i], host, views_[i]);
  });
}

void ModelWatch::follow(Trail& trail, Host& governed, TaskView& view) {
  const simhost::Cgroup* cgroup = governed.find(trail.cgroup);
  const simhost::Cgroup* free = twin_.find(trail.cgroup);
  if (cgroup == nullptr || free == nullptr || cgroup->task == nullptr || free->task == nullptr) return;
  const auto now = static_cast<double>(governed.now().count());
  const simhost::Work& work = cgroup->task->work;
  const auto stats = governed.stats(cgroup->id);
  const auto unlimited = twin_.stats(free->id);

  // Arriving work is the twin's: no limit, no reclaim changes it.
  const Trail::Point last{now, unlimited.usage_usec + unlimited.backlog_cpu_usec, stats.usage_usec,
                          stats.arrivals};
  trail.points.push_back(last);
  while (trail.points.front().at < now - kPeakWindow) trail.points.pop_front();
  view.deadline_usec = static_cast<double>(work.spec().max_delay.count());
  const Trail::Point* second_ago = &trail.points.front();
  for (const auto& point : trail.points) {
    const double span = now - point.at;
    view.least_fixed_cores = std::max(view.least_fixed_cores,
                                      (last.arrived_cpu - point.arrived_cpu) / (span + view.deadline_usec));
    if (span >= kRateWindow) second_ago = &point;
  }
  // A shorter span than this tells more about its own edges than about the load.
  if (const double span = now - second_ago->at; span > 200'000) {
    view.load_per_s = static_cast<double>(last.arrivals - second_ago->arrivals) / span * 1e6;
    view.usage_cores = (last.used_cpu - second_ago->used_cpu) / span;
    if (span >= kRateWindow) {
      view.static_peak_cores =
          std::max(view.static_peak_cores, (last.arrived_cpu - second_ago->arrived_cpu) / span);
    }
  }

  // The histograms are kept four times a second: finer than anybody reads.
  if (trail.delays.empty() || now - trail.delays.back().first >= 250'000)
    trail.delays.emplace_back(now, work.delays());
  while (trail.delays.size() > 1 && trail.delays[1].first <= now - kDelayWindow) trail.delays.pop_front();
  view.delay_p99_usec = p99_between(trail.delays.front().second, work.delays());

  view.worst_usec = std::max(stats.delay_worst_usec, stats.oldest_age_usec);
  const auto unfinished = work.unfinished_late(now);
  view.records = stats.arrivals;
  view.waiting = stats.backlog;
  view.finished = stats.finished;
  view.oldest_age_s = stats.oldest_age_usec / 1e6;
  view.late = work.delays().late() + unfinished;
  view.allocated_cores = stats.allocated_cores;
  view.mean_usage_cores = stats.observed_usec > 0 ? stats.usage_usec / stats.observed_usec : 0;
  view.memory_bytes = stats.memory_mean_bytes;
  view.unlimited_memory_bytes = unlimited.memory_mean_bytes;
  view.at_baseline = !cgroup->bandwidth.limited() && !cgroup->memory_high.bytes;
}

}  // namespace sluice::demo
