// What an administrator learns from the daemon over D-Bus. Nothing here looks into the daemon in any other
// way.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <vector>

namespace sluice::demo {

struct GovernedTask {
  std::string name, cgroup, mode;
  std::optional<double> cpu_max_cores, usage_cores, demand_cores;  // cpu_max: absent is no limit
  std::optional<std::uint64_t> memory_high, memory_current;
  std::optional<double> cpu_pressure, memory_pressure, throttled;
  std::uint64_t writes = 0;
};

struct Governor {
  std::string mode, state, sampling;
  double capacity_cores = 0, allocated_cores = 0;
  bool saturated = false;
  std::map<std::string, GovernedTask> tasks;  // by object path
};

struct AdjustmentRow {
  std::uint64_t at_usec = 0;  // CLOCK_REALTIME
  std::string task, knob;
  std::string sentence;  // "cpu.max 0.50 cores -> 1.20 cores: throttled in ..."
};

class GovernorClient {
 public:
  static tl::expected<GovernorClient, std::string> connect(const std::string& address);
  ~GovernorClient();
  GovernorClient(GovernorClient&&) noexcept;
  GovernorClient& operator=(GovernorClient&&) = delete;

  // Absent, with the reason, while the daemon is not on the bus.
  tl::expected<Governor, std::string> look();
  // What a task says of itself: ReportLoad, valid for two seconds.
  tl::expected<void, std::string> report_load(const std::string& path,
                                              const std::map<std::string, double>& load);
  // The adjustments since the last call, oldest first.
  tl::expected<std::vector<AdjustmentRow>, std::string> changes(const Governor& of);

 private:
  struct Impl;
  explicit GovernorClient(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::demo
