#include "config/load.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "config/raw.hpp"
#include "config/units.hpp"

namespace sluice::config {

std::string describe(const Problem& problem) {
  std::string text = problem.file;
  if (problem.line != 0) text += fmt::format(":{}:{}", problem.line, problem.column);
  text += ": ";
  if (!problem.key.empty()) text += fmt::format("key '{}': ", problem.key);
  return text + problem.message;
}

std::string Report::place(Where where) const {
  return fmt::format("{}:{}", sources_[where.source].file, where.line);
}

std::vector<Problem> Report::in_order() && {
  std::stable_sort(found_.begin(), found_.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Problem> problems;
  problems.reserve(found_.size());
  for (auto& [where, problem] : found_) problems.push_back(std::move(problem));
  return problems;
}

Result parse(std::span<const Source> sources) {
  Report report(sources);
  RawConfig raw;
  bool readable = true;
  for (std::uint32_t i = 0; i < sources.size(); ++i) readable &= read_source(sources, i, raw, report);
  // After a syntax error the checks across keys are skipped: they would report consequences of the unread
  // part.
  Config config;
  if (readable) config = resolve(raw, report);
  if (!report.empty()) return tl::unexpected(std::move(report).in_order());
  return config;
}

namespace {

bool is_one_cgroup(const Task& task) {
  const auto& match = task.match_unit ? task.match_unit : task.match_cgroup;
  return match && match->find_first_of("*?[") == std::string::npos;
}

Problem at_origin(const Task& task, std::string key, std::string message) {
  Problem problem{
      .file = task.origin, .line = 0, .column = 0, .key = std::move(key), .message = std::move(message)};
  if (const auto colon = task.origin.rfind(':'); colon != std::string::npos) {
    const char* end = task.origin.data() + task.origin.size();
    if (std::from_chars(task.origin.data() + colon + 1, end, problem.line).ptr == end) {
      problem.file.resize(colon);
      problem.column = 1;
    }
  }
  return problem;
}

}  // namespace

std::optional<Problem> check_minima(const Config& config, double capacity_cores,
                                    std::uint64_t capacity_bytes) {
  const double cores_room = std::max(0.0, capacity_cores - config.node.cpu_reserve_cores);
  const auto bytes_room = capacity_bytes - std::min(capacity_bytes, config.node.memory_reserve_bytes);
  double cores = 0;
  std::uint64_t bytes = 0;
  int cpu_tasks = 0, memory_tasks = 0;
  for (const auto& task : config.tasks) {
    if (!is_one_cgroup(task)) continue;
    const auto& cpu = task.policy.cpu;
    const auto& memory = task.policy.memory;
    if (cpu.enabled) {
      ++cpu_tasks;
      cores += cpu.least_cores(cpu.min_cores, cpu.max_cores.value_or(cores_room));
      if (cores > cores_room + 1e-9) {
        return at_origin(
            task, "cpu.min",
            fmt::format("found minima of {} in {} task(s) so far, must be at most {}: the node's {} less "
                        "node.cpu_reserve; lower the minima or the reserve",
                        show_cores(cores), cpu_tasks, show_cores(cores_room), show_cores(capacity_cores)));
      }
    }
    if (memory.enabled) {
      ++memory_tasks;
      bytes += memory.min_bytes;
      if (bytes > bytes_room) {
        return at_origin(
            task, "memory.min",
            fmt::format("found minima of {} in {} task(s) so far, must be at most {}: the node's {} less "
                        "node.memory_reserve; lower the minima or the reserve",
                        show_bytes(static_cast<std::int64_t>(bytes)), memory_tasks,
                        show_bytes(static_cast<std::int64_t>(bytes_room)),
                        show_bytes(static_cast<std::int64_t>(capacity_bytes))));
      }
    }
  }
  return std::nullopt;
}

std::vector<Problem> check_sizes(const Config& config, double capacity_cores, std::uint64_t capacity_bytes) {
  // From here on a number may be meant as a percentage, and is not a size for a larger node.
  constexpr double kPercentFrom = 50;
  std::vector<Problem> problems;
  const auto add = [&](const Stated& s, std::string message) {
    problems.push_back({s.file, s.line, s.column, s.key, std::move(message)});
  };
  const std::string cores = show_cores(capacity_cores);
  const std::string bytes = show_bytes(static_cast<std::int64_t>(capacity_bytes));
  for (const auto& s : config.stated) {
    const bool beyond = s.cores ? *s.cores > capacity_cores + 1e-9 : s.bytes.value_or(0) > capacity_bytes;
    const bool all =
        s.reserve && (s.cores ? *s.cores >= capacity_cores : s.bytes.value_or(0) >= capacity_bytes);
    if (!beyond && !all) continue;
    const std::string found =
        s.cores ? show_cores(*s.cores) : show_bytes(static_cast<std::int64_t>(*s.bytes));
    if (s.cores && *s.cores >= kPercentFrom && *s.cores / 100 <= capacity_cores + 1e-9) {
      add(s, fmt::format("found {}, which this node has not: it has {}; if percent of a CPU are meant, write "
                         "\"{}%\", which is {}",
                         found, cores, show_number(*s.cores), show_cores(*s.cores / 100)));
    } else if (s.reserve) {
      add(s, fmt::format("found {} kept back of the node's {}: nothing is left to give", found,
                         s.cores ? cores : bytes));
    } else {
      add(s, fmt::format("found {}, which this node has not: it counts as the node's {} less its reserve",
                         found, s.cores ? cores : bytes));
    }
  }
  return problems;
}

}  // namespace sluice::config
