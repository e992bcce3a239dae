#include "daemon/record/replay.hpp"

#include <algorithm>
#include <utility>

#include "daemon/record/lines.hpp"
#include "daemon/values/knob_value.hpp"

namespace sluice::record {
namespace {

const KnobState* knob_of(const State& state, CgroupId id, Knob knob) {
  const auto found = state.tasks.find(id);
  if (found == state.tasks.end()) return nullptr;
  const KnobState& k = found->second.knob(knob);
  return k.limit.present() ? &k : nullptr;
}

// The granted cores or bytes; an unlimited task may use the whole node.
double granted(const State& state, CgroupId id, Knob knob, double capacity) {
  const auto* k = knob_of(state, id, knob);
  return k != nullptr ? std::min(number_of(k->limit.value()), capacity) : capacity;
}

// Collects in `out` the increase that is removed from a counter, and removes it.
template <class Counter>
void take_out(Counter& counter, const Counter& last, Counter& out, bool larger) {
  if (counter < last) out = Counter{};  // it fell: another cgroup, or an implausible reading
  if (larger && counter > last) out += counter - last;
  counter -= std::min(out, counter);
}

}  // namespace

std::optional<Plan> Replay::take(const Entry& entry) {
  if (const auto* c = std::get_if<ConfigEntry>(&entry)) {
    config_ = c->config;
    if (std::exchange(configured_, true)) config_reloaded(state_);
  }
  const auto* t = std::get_if<TickEntry>(&entry);
  if (t == nullptr) return std::nullopt;
  auto outcome = tick(t->input, config_, std::move(state_));
  state_ = std::move(outcome.state);
  return std::move(outcome.plan);
}

bool same(const Plan& a, const Plan& b) {
  return plan_bytes(a) == plan_bytes(b);
}

WhatIf::WhatIf(config::Config config, Match match) : config_(std::move(config)), match_(std::move(match)) {}

bool WhatIf::grants_more(CgroupId id, const State& then) const {
  constexpr double kNoticeable = 1.02;
  const auto* now = knob_of(state_, id, Knob::cpu_max);
  const auto* old = knob_of(then, id, Knob::cpu_max);
  return now != nullptr && old != nullptr &&
         number_of(now->limit.value()) > kNoticeable * number_of(old->limit.value());
}

void WhatIf::ease(Sample& sample, bool larger) {
  Eased& e = eased_[sample.id];
  const Sample recorded = sample;
  const Sample& last = e.last ? *e.last : recorded;
  if (sample.bandwidth && last.bandwidth) {
    take_out(sample.bandwidth->nr_throttled, last.bandwidth->nr_throttled, e.periods, larger);
    take_out(sample.bandwidth->throttled, last.bandwidth->throttled, e.throttled, larger);
  }
  if (sample.cpu_pressure && last.cpu_pressure) {
    take_out(sample.cpu_pressure->some, last.cpu_pressure->some, e.some, larger);
    take_out(sample.cpu_pressure->full, last.cpu_pressure->full, e.full, larger);
  }
  if (sample.throttle && last.throttle) {
    take_out(sample.throttle->count, last.throttle->count, e.count, larger);
    take_out(sample.throttle->stopped, last.throttle->stopped, e.stopped, larger);
    take_out(sample.throttle->stopped_tasks, last.throttle->stopped_tasks, e.stopped_tasks, larger);
  }
  e.last = recorded;
}

// Shows the sample the baselines that the recorded daemon found. Later values come from its writes, not from
// ours.
void WhatIf::show_baselines(Sample& sample, const State& then) const {
  const auto show = [&]<class Value>(std::optional<Value>& field, Knob which) {
    const auto* own = knob_of(state_, sample.id, which);
    const auto* recorded = knob_of(then, sample.id, which);
    if (own != nullptr && own->limit.baseline()) {
      field.reset();
    } else if (recorded != nullptr && recorded->limit.baseline()) {
      field = std::get<Value>(*recorded->limit.baseline());
    }
  };
  show(sample.cpu_max, Knob::cpu_max);
  show(sample.memory_high, Knob::memory_high);
  show(sample.cpu_weight, Knob::cpu_weight);
}

Plan WhatIf::take(const TickEntry& entry, const State& then) {
  Input input;
  input.kind = entry.input.kind;
  input.now = entry.input.now;
  input.wall = entry.input.wall;
  input.node = entry.input.node;
  input.commands = entry.input.commands;
  input.profiles = entry.input.profiles;
  input.receipts = std::exchange(receipts_, {});
  for (const auto& e : entry.input.events) {
    if (!grants_more(e.id, then)) input.events.push_back(e);
  }
  for (auto o : entry.input.tasks) {
    Task& task = tasks_[o.facts.id];
    task.name = o.facts.name;
    const auto rule = match_(o.facts);
    task.governed = rule.has_value();
    if (!rule) continue;
    o.facts.config_index = *rule;
    if (o.sample) {
      ease(*o.sample, grants_more(o.facts.id, then));
      show_baselines(*o.sample, then);
    }
    input.tasks.push_back(std::move(o));
  }
  if (entry.input.kind == Input::Kind::full) account(entry.input, then);

  auto outcome = tick(input, config_, std::move(state_));
  state_ = std::move(outcome.state);
  for (const auto& w : entry.plan.writes) ++tasks_[w.id].recorded.writes;
  for (const auto& w : outcome.plan.writes) {
    ++tasks_[w.id].replayed.writes;
    if (outcome.plan.dry_run) continue;
    Receipt r;
    r.id = w.id;
    r.knob = w.knob;
    r.asked = w.value;
    r.holds = w.value;
    r.started_at = r.written_at = r.finished_at = input.now;
    r.caused_at = w.caused_at;
    receipts_.push_back(std::move(r));
  }
  return std::move(outcome.plan);
}

// Adds the limits in force since the last full tick, on both sides.
void WhatIf::account(const Input& input, const State& then) {
  const auto since = std::exchange(full_at_, input.now);
  if (!since || input.now <= *since) return;
  const double seconds = in_seconds(input.now - *since);
  const double cores = input.node.cpu_capacity_cores;
  const auto bytes = static_cast<double>(input.node.memory_capacity);
  for (const auto& o : input.tasks) {
    const auto known = then.tasks.find(o.facts.id);
    if (known == then.tasks.end()) continue;
    Task& task = tasks_[o.facts.id];
    task.seconds += seconds;
    const double quota = granted(state_, o.facts.id, Knob::cpu_max, cores);
    task.recorded.core_seconds += seconds * granted(then, o.facts.id, Knob::cpu_max, cores);
    task.recorded.byte_seconds += seconds * granted(then, o.facts.id, Knob::memory_high, bytes);
    task.replayed.core_seconds += seconds * quota;
    task.replayed.byte_seconds += seconds * granted(state_, o.facts.id, Knob::memory_high, bytes);
    const auto& last = known->second.sample;
    if (!o.sample || !last || !o.sample->cpu || !last->cpu || o.sample->cpu->usage < last->cpu->usage)
      continue;
    const double used = in_seconds(o.sample->cpu->usage - last->cpu->usage);
    task.used_core_seconds += used;
    task.short_core_seconds += std::max(0.0, used - seconds * quota);
  }
}

}  // namespace sluice::record
