// The pure tick with N tasks: a full tick with every task's sample, and an event tick with one throttle
// event. Times are this machine's; the last lines compare them with the goals, and nothing asserts them. The
// load changes all the time, so that controllers and arbitration have work.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <utility>

#include "daemon/tick/tick.hpp"

namespace sluice {
namespace {

using namespace std::chrono_literals;

constexpr auto kTick = 100ms;
// By then every history has its full length, and the write budgets are spent at their steady rate.
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
  // Each task has its own sine; it is throttled while the load is above its quota.
  void load(Sample& s, std::size_t i) {
    const double want = 0.5 + 0.4 * std::sin(static_cast<double>(ticks_) / 40 + static_cast<double>(i));
    const auto quota = s.cpu_max->quota ? std::chrono::duration<double>(*s.cpu_max->quota).count() /
                                              std::chrono::duration<double>(s.cpu_max->period).count()
                                        : 1e9;
    const auto used = Usec{static_cast<std::int64_t>(std::min(want, quota) * 1e5)};
    s.read_at = input_.now;
    // As in the kernel: memory above memory.high is reclaimed. The probes end at the task's floor.
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

// One node per size, because the warm-up takes longer than the measurement.
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
constexpr std::int64_t kMany = 1'000, kMost = 10'000;
// One minute, in which budgets are spent and return; ticks with and without writes differ.
BENCHMARK(full_tick)
    ->RangeMultiplier(10)
    ->Range(10, kMost)
    ->Iterations(kBudgetWindow / kTick)
    ->Unit(benchmark::kMillisecond)
    ->Complexity();

void event_tick(benchmark::State& state) {
  Node& node = node_of(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(node.event());
  state.SetComplexityN(state.range(0));
}
BENCHMARK(event_tick)->RangeMultiplier(10)->Range(10, kMost)->Unit(benchmark::kMillisecond)->Complexity();

// The usual table and a summary. The minimum of the repetitions counts, because the others include other
// load.
class Goals : public benchmark::ConsoleReporter {
 public:
  using ConsoleReporter::ConsoleReporter;

  void ReportRuns(const std::vector<Run>& runs) override {
    ConsoleReporter::ReportRuns(runs);
    for (const auto& run : runs) {
      if (run.run_type != Run::RT_Iteration || run.run_name.function_name != "full_tick") continue;
      const auto [least, added] = full_tick_ms_.try_emplace(run.complexity_n, run.GetAdjustedCPUTime());
      if (!added) least->second = std::min(least->second, run.GetAdjustedCPUTime());
    }
  }

  void Finalize() override {
    ConsoleReporter::Finalize();
    const auto many = full_tick_ms_.find(kMany), most = full_tick_ms_.find(kMost);
    if (many == full_tick_ms_.end()) return;
    tell("ms, a full tick of 1,000 tasks", many->second, 2);
    tell("% of a core, at ten of them a second", many->second * kTicksPerSecond / 1000 * 100, 1);
    if (most == full_tick_ms_.end()) return;
    const double ratio = most->second / many->second;
    tell("times as long for ten times the tasks", ratio, 11);
    std::printf("%8.2f is the exponent of that growth; 1 would be linear\n",
                std::log(ratio) / std::log(static_cast<double>(kMost) / kMany));
  }

 private:
  static constexpr double kTicksPerSecond = 1s / std::chrono::duration<double>(kTick);
  static void tell(const char* what, double is, double most) {
    std::printf("%8.2f %s; goal: at most %g, %s\n", is, what, most, is <= most ? "met" : "missed");
  }
  std::map<std::int64_t, double> full_tick_ms_;  // by the number of tasks
};

}  // namespace
}  // namespace sluice

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  sluice::Goals goals(sluice::Goals::OO_Tabular);
  benchmark::RunSpecifiedBenchmarks(&goals);
  benchmark::Shutdown();
}
