// The figures of a recording: what a cgroup was given and used over time. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::load {

struct Look {
  std::int64_t at_usec = 0;
  double quota_cores = 0;  // "max" counts as all CPUs
  double period_seconds = 0;
  std::int64_t usage_usec = 0;
  std::optional<double> memory_high_bytes = {};  // none: max
  double memory_bytes = 0;
  std::int64_t memory_some_usec = 0;
};

// The value after "key " at the start of a line; none if there is no such line.
std::optional<std::int64_t> keyed_value(std::string_view text, std::string_view key);
// "QUOTA PERIOD" of cpu.max as cores and seconds; false if the text is malformed.
bool parse_cpu_max(std::string_view text, double cpus, double& cores, double& period_seconds);

// Time-weighted: the values of each sample hold until the next one.
class Recording {
 public:
  void add(const Look& look);
  [[nodiscard]] std::string json() const;

 private:
  std::optional<Look> first_, last_;
  double quota_core_seconds_ = 0, memory_byte_seconds_ = 0;
  double quota_min_cores_ = 0, quota_max_cores_ = 0;
  long quota_changes_ = 0, memory_high_changes_ = 0;
};

}  // namespace sluice::load
