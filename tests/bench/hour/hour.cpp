#include "tests/bench/hour/hour.hpp"

#include <algorithm>
#include <numeric>

#include "tests/bench/ours.hpp"

namespace sluice::bench {
namespace {

double mean(const std::vector<double>& values) {
  return values.empty()
             ? 0
             : std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// Observes a bed in each period, and keeps one point per cell.
class Watch {
 public:
  explicit Watch(Bed& bed) : bed_(bed) {
    bed.on_period([this] { look(); });
  }
  HourRun run(std::string name) const {
    return {std::move(name), quota_, waited_, bed_.figures().quota_cores, bed_.late_share(kHourDeadline)};
  }

 private:
  void look() {
    quotas_.push_back(bed_.quota_cores());
    const auto& work = bed_.work();
    if (work.backlog() > 0) waits_ = std::max(waits_, bed_.now_s() - work.oldest_arrival() / 1e6);
    if (bed_.now_s() + 1e-9 < static_cast<double>(kHourCell * (quota_.size() + 1))) return;
    quota_.push_back(mean(quotas_));
    waited_.push_back(waits_);
    quotas_.clear();
    waits_ = 0;
  }

  Bed& bed_;
  std::vector<double> quotas_, quota_, waited_;
  double waits_ = 0;
};

HourRun run_static(const Trace& trace, const Conditions& conditions, double cores, std::string name) {
  Bed bed(trace, conditions);
  const Watch watch(bed);
  bool written = false;
  bed.run([&] {
    if (!std::exchange(written, true)) bed.write_cores(cores);
  });
  return watch.run(std::move(name));
}

}  // namespace

Hour run_hour(const Trace& trace, const Conditions& conditions) {
  Hour out;
  out.trace = trace.name;
  for (std::size_t s = 0; s < trace.cores.size(); s += kHourCell) {
    const auto end = std::min(trace.cores.size(), s + kHourCell);
    out.load_cores.push_back(mean({trace.cores.begin() + static_cast<std::ptrdiff_t>(s),
                                   trace.cores.begin() + static_cast<std::ptrdiff_t>(end)}));
  }
  Bed bed(trace, conditions);
  const Watch watch(bed);
  out.violations = run_ours(bed, {.deadline_s = kHourDeadline});
  out.ours = watch.run("Sluice");
  // A quota for the busiest second, chosen in hindsight.
  out.peak = run_static(trace, conditions, *std::max_element(trace.cores.begin(), trace.cores.end()),
                        "static, for the peak");
  out.same = run_static(trace, conditions, out.ours.mean_quota_cores, "static, same average");
  return out;
}

}  // namespace sluice::bench
