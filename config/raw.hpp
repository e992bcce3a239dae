// The content of the files, key by key, before classes, defaults and the checks across keys. Private to this
// folder.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "config/config.hpp"
#include "config/load.hpp"

namespace sluice::config {

struct Where {
  std::uint32_t source = 0;  // index into parse()'s sources
  std::uint32_t line = 0, column = 0;

  friend bool operator<(const Where& a, const Where& b) {
    return std::tie(a.source, a.line, a.column) < std::tie(b.source, b.line, b.column);
  }
};

// One key. `given` without a value: it is in a file but invalid and already reported, so no check may use it.
template <class T>
struct Slot {
  bool given = false;
  std::optional<T> value;
  Where where;
  std::string key;
};

struct RawNode {
  Slot<Mode> mode;
  Slot<Duration> tick, discovery;
  Slot<Sampling> sampling;
  Slot<double> cpu_reserve;
  Slot<std::int64_t> memory_reserve;
  Slot<OnForeignWrite> on_foreign_write;
  Slot<ShareBy> share_by;
};

struct RawScalingRules {
  Slot<Duration> stabilization;
  Slot<std::vector<ScalingPolicy>> policies;
  Slot<SelectPolicy> select_policy;
};
struct RawScaling {
  RawScalingRules up, down;
};

struct RawCpu {
  Slot<bool> enabled;
  Slot<double> min, max, initial, step, burst, tolerance;
  Slot<std::int64_t> writes_per_minute;
  RawScaling scaling;
};

struct RawMemory {
  Slot<bool> enabled;
  Slot<std::int64_t> min, max;
  Slot<double> pressure_target, tolerance;
  Slot<Duration> interval;
  Slot<std::int64_t> writes_per_minute;
  RawScaling scaling;
};

struct RawScheduleEntry {
  Slot<Calendar> calendar;
  Slot<Duration> length;
  Slot<double> min, max;
};

struct RawForecast {
  Slot<ForecastMode> mode;
  Slot<Duration> season;
};

struct RawPolicy {
  Slot<double> weight;
  Slot<std::int64_t> priority;
  Slot<Duration> max_delay;
  RawCpu cpu;
  RawMemory memory;
  Slot<std::vector<RawScheduleEntry>> schedule;
  RawForecast forecast;
};

struct RawTask {
  Where where{};
  std::string key{};  // "task[2]"
  bool match_broken = false;
  Slot<std::string> match_unit{}, match_cgroup{}, name{}, class_name{};
  RawPolicy policy{};
};

struct RawConfig {
  RawNode node;
  std::map<std::string, RawPolicy, std::less<>> classes;
  std::vector<RawTask> tasks;
};

// Collects problems of all stages, and sorts them into the order of the files at the end.
class Report {
 public:
  explicit Report(std::span<const Source> sources) : sources_(sources) {}

  void add(Where where, std::string key, std::string message) {
    found_.push_back(
        {where, {sources_[where.source].file, where.line, where.column, std::move(key), std::move(message)}});
  }
  [[nodiscard]] bool empty() const { return found_.empty(); }
  [[nodiscard]] std::string place(Where where) const;  // "file:line"
  [[nodiscard]] const std::string& file(Where where) const { return sources_[where.source].file; }
  std::vector<Problem> in_order() &&;

 private:
  std::span<const Source> sources_;
  std::vector<std::pair<Where, Problem>> found_;
};

// Reads one source over the earlier ones. False: syntax error, most of the file is unread.
bool read_source(std::span<const Source> sources, std::uint32_t index, RawConfig& raw, Report& report);

// Merges classes and defaults into tasks, and does the checks across keys.
Config resolve(const RawConfig& raw, Report& report);

}  // namespace sluice::config
