// The simulated host with the governor, in one process: model time only, hours take seconds. Every plan is
// checked against the invariants in every tick.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <iostream>
#include <utility>

#include "daemon/tick/tick.hpp"
#include "daemon/values/knob_value.hpp"
#include "tests/simhost/model.hpp"

namespace sluice::testing {

using namespace std::chrono_literals;

class GovernedHost {
 public:
  explicit GovernedHost(const simhost::HostSpec& spec) : host(spec) {
    config.node.cpu_reserve_cores = 0;
    config.node.memory_reserve_bytes = 0;
    host.on_throttle([this](const ThrottleEvent& e) {
      if (events_.empty() || events_.back().id != e.id) events_.push_back(e);
    });
  }

  // Baselines are the current values of the knobs, so set these first.
  CgroupId add(const simhost::TaskSpec& spec, const config::TaskPolicy& policy = {}) {
    const auto id = host.add_task(spec).value();
    config::Task rule;
    rule.match_cgroup = spec.cgroup;
    rule.policy = policy;
    config.tasks.push_back(rule);
    TaskFacts facts;
    facts.id = id;
    facts.cgroup = spec.cgroup;
    facts.name = spec.cgroup;
    facts.config_index = config.tasks.size() - 1;
    facts_.push_back(facts);
    return id;
  }

  void set_quota(CgroupId id, double cores, Usec burst = {}) {
    auto v = cpu_max_of(cores, Usec{100'000});
    v.burst = burst;
    host.set_cpu_max(*host.find(id), static_cast<std::uint64_t>(v.quota->count()) * 1000, 100'000'000);
    host.set_cpu_burst(*host.find(id), static_cast<std::uint64_t>(burst.count()));
  }

  // Kernel events reach the governor within a millisecond, as on a real host.
  void run(Nsec length, const std::function<void()>& each_tick = {}) {
    const auto until = host.now() + std::chrono::duration_cast<Usec>(length);
    while (host.now() < until) {
      const auto next = host.now() + 100'000us;
      while (host.now() < next) {
        host.advance(1'000us);
        if (!events_.empty() && host.now() < next) step(Input::Kind::event);
      }
      step(Input::Kind::full);
      if (each_tick) each_tick();
    }
  }

  double quota(CgroupId id) const { return number_of(state.tasks.at(id).cpu.limit.value()); }
  double high(CgroupId id) const { return number_of(state.tasks.at(id).memory.limit.value()); }
  MonotonicTime now() const { return MonotonicTime{host.now()}; }

  simhost::Host host;
  config::Config config;
  State state;
  Report report;
  std::vector<Command> commands;
  std::vector<NamedProfile> profiles;
  bool stopping = false;
  std::chrono::seconds wall_at_start{};            // since the epoch, UTC
  std::function<Receipt(const Write&)> intercept;  // injects faults into writes
  std::function<void(Observation&)> distort;       // changes what the governor sees of a task
  std::function<void(const Input&, const Plan&)> on_tick;
  std::size_t writes = 0, violations = 0;
  std::map<std::pair<CgroupId, Knob>, std::size_t> most_writes_a_minute;

 private:
  void step(Input::Kind kind) {
    Input in;
    in.kind = kind;
    in.now = MonotonicTime{host.now()};
    in.node = host.facts();
    if (kind == Input::Kind::full)
      in.wall = {wall_at_start + std::chrono::floor<std::chrono::seconds>(host.now()), {}};
    in.events = std::exchange(events_, {});
    in.receipts = std::exchange(receipts_, {});
    in.commands = std::exchange(commands, {});
    in.profiles = std::exchange(profiles, {});
    in.stopping = stopping;
    if (kind == Input::Kind::full) {
      for (const auto& f : facts_) {
        in.tasks.push_back({f, host.sample(f.id)});
        if (distort) distort(in.tasks.back());
      }
    }
    auto out = tick(in, config, std::move(state));
    state = std::move(out.state);
    report = std::move(out.report);
    if (on_tick) on_tick(in, out.plan);
    for (const auto& n : report.notices) {
      if (n.kind != Notice::Kind::plan_violation) continue;
      ++violations;
      std::cerr << "violated: " << n.invariant << "\n";
    }
    check_capacity();
    if (out.plan.dry_run) return;
    for (const auto& w : out.plan.writes) carry_out(w);
  }

  void carry_out(const Write& w) {
    ++writes;
    // A release is exempt from the write budget; the breaker's back-off limits releases.
    if (w.reason.rule != Rule::released) budgeted(w);
    receipts_.push_back(intercept ? intercept(w) : host.apply(w));
    receipts_.back().caused_at = w.caused_at;
  }

  void budgeted(const Write& w) {
    auto& log = log_[{w.id, w.knob}];
    log.push_back(host.now());
    while (host.now() - log.front() >= 1min) log.pop_front();
    auto& most = most_writes_a_minute[{w.id, w.knob}];
    most = std::max(most, log.size());
  }

  // After the plan is carried out, our quotas that a plan may move add up to at most the node. Quotas whose
  // write budget is spent, that are being released or left alone do not count. Their tasks, and tasks whose
  // limit is not ours, count by usage.
  void check_capacity() const {
    double sum = 0, minima = 0;
    for (const auto& [id, t] : state.tasks) {
      const auto& cpu = rule_of(t.facts, config).policy.cpu;
      const auto& limit = t.cpu.limit;
      minima += cpu.least_cores(cpu.min_cores, host.spec().cpus);
      const bool held = state.holds.node || state.holds.tasks.contains(t.facts.name);
      if (t.sample && t.sample->frozen) continue;  // it can use none
      if (held || t.breaker.state == BreakerState::open || now() < t.yield_until) continue;
      if (limit.in_flight() && limit.order()->reason.rule != Rule::released) {
        sum += number_of(limit.order()->value);
      } else if (limit.touched() && limit.may_send() && t.cpu.writes.size() < cpu.writes_per_minute) {
        sum += number_of(limit.value());
      }
    }
    if (minima > host.spec().cpus) return;  // they are shared; MinimaAreShared tests that
    if (state.cpu_full) return;             // cpu.weight shares the node
    EXPECT_LE(sum, host.spec().cpus * 1.01) << "at " << host.now().count() << " us" << [&] {
      std::string s;
      for (const auto& [id, t] : state.tasks) {
        s += "\n" + t.facts.name + " holds " + std::to_string(number_of(t.cpu.limit.value())) +
             (t.cpu.limit.order() ? ", asked " + std::to_string(number_of(t.cpu.limit.order()->value)) : "") +
             ", by " + std::string(to_string(t.cpu.limit.reason().rule)) + ", breaker " +
             std::string(to_string(t.breaker.state)) + ", min " +
             std::to_string(rule_of(t.facts, config).policy.cpu.min_cores) + ", writes " +
             std::to_string(t.cpu.writes.size()) + " of " +
             std::to_string(rule_of(t.facts, config).policy.cpu.writes_per_minute);
      }
      return s;
    }();
  }

  std::vector<TaskFacts> facts_;
  std::vector<ThrottleEvent> events_;
  std::vector<Receipt> receipts_;
  std::map<std::pair<CgroupId, Knob>, std::deque<Usec>> log_;
};

}  // namespace sluice::testing
