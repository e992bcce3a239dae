#include "tests/kernel/load/recording.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace sluice::load {

std::optional<std::int64_t> keyed_value(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const auto end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (!line.starts_with(key) || line.size() <= key.size() || line[key.size()] != ' ') continue;
    line.remove_prefix(key.size() + 1);
    std::int64_t value = 0;
    if (std::from_chars(line.data(), line.data() + line.size(), value).ec != std::errc()) return std::nullopt;
    return value;
  }
  return std::nullopt;
}

bool parse_cpu_max(std::string_view text, double cpus, double& cores, double& period_seconds) {
  const auto space = text.find(' ');
  if (space == std::string_view::npos) return false;
  double quota = 0, period = 0;
  auto number = [](std::string_view s, double& value) {
    return std::from_chars(s.data(), s.data() + s.size(), value).ec == std::errc() && value > 0;
  };
  if (!number(text.substr(space + 1), period)) return false;
  period_seconds = period / 1e6;
  if (text.substr(0, space) == "max") {
    cores = cpus;
    return true;
  }
  if (!number(text.substr(0, space), quota)) return false;
  cores = std::min(quota / period, cpus);
  return true;
}

void Recording::add(const Look& look) {
  if (!last_) {
    first_ = last_ = look;
    quota_min_cores_ = quota_max_cores_ = look.quota_cores;
    return;
  }
  const double held = static_cast<double>(look.at_usec - last_->at_usec) / 1e6;
  quota_core_seconds_ += last_->quota_cores * held;
  memory_byte_seconds_ += last_->memory_bytes * held;
  quota_min_cores_ = std::min(quota_min_cores_, look.quota_cores);
  quota_max_cores_ = std::max(quota_max_cores_, look.quota_cores);
  quota_changes_ += look.quota_cores != last_->quota_cores ? 1 : 0;
  memory_high_changes_ += look.memory_high_bytes != last_->memory_high_bytes ? 1 : 0;
  last_ = look;
}

std::string Recording::json() const {
  if (!first_ || last_->at_usec <= first_->at_usec) return R"({"seconds": 0})";
  const double seconds = static_cast<double>(last_->at_usec - first_->at_usec) / 1e6;
  return fmt::format(
      R"({{"seconds": {:.3f}, "allocated_cores": {:.4f}, "used_cores": {:.4f}, "quota_min_cores": {:.4f}, )"
      R"("quota_max_cores": {:.4f}, "quota_changes": {}, "memory_mean_bytes": {:.0f}, "memory_high_changes": {}, )"
      R"("memory_some_ratio": {:.6f}}})",
      seconds, quota_core_seconds_ / seconds,
      static_cast<double>(last_->usage_usec - first_->usage_usec) / 1e6 / seconds, quota_min_cores_,
      quota_max_cores_, quota_changes_, memory_byte_seconds_ / seconds, memory_high_changes_,
      static_cast<double>(last_->memory_some_usec - first_->memory_some_usec) / 1e6 / seconds);
}

}  // namespace sluice::load
