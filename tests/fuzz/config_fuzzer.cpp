// Any texts, as any number of files (0xFF parts them: it is in no valid file), through the whole of config:
// it may refuse them, with a reason, but what it accepts keeps every promise of config.hpp.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "config/load.hpp"

namespace {

namespace config = sluice::config;

void require(bool promise) {
  if (!promise) std::abort();
}

template <class T>
bool within(T value, T low, T high) {
  return value >= low && value <= high;
}

void check(const config::ScalingRules& rules, double least_absolute, double most_percent) {
  require(within<config::Duration>(rules.stabilization, {}, std::chrono::hours(1)));
  require(rules.policies.size() <= 8);
  for (const auto& p : rules.policies) {
    require(within<config::Duration>(p.period, std::chrono::milliseconds(100), std::chrono::minutes(30)));
    require(p.type == config::ChangeType::percent ? within(p.value, 1.0, most_percent)
                                                  : within(p.value, least_absolute, 0x1p50));
  }
}

void check(const config::Scaling& scaling, double least_absolute) {
  check(scaling.up, least_absolute, 100'000);
  check(scaling.down, least_absolute, 100);
}

void check(const config::Cpu& cpu) {
  require(within(cpu.min_cores, 0.01, cpu.max_cores.value_or(8192)));
  require(within(cpu.initial_cores.value_or(cpu.min_cores), cpu.min_cores, cpu.max_cores.value_or(8192)));
  require(within(cpu.step_cores, 0.0, cpu.max_cores.value_or(8192)));
  require(within(cpu.burst_ratio.value_or(0), 0.0, 1.0));
  require(cpu.tolerance >= 0 && cpu.tolerance < 0.5);
  require(within(cpu.writes_per_minute, 1U, 600U));
  check(cpu.scaling, 0.01);
}

void check(const config::Memory& memory) {
  require(within<std::uint64_t>(memory.min_bytes, 1U << 20, memory.max_bytes.value_or(1ULL << 50)));
  require(within(memory.pressure_target, 1e-5, 0.5));
  require(
      within<config::Duration>(memory.interval, std::chrono::milliseconds(500), std::chrono::minutes(10)));
  require(memory.tolerance >= 0 && memory.tolerance < 0.5);
  require(within(memory.writes_per_minute, 1U, 600U));
  check(memory.scaling, 0x1p20);
}

void check(const config::Config& accepted) {
  const auto& node = accepted.node;
  require(within<config::Duration>(node.tick, std::chrono::milliseconds(10), node.discovery));
  require(within(node.cpu_reserve_cores, 0.0, 8192.0));
  for (const auto& task : accepted.tasks) {
    require(task.match_unit.has_value() != task.match_cgroup.has_value());
    require(!task.match_cgroup || task.match_cgroup->starts_with('/'));
    require(within(task.policy.weight, 1.0, 10000.0));
    require(within(task.policy.priority, -1000, 1000));
    check(task.policy.cpu);
    check(task.policy.memory);
  }
  const auto problem = config::check_minima(accepted, 8, 1ULL << 34);
  require(!problem || !config::describe(*problem).empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<config::Source> sources(1);
  for (const auto byte : std::string_view(reinterpret_cast<const char*>(data), size)) {
    if (static_cast<std::uint8_t>(byte) == 0xFF) {
      sources.emplace_back();
    } else {
      sources.back().text += byte;
    }
  }
  for (std::size_t i = 0; i < sources.size(); ++i) sources[i].file = "file" + std::to_string(i);

  const auto result = config::parse(sources);
  if (result) {
    check(*result);
  } else {
    require(!result.error().empty());
    for (const auto& problem : result.error())
      require(config::describe(problem).find('\n') == std::string::npos);
  }
  return 0;
}
