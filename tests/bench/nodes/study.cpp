#include "tests/bench/nodes/study.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "daemon/values/knob_value.hpp"
#include "tests/bench/bed.hpp"
#include "tests/bench/parallel.hpp"
#include "tests/bench/worst_minute.hpp"

namespace sluice::bench {
namespace {

constexpr Usec kStep{5'000};
constexpr double kWarmUp = 30;
constexpr double kOverloadedShare = 0.1;
constexpr double kRounding = 1.001;  // a quota is a whole number of microseconds

// The work of each second by task, and how often it exceeds the node.
struct Demand {
  std::vector<std::vector<double>> cores;
  double overloaded_share = 0;
};

Demand demand_of(const std::vector<Trace>& traces, const NodeSpec& node, std::uint64_t seed) {
  Demand out;
  std::vector<double> sum(node.seconds, 0);
  for (std::size_t i = 0; i < node.tasks; ++i) {
    const auto& from = traces[i % traces.size()].cores;
    const auto shift = static_cast<std::size_t>(simhost::mix64(seed * 1'000 + i) % from.size());
    const double size = 0.5 + 0.5 * static_cast<double>(i / traces.size() % 3);
    auto& mine = out.cores.emplace_back(node.seconds);
    for (std::size_t s = 0; s < node.seconds; ++s) {
      mine[s] = size * from[(shift + s) % from.size()];
      sum[s] += mine[s];
    }
  }
  auto sorted = sum;
  std::sort(sorted.begin(), sorted.end());
  const auto at = static_cast<std::size_t>((1 - kOverloadedShare) * static_cast<double>(node.seconds));
  const double scale = node.cores / std::max(1e-9, sorted[std::min(at, node.seconds - 1)]);
  for (auto& task : out.cores) {
    // A single task can use at most its cap; demand beyond that is not caused by the node.
    for (double& x : task) x = std::min(x * scale, 0.9 * kCapCores);
  }
  for (std::size_t s = 0; s < node.seconds; ++s) {
    double all = 0;
    for (const auto& task : out.cores) all += task[s];
    out.overloaded_share += all > node.cores ? 1.0 / static_cast<double>(node.seconds) : 0;
  }
  return out;
}

Class class_of(std::size_t task) {
  return kClasses[task % kClasses.size()];
}

int priority_of(Class c) {
  return c == Class::high ? 10 : c == Class::middle ? 0 : -10;
}

enum class Policy : std::uint8_t { ours, equal_shares, no_quotas };

class Node {
 public:
  Node(const NodeSpec& spec, const Demand& demand, const NodeOptions& options)
      : spec_(spec), options_(options), host_({.cpus = spec.cores, .seed = options.seed, .step = kStep}) {
    for (std::size_t i = 0; i < demand.cores.size(); ++i) {
      simhost::TaskSpec task;
      task.cgroup = "/bench.slice/task" + std::to_string(i) + ".service";
      std::vector<simhost::Load::Point> points;
      for (std::size_t s = 0; s < demand.cores[i].size(); ++s) {
        points.push_back({static_cast<double>(s), demand.cores[i][s] / options.cost_usec * 1e6});
      }
      task.work.load = simhost::Load({.shape = simhost::Load::Shape::csv}, std::move(points));
      task.work.cost_usec = options.cost_usec;
      task.work.cost_sigma = options.cost_sigma;
      task.work.threads = static_cast<unsigned>(kCapCores);
      task.work.bytes_per_record = 1'000;
      task.work.max_delay = Usec(static_cast<std::int64_t>(options.deadline_s * 1e6));
      task.memory.churn_per_record = 0;
      ids_.push_back(host_.add_task(task).value());
      paths_.push_back(task.cgroup);
    }
  }

  NodeRow run(Policy policy, Visibility visibility) {
    const double share = std::min(kCapCores, spec_.cores / static_cast<double>(ids_.size()));
    if (policy != Policy::no_quotas) {
      for (const CgroupId id : ids_) set_quota(id, share);
    }
    std::optional<Governed> governed;
    std::vector<ThrottleEvent> events;
    if (policy == Policy::ours) {
      governed.emplace(host_, visibility, [&](const Write& w) { return write(w); });
      config::TaskPolicy rules;
      rules.max_delay = Usec(static_cast<std::int64_t>(options_.deadline_s * 1e6));
      rules.cpu.min_cores = std::max(kFewestCores, share / 4);
      rules.cpu.max_cores = std::min(kCapCores, spec_.cores);
      rules.cpu.writes_per_minute = options_.writes_per_minute;
      rules.memory.enabled = false;
      for (std::size_t i = 0; i < ids_.size(); ++i) {
        if (spec_.classes) rules.priority = priority_of(class_of(i));
        governed->add(ids_[i], paths_[i], rules);
      }
      host_.on_throttle([&](const ThrottleEvent& e) { events.push_back(e); });
    }
    const auto end = Usec(static_cast<std::int64_t>(spec_.seconds) * 1'000'000);
    const auto warm = Usec(static_cast<std::int64_t>(kWarmUp * 1e6));
    while (host_.now() < end) {
      const auto next = host_.now() + kPeriod;
      while (host_.now() < next) {
        host_.advance(kStep);
        if (governed && !events.empty() && host_.now() < next) {
          governed->event_tick(std::exchange(events, {}), MonotonicTime{host_.now()});
        }
      }
      events.clear();
      if (governed) governed->full_tick();
      if (host_.now() == warm) {
        host_.reset_stats();
        writes_.clear();
        releases_.clear();
      }
      if (policy != Policy::no_quotas && host_.now() > warm) look(governed && governed->state().cpu_full);
    }
    return result(governed ? governed->violations() : 0);
  }

 private:
  void set_quota(CgroupId id, double cores) {
    const auto value = cpu_max_of(cores, kPeriod);
    host_.set_cpu_max(*host_.find(id), static_cast<std::uint64_t>(value.quota->count()) * 1'000, 100'000'000);
  }

  Receipt write(const Write& w) {
    // A release is exempt from the budget.
    auto& times = w.reason.rule == Rule::released ? releases_ : writes_[w.id];
    times.push_back(static_cast<double>(host_.now().count()) / 1e6);
    return host_.apply(w);
  }

  void look(bool by_weight) {
    ++looks_;
    by_weight_ += by_weight ? 1 : 0;
    if (by_weight) return;
    double sum = 0;
    for (const CgroupId id : ids_) sum += cores_of(*host_.sample(id).cpu_max);
    out_.sum_worst = std::max(out_.sum_worst, sum / spec_.cores);
    out_.sum_violations += sum > spec_.cores * kRounding ? 1 : 0;
  }

  NodeRow result(std::size_t violations) {
    double late = 0, all = 0, quota = 0, usage = 0, offered = 0, wall = 0;
    out_.satisfaction_least = 1;
    std::array<double, kClasses.size()> class_late{}, class_all{};
    for (std::size_t i = 0; i < ids_.size(); ++i) {
      const CgroupId id = ids_[i];
      const simhost::TaskStats s = host_.stats(id);
      const auto records = static_cast<double>(s.finished + s.backlog);
      const simhost::Work& work = host_.task(id)->work;
      const double mine = static_cast<double>(work.delays().late() +
                                              work.unfinished_late(static_cast<double>(host_.now().count())));
      const double satisfied = records > 0 ? 1 - mine / records : 1;
      out_.satisfaction_least = std::min(out_.satisfaction_least, satisfied);
      out_.satisfaction_mean += satisfied / static_cast<double>(ids_.size());
      out_.delay_p99_worst_s = std::max(out_.delay_p99_worst_s, s.delay_p99_usec / 1e6);
      late += mine;
      all += records;
      class_late[i % kClasses.size()] += mine;
      class_all[i % kClasses.size()] += records;
      quota += s.allocated_cores;
      usage += s.usage_usec / s.observed_usec;
      offered += s.offered_usec / s.observed_usec;
      wall = s.observed_usec / 1e6;
    }
    out_.late_share = all > 0 ? late / all : 0;
    for (std::size_t k = 0; k < kClasses.size(); ++k)
      out_.class_late_share[k] = class_all[k] > 0 ? class_late[k] / class_all[k] : 0;
    out_.quota_to_usage = quota / usage;
    out_.offered_to_usage = offered / usage;
    out_.used_share = usage / spec_.cores;
    std::size_t writes = releases_.size();
    for (const auto& [id, times] : writes_) {
      writes += times.size();
      out_.writes_worst_minute = std::max(out_.writes_worst_minute, worst_minute(times));
    }
    out_.writes_per_minute = static_cast<double>(writes) / static_cast<double>(ids_.size()) / (wall / 60);
    out_.violations = violations;
    out_.by_weight_share = looks_ > 0 ? static_cast<double>(by_weight_) / static_cast<double>(looks_) : 0;
    return out_;
  }

  NodeSpec spec_;
  NodeOptions options_;
  simhost::Host host_;
  std::vector<CgroupId> ids_;
  std::vector<std::string> paths_;
  std::map<CgroupId, std::vector<double>> writes_;
  std::vector<double> releases_;
  std::size_t looks_ = 0, by_weight_ = 0;
  NodeRow out_;
};

}  // namespace

std::vector<NodeRow> run_nodes(const std::vector<Trace>& traces, const std::vector<NodeSpec>& nodes,
                               const NodeOptions& options) {
  struct Case {
    Policy policy;
    Visibility visibility;
    const char* name;
  };
  constexpr Case kCases[] = {{Policy::ours, Visibility::bytes, "ours"},
                             {Policy::ours, Visibility::kernel, "ours"},
                             {Policy::equal_shares, Visibility::kernel, "equal shares"},
                             {Policy::no_quotas, Visibility::kernel, "no quotas"}};
  std::vector<NodeRow> out(nodes.size() * std::size(kCases));
  std::vector<std::function<void()>> work;
  for (std::size_t n = 0; n < nodes.size(); ++n) {
    for (std::size_t c = 0; c < std::size(kCases); ++c) {
      work.emplace_back([&, n, c] {
        const Demand demand = demand_of(traces, nodes[n], options.seed);
        NodeRow row = Node(nodes[n], demand, options).run(kCases[c].policy, kCases[c].visibility);
        row.tasks = nodes[n].tasks;
        row.cores = nodes[n].cores;
        row.classes = nodes[n].classes;
        row.seed = options.seed;
        row.policy = kCases[c].name;
        if (kCases[c].policy == Policy::ours) row.visibility = to_string(kCases[c].visibility);
        row.overloaded_share = demand.overloaded_share;
        out[n * std::size(kCases) + c] = std::move(row);
      });
    }
  }
  in_parallel(work, options.jobs);
  return out;
}

}  // namespace sluice::bench
