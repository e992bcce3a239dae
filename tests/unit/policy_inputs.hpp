// Inputs for the tick: one task, whose counters the test moves.
#pragma once

#include <string>
#include <utility>

#include "daemon/tick/tick.hpp"
#include "daemon/values/knob_value.hpp"

namespace sluice::testing {

using namespace std::chrono_literals;

inline config::Config one_task_config() {
  config::Config c;
  c.node.cpu_reserve_cores = 0;
  c.node.memory_reserve_bytes = 0;
  config::Task t;
  t.match_unit = "a.service";
  t.policy.cpu.max_cores = 4;
  t.policy.memory.min_bytes = 16 << 20;
  c.tasks.push_back(t);
  return c;
}

// A host with one or more tasks; the test moves counters and knobs.
class Bench {
 public:
  explicit Bench(config::Config c = one_task_config()) : config(std::move(c)) {}

  static constexpr Bytes kMiB = 1 << 20;
  config::Config config;
  State state;
  Outcome last;
  MonotonicTime now{1000s};
  WallClock wall;
  NodeFacts node{8, Bytes{16} << 30};
  std::map<CgroupId, Observation> tasks;
  std::vector<ThrottleEvent> events;
  std::vector<Receipt> receipts;
  std::vector<Command> commands;
  std::vector<NamedProfile> profiles;
  bool auto_receipts = true;

  Sample& add(std::uint64_t id, CpuMax cpu = {}, MemoryLimit memory = {}, std::size_t config_index = 0) {
    Observation o;
    o.facts = {CgroupId{id}, "t" + std::to_string(id), "/t" + std::to_string(id), config_index};
    Sample s;
    s.id = CgroupId{id};
    s.read_at = now;
    s.cpu = CpuUsage{};
    s.bandwidth = CpuBandwidth{};
    s.cpu_pressure = s.memory_pressure = PressureTotals{};
    s.memory_current = 256 * kMiB;
    s.memory_stat = MemoryStat{.anon = 64 * kMiB, .file = 190 * kMiB, .unreclaimable = 2 * kMiB};
    s.memory_events = MemoryEvents{};
    s.cpu_max = cpu;
    s.memory_high = memory;
    o.sample = s;
    return *tasks.insert_or_assign(o.facts.id, o).first->second.sample;
  }
  Sample& sample(std::uint64_t id = 1) { return *tasks.at(CgroupId{id}).sample; }

  // Advances the time; the task uses `cores` and is throttled in every period or in none.
  void run_cpu(std::uint64_t id, Nsec dt, double cores, bool throttled, double throttled_cores = 0) {
    Sample& s = sample(id);
    const double sec = std::chrono::duration<double>(dt).count();
    const auto usec = [](double seconds) { return Usec{static_cast<std::int64_t>(seconds * 1e6)}; };
    s.cpu->usage += usec(cores * sec);
    const auto periods = static_cast<std::uint64_t>(dt / 100ms);
    s.bandwidth->nr_periods += cores > 0 ? periods : 0;
    if (throttled) s.bandwidth->nr_throttled += periods;
    s.bandwidth->throttled += usec(throttled_cores * sec);
  }

  const Outcome& full(Nsec dt = 100ms) {
    now += dt;
    return step(Input::Kind::full);
  }
  const Outcome& event(Nsec dt = 1ms) {
    now += dt;
    return step(Input::Kind::event);
  }

  double quota(std::uint64_t id = 1) const {
    return number_of(state.tasks.at(CgroupId{id}).cpu.limit.value());
  }
  double high(std::uint64_t id = 1) const {
    return number_of(state.tasks.at(CgroupId{id}).memory.limit.value());
  }
  const TaskState& task(std::uint64_t id = 1) const { return state.tasks.at(CgroupId{id}); }

  const Hold* hold_of(std::uint64_t id = 1) const {
    const auto found = state.holds.tasks.find(task(id).facts.name);
    return found == state.holds.tasks.end() ? nullptr : &found->second;
  }
  bool pinned(std::uint64_t id = 1) const { return hold_of(id) && hold_of(id)->pin; }

  // The kernel accepts the writes, and shows them in the next samples and receipts.
  void obey(const Plan& plan) {
    if (plan.dry_run) return;
    for (const auto& w : plan.writes) {
      receipts.push_back(written(w.id, w.knob, w.value, now));
      receipts.back().caused_at = w.caused_at;
      Sample& s = *tasks.at(w.id).sample;
      if (const auto* cpu = std::get_if<CpuMax>(&w.value)) s.cpu_max = *cpu;
      if (const auto* memory = std::get_if<MemoryLimit>(&w.value)) s.memory_high = *memory;
      if (const auto* weight = std::get_if<CpuWeight>(&w.value)) s.cpu_weight = *weight;
    }
  }

  static Receipt written(CgroupId id, Knob knob, const KnobValue& value, MonotonicTime at) {
    Receipt r;
    r.id = id;
    r.knob = knob;
    r.asked = value;
    r.holds = value;
    r.path = "/x";
    r.started_at = r.written_at = r.finished_at = at;
    return r;
  }
  static Receipt failed(const Write& w, Receipt::Result result, int error, MonotonicTime at) {
    Receipt r = written(w.id, w.knob, w.value, at);
    r.result = result;
    r.error_number = error;
    r.holds.reset();
    r.written_at = {};
    return r;
  }
  // The knob holds a value of ours, as after an order that was carried out.
  void hold(KnobState& knob, Knob which, const KnobValue& value, const Reason& reason = {}) {
    if (!knob.limit.baseline()) knob.limit.observe({KnobReading::File::present, unlimited(which), now - 1ms});
    if (const auto order = knob.limit.order()) knob.limit.answer(written({}, which, order->value, now));
    receipts.clear();
    knob.limit.send(value, reason, now);
    knob.limit.answer(written({}, which, value, now));
  }
  // The orders of a tick with `stopping`.
  Plan stop_plan() const {
    Input in;
    in.kind = Input::Kind::event;
    in.now = now;
    in.node = node;
    in.receipts = receipts;
    in.stopping = true;
    return tick(in, config, state).plan;
  }
  static KnobValue unlimited(Knob which) {
    if (which == Knob::cpu_weight) return CpuWeight{};
    return which == Knob::cpu_max ? KnobValue{CpuMax{}} : KnobValue{MemoryLimit{}};
  }

 private:
  const Outcome& step(Input::Kind kind) {
    Input in;
    in.kind = kind;
    in.now = now;
    in.wall = wall;
    in.node = node;
    in.events = std::exchange(events, {});
    in.receipts = std::exchange(receipts, {});
    in.commands = std::exchange(commands, {});
    in.profiles = std::exchange(profiles, {});
    if (kind == Input::Kind::full) {
      for (auto& [id, o] : tasks) {
        if (o.sample) o.sample->read_at = now;
        in.tasks.push_back(o);
      }
    }
    last = tick(in, config, std::move(state));
    state = last.state;
    if (auto_receipts) obey(last.plan);
    return last;
  }
};

// Of the order in flight, or of the value held.
inline Rule rule_of(const KnobState& knob) {
  return knob.limit.order() ? knob.limit.order()->reason.rule : knob.limit.reason().rule;
}

inline const Write* write_to(const Plan& plan, Knob knob, std::uint64_t id = 1) {
  for (const auto& w : plan.writes) {
    if (w.id.value == id && w.knob == knob) return &w;
  }
  return nullptr;
}

inline CpuMax cores(double n) {
  return cpu_max_of(n, Usec{100'000});
}
inline MemoryLimit mib(std::uint64_t n) {
  return {n << 20};
}

}  // namespace sluice::testing
