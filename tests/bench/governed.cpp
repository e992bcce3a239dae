#include "tests/bench/governed.hpp"

#include <utility>

namespace sluice::bench {

Governed::Governed(simhost::Host& host, Visibility visibility, Writer writer)
    : host_(host), visibility_(visibility), writer_(std::move(writer)) {
  config_.node.cpu_reserve_cores = 0;
  config_.node.memory_reserve_bytes = 0;
}

void Governed::add(CgroupId id, const std::string& cgroup, const config::TaskPolicy& policy) {
  config::Task rule;
  rule.match_cgroup = cgroup;
  rule.policy = policy;
  config_.tasks.push_back(rule);
  TaskFacts facts;
  facts.id = id;
  facts.cgroup = facts.name = cgroup;
  facts.config_index = config_.tasks.size() - 1;
  facts_.push_back(std::move(facts));
}

void Governed::full_tick() {
  Input in;
  in.kind = Input::Kind::full;
  in.wall.since_epoch = std::chrono::floor<std::chrono::seconds>(host_.now());
  for (TaskFacts& facts : facts_) {
    Sample sample = host_.sample(facts.id);
    if (visibility_ != Visibility::bytes) sample.flow.reset();
    if (known_ && visibility_ == Visibility::lag) {
      const simhost::Work& work = host_.task(facts.id)->work;
      ReportLoadCommand report;
      report.task = facts.name;
      report.load.lag = static_cast<double>(work.backlog());
      report.load.processed = static_cast<double>(work.finished_ever());
      report.until = MonotonicTime{host_.now() + std::chrono::seconds(2)};
      in.commands.emplace_back(report);
    }
    in.tasks.push_back({facts, std::move(sample)});
  }
  known_ = true;
  step(std::move(in), MonotonicTime{host_.now()});
}

void Governed::event_tick(std::vector<ThrottleEvent> events, MonotonicTime now) {
  if (!known_) return;
  Input in;
  in.kind = Input::Kind::event;
  in.events = std::move(events);
  step(std::move(in), now);
}

void Governed::step(Input in, MonotonicTime now) {
  in.now = now;
  in.node = host_.facts();
  in.receipts = std::exchange(receipts_, {});
  auto out = tick(in, config_, std::move(state_));
  state_ = std::move(out.state);
  for (const auto& n : out.report.notices) violations_ += n.kind == Notice::Kind::plan_violation ? 1 : 0;
  for (const auto& w : out.plan.writes) {
    receipts_.push_back(writer_(w));
    receipts_.back().caused_at = w.caused_at;
  }
}

}  // namespace sluice::bench
