#include "tests/bench/ours.hpp"

#include <utility>

namespace sluice::bench {
namespace {

class Governor {
 public:
  Governor(Bed& bed, const OursSpec& spec) : bed_(bed), visibility_(spec.visibility) {
    config_.node.cpu_reserve_cores = 0;
    config_.node.memory_reserve_bytes = 0;
    config::Task rule;
    rule.match_cgroup = bed.cgroup();
    rule.policy.max_delay = Usec(static_cast<std::int64_t>(spec.deadline_s * 1e6));
    rule.policy.cpu.min_cores = kFewestCores;
    rule.policy.cpu.max_cores = kCapCores;
    rule.policy.cpu.writes_per_minute = spec.writes_per_minute;
    rule.policy.memory.enabled = false;
    config_.tasks.push_back(rule);
  }

  void full_tick() {
    Input in;
    in.kind = Input::Kind::full;
    Sample sample = bed_.host().sample(bed_.id());
    if (!facts_.id.value) {
      facts_.id = bed_.id();
      facts_.cgroup = facts_.name = bed_.cgroup();
      facts_.cpu_baseline = sample.cpu_max.value();
      facts_.memory_baseline = sample.memory_high.value();
    }
    if (visibility_ != Visibility::bytes) sample.flow.reset();
    if (visibility_ == Visibility::lag) {
      ReportLoadCommand report;
      report.task = facts_.name;
      report.load.lag = static_cast<double>(bed_.work().backlog());
      report.load.processed = static_cast<double>(bed_.work().finished_ever());
      report.until = bed_.host().now() + std::chrono::seconds(2);
      if (known_) in.commands.emplace_back(report);
    }
    known_ = true;
    in.tasks.push_back({facts_, std::move(sample)});
    step(std::move(in), bed_.host().now());
  }

  void event_tick(const ThrottleEvent& event) {
    if (!known_) return;
    Input in;
    in.kind = Input::Kind::event;
    in.events.push_back(event);
    step(std::move(in), event.at);
  }

  std::size_t violations() const { return violations_; }

 private:
  void step(Input in, MonotonicTime now) {
    in.now = now;
    in.node = bed_.host().facts();
    in.receipts = std::exchange(receipts_, {});
    auto out = tick(in, config_, std::move(state_));
    state_ = std::move(out.state);
    for (const auto& n : out.report.notices) violations_ += n.kind == Notice::Kind::plan_violation ? 1 : 0;
    for (const auto& w : out.plan.writes) {
      receipts_.push_back(bed_.write(w));
      receipts_.back().caused_at = w.caused_at;
    }
  }

  Bed& bed_;
  Visibility visibility_;
  config::Config config_;
  State state_;
  TaskFacts facts_;
  bool known_ = false;
  std::vector<Receipt> receipts_;
  std::size_t violations_ = 0;
};

}  // namespace

std::size_t run_ours(Bed& bed, const OursSpec& spec) {
  Governor governor(bed, spec);
  bed.on_throttle([&](const ThrottleEvent& e) { governor.event_tick(e); });
  bed.run([&] { governor.full_tick(); });
  return governor.violations();
}

}  // namespace sluice::bench
