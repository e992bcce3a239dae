// The pure tick over N tasks: a full tick with every task's sample, and an event tick with one throttle
// event. Times are this machine's; what counts is the growth, which Google Benchmark fits (`_BigO`), and the
// share of a tick's 100 ms. A load that changes all the time, so that controllers and arbiter have something
// to do.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "daemon/governor.hpp"

namespace sluice {
namespace {

using namespace std::chrono_literals;

constexpr auto kTick = 100ms;
// Every history has its full length by then, and the write budgets are spent at their lasting pace.
constexpr auto kWarmUp = 70s;

class Node {
 public:
  explicit Node(std::size_t tasks) {
    config_.node.mode = config::Mode::enforce;
    config::Task rule;
    rule.match_cgroup = "/bench/*";
    config_.tasks.push_back(rule);
    input_.node = {.cpu_capacity_cores = static_cast<double>(tasks), .memory_capacity = tasks << 30};
    for (std::size_t i = 0; i < tasks; ++i) {
      Observation o;
      o.facts.id = CgroupId{i + 1};
      o.facts.name = "task-" + std::to_string(i);
      o.facts.cgroup = "/bench/" + o.facts.name;
      Sample s;
      s.id = o.facts.id;
      s.cpu = CpuUsage{};
      s.bandwidth = CpuBandwidth{};
      s.cpu_pressure = s.memory_pressure = PressureTotals{};
      s.memory_current = 512 << 20;
      s.memory_stat = MemoryStat{.anon = 256 << 20, .file = 128 << 20};
      s.memory_events = MemoryEvents{};
      s.swap_free = 0;
      s.cpu_max = CpuMax{};
      s.memory_high = s.memory_max = MemoryLimit{};
      o.sample = s;
      input_.tasks.push_back(o);
    }
    for (MonotonicTime end = input_.now + kWarmUp; input_.now < end;) full();
  }

  Outcome full() {
    input_.kind = Input::Kind::full;
    input_.now += kTick;
    ++ticks_;
    for (std::size_t i = 0; i < input_.tasks.size(); ++i) load(*input_.tasks[i].sample, i);
    input_.receipts = std::exchange(receipts_, {});
    return run(input_);
  }

  Outcome event() {
    Input in;
    in.receipts = std::exchange(receipts_, {});
    in.kind = Input::Kind::event;
    input_.now += 1ms;
    in.now = input_.now;
    in.node = input_.node;
    in.events = {{CgroupId{1 + ticks_++ % input_.tasks.size()}, in.now, 0}};
    return run(in);
  }

 private:
  // A sine of its own for each task; throttled while it is above the quota that the governor chose.
  void load(Sample& s, std::size_t i) {
    const double want = 0.5 + 0.4 * std::sin(static_cast<double>(ticks_) / 40 + static_cast<double>(i));
    const auto quota = s.cpu_max->quota ? std::chrono::duration<double>(*s.cpu_max->quota).count() /
                                              std::chrono::duration<double>(s.cpu_max->period).count()
                                        : 1e9;
    const auto used = Usec{static_cast<std::int64_t>(std::min(want, quota) * 1e5)};
    s.read_at = input_.now;
    // As the kernel does: what is above memory.high is reclaimed. The probes end at the task's floor.
    if (s.memory_high->bytes) s.memory_current = std::min(*s.memory_current, *s.memory_high->bytes);
    s.cpu->usage += used;
    s.bandwidth->nr_periods += 1;
    if (want > quota) {
      s.bandwidth->nr_throttled += 1;
      s.bandwidth->throttled += 30ms;
      s.cpu_pressure->some += 30ms;
    }
  }

  // Every write is carried out at once, and the next tick has its receipt.
  Outcome run(const Input& in) {
    Outcome out = tick(in, config_, std::move(state_));
    state_ = std::move(out.state);
    for (const auto& w : out.plan.writes) {
      Receipt r;
      r.id = w.id;
      r.knob = w.knob;
      r.asked = w.value;
      r.holds = w.value;
      r.started_at = r.written_at = r.finished_at = in.now;
      receipts_.push_back(r);
      auto& s = *input_.tasks[w.id.value - 1].sample;
      if (w.knob == Knob::cpu_max) {
        s.cpu_max = std::get<CpuMax>(w.value);
      } else {
        s.memory_high = std::get<MemoryLimit>(w.value);
      }
    }
    return out;
  }

  config::Config config_;
  Input input_;
  State state_;
  std::vector<Receipt> receipts_;
  std::uint64_t ticks_ = 0;
};

// One for each size: the warm-up takes longer than what is measured.
Node& node_of(std::int64_t tasks) {
  static std::map<std::int64_t, Node> nodes;
  return nodes.try_emplace(tasks, static_cast<std::size_t>(tasks)).first->second;
}

void full_tick(benchmark::State& state) {
  Node& node = node_of(state.range(0));
  std::size_t writes = 0;
  for (auto _ : state) writes += node.full().plan.writes.size();
  state.SetComplexityN(state.range(0));
  state.counters["per_task"] =
      benchmark::Counter(static_cast<double>(state.range(0)),
                         benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
  state.counters["writes_per_tick"] =
      benchmark::Counter(static_cast<double>(writes), benchmark::Counter::kAvgIterations);
}
BENCHMARK(full_tick)->RangeMultiplier(10)->Range(10, 10'000)->Unit(benchmark::kMillisecond)->Complexity();

void event_tick(benchmark::State& state) {
  Node& node = node_of(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(node.event());
  state.SetComplexityN(state.range(0));
}
BENCHMARK(event_tick)->RangeMultiplier(10)->Range(10, 10'000)->Unit(benchmark::kMillisecond)->Complexity();

}  // namespace
}  // namespace sluice

BENCHMARK_MAIN();
