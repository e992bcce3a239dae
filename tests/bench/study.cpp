#include "tests/bench/study.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "tests/bench/oracle.hpp"
#include "tests/bench/parallel.hpp"
#include "tests/bench/peer.hpp"

namespace sluice::bench {
namespace {

// The same load at the cap: reference for lateness, foresight of the oracle, hindsight of the peers.
struct Reference {
  std::vector<double> late;  // by deadline
  ArrivedWork work;
  Hindsight hindsight;
};

Reference run_at_cap(const Trace& trace, const StudyOptions& options) {
  Reference out;
  Bed bed(trace, options.conditions);
  out.work.cpu_s.assign(static_cast<std::size_t>(static_cast<double>(trace.cores.size()) / out.work.cell_s),
                        0);
  bed.work().on_arrival([&](double at, double cost) {
    const auto cell = static_cast<std::size_t>(at / 1e6 / out.work.cell_s);
    if (cell < out.work.cpu_s.size()) out.work.cpu_s[cell] += cost / 1e6;
  });
  double used_before = 0;
  int ticks = 0;
  bed.run([&] {
    if (++ticks % 10 != 0) return;
    const double used = static_cast<double>(bed.host().sample(bed.id()).cpu->usage.count()) / 1e6;
    if (bed.now_s() > static_cast<double>(kWarmUpSeconds))
      out.hindsight.usage_by_second.push_back(used - used_before);
    used_before = used;
  });
  for (const double d : options.deadlines) out.late.push_back(bed.late_share(d));
  return out;
}

void run_peer(Bed& bed, Peer& peer) {
  CpuUsage used{};
  CpuBandwidth before{};
  bool first = true;
  bed.run([&] {
    const Sample s = bed.host().sample(bed.id());
    PeerView view{.now_s = bed.now_s(), .quota_cores = bed.quota_cores()};
    view.usage_cores = static_cast<double>((s.cpu->usage - used.usage).count()) / 1e5;
    view.periods = s.bandwidth->nr_periods - before.nr_periods;
    view.throttled = s.bandwidth->nr_throttled - before.nr_throttled;
    used = *s.cpu;
    before = *s.bandwidth;
    if (!std::exchange(first, false)) bed.write_cores(peer.decide(view));
  });
}

void run_schedule(Bed& bed, const Schedule& schedule) {
  std::size_t next = 0;
  bed.run([&] {
    const double now = bed.now_s() + 1e-9;
    const std::size_t from = next;
    while (next < schedule.changes.size() && schedule.changes[next].at_s <= now) ++next;
    if (next > from) bed.write_cores(schedule.changes[next - 1].cores);
  });
}

class Study {
 public:
  Study(const std::vector<Trace>& traces, const StudyOptions& options) : traces_(traces), options_(options) {}

  std::vector<Row> run() {
    references_.resize(traces_.size());
    std::vector<std::function<void()>> work;
    for (std::size_t t = 0; t < traces_.size(); ++t) {
      work.emplace_back([this, t] { references_[t] = run_at_cap(traces_[t], options_); });
    }
    in_parallel(work, options_.jobs);

    work.clear();
    for (std::size_t t = 0; t < traces_.size(); ++t) plan(t, work);
    slots_.resize(work.size());
    in_parallel(work, options_.jobs);
    std::vector<Row> out;
    for (auto& slot : slots_) out.insert(out.end(), slot.begin(), slot.end());
    return out;
  }

 private:
  bool wants(const std::string& policy) const {
    return options_.policies.empty() || options_.policies.contains(policy);
  }

  Row row(std::size_t t, Bed& bed, std::size_t deadline) const {
    Row out;
    out.trace = t;
    out.seed = options_.conditions.seed;
    out.deadline_s = options_.deadlines[deadline];
    out.figures = bed.figures();
    out.figures.late_share = bed.late_share(out.deadline_s);
    out.late_above_cap = out.figures.late_share - references_[t].late[deadline];
    return out;
  }

  void plan(std::size_t t, std::vector<std::function<void()>>& work) {
    const auto add = [&](std::function<void(std::vector<Row>&)> run) {
      work.emplace_back([this, slot = work.size(), run = std::move(run)] { run(slots_[slot]); });
    };
    for (std::size_t d = 0; d < options_.deadlines.size(); ++d) {
      for (const auto budget : options_.budgets) {
        if (wants("oracle")) add([=, this](auto& out) { out.push_back(run_oracle(t, d, budget)); });
        for (const auto visibility : options_.visibilities) {
          for (const double burst : options_.bursts) {
            if (wants("ours"))
              add([=, this](auto& out) { out.push_back(run_governor(t, d, budget, visibility, burst)); });
          }
        }
      }
    }
    for (auto& setting : peer_settings(references_[t].hindsight)) {
      if (!wants(setting.peer) || (options_.published_only && !setting.published)) continue;
      add([=, this](auto& out) {
        Bed bed(traces_[t], options_.conditions);
        run_peer(bed, *setting.start());
        for (std::size_t d = 0; d < options_.deadlines.size(); ++d) {
          Row r = row(t, bed, d);
          r.policy = setting.peer;
          r.setting = setting.setting;
          r.published = setting.published;
          out.push_back(std::move(r));
        }
      });
    }
  }

  Row run_governor(std::size_t t, std::size_t d, std::uint32_t budget, Visibility visibility,
                   double burst) const {
    Bed bed(traces_[t], options_.conditions);
    const auto violations = run_ours(bed, {.deadline_s = options_.deadlines[d],
                                           .writes_per_minute = budget,
                                           .visibility = visibility,
                                           .burst_ratio = burst,
                                           .max_cores = options_.max_cores,
                                           .step_cores = options_.step_cores});
    Row out = row(t, bed, d);
    out.policy = "ours";
    out.budget = budget;
    out.visibility = to_string(visibility);
    out.burst = burst;
    if (burst > 0) out.setting = fmt::format("burst {:g}", burst);
    out.violations = violations;
    return out;
  }

  // The fluid queue serves a record on all cores at once. If the model's whole cores make the oracle late, it
  // aims earlier.
  Row run_oracle(std::size_t t, std::size_t d, std::uint32_t budget) const {
    const double deadline = options_.deadlines[d];
    const double service = 2 * options_.conditions.cost_usec / 1e6;
    for (double aim = deadline - service;; aim *= 0.9) {
      const Schedule schedule = oracle(references_[t].work, {.deadline_s = aim,
                                                             .writes_per_minute = static_cast<double>(budget),
                                                             .cap_cores = kCapCores,
                                                             .least_cores = kFewestCores});
      Bed bed(traces_[t], options_.conditions);
      run_schedule(bed, schedule);
      Row out = row(t, bed, d);
      out.policy = "oracle";
      out.budget = budget;
      out.setting = "aims at " + std::to_string(static_cast<int>(aim * 1e3)) + " ms";
      if (out.late_above_cap <= kLateAllowed || aim < deadline / 2) return out;
    }
  }

  const std::vector<Trace>& traces_;
  StudyOptions options_;
  std::vector<Reference> references_;
  std::vector<std::vector<Row>> slots_;
};

}  // namespace

std::vector<Row> run_study(const std::vector<Trace>& traces, const StudyOptions& options) {
  return Study(traces, options).run();
}

}  // namespace sluice::bench
