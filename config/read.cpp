// TOML -> Raw. The functions below are the list of known keys; a key that none of them reads is unknown.

#include <algorithm>
#include <array>

#include "config/calendar.hpp"
#include "config/raw.hpp"
#include "config/rules.hpp"
#include "config/section.hpp"

namespace sluice::config {
namespace {

constexpr double kMostCores = 8192;             // the kernel's own limit on processors
constexpr std::int64_t kMostBytes = 1LL << 50;  // 1 PiB
constexpr std::int64_t kMiB = 1LL << 20;

std::string name_fault(std::string_view name) {
  constexpr std::size_t kLongest = 128;
  if (!name.empty() && name.size() <= kLongest && std::all_of(name.begin(), name.end(), is_name_char))
    return {};
  return fmt::format("must be 1 to {} letters, digits and any of _ - . : @", kLongest);
}

// "{a,b}" is shell syntax, not fnmatch.
bool has_braces(std::string_view pattern) {
  const auto open = pattern.find('{');
  return open != std::string_view::npos && pattern.find('}', open) != std::string_view::npos;
}

// Refuses patterns that can match no unit on any host.
std::string unit_fault(std::string_view pattern) {
  constexpr auto kSuffixes = std::to_array<std::string_view>({".service", ".scope", ".slice"});
  if (pattern.empty()) return R"(must name a unit, such as "NAME.service" or "NAME@*.service")";
  if (pattern.find('/') != std::string_view::npos)
    return "must be a unit's name, without '/'; for a path use match.cgroup";
  if (pattern.find('\0') != std::string_view::npos) return "must not contain a NUL";
  if (has_braces(pattern))
    return "must not contain braces, which match themselves only: write one [[task]] for each unit";
  if (pattern.find_first_of(" \t,") != std::string_view::npos)
    return "must be one unit, without blanks or commas: write one [[task]] for each unit";
  if (pattern.find("@.") != std::string_view::npos)
    return R"(must not be a template, which has no cgroup: for all of its instances write "NAME@*.service")";
  const bool open_end = std::string_view("*?]").find(pattern.back()) != std::string_view::npos;
  if (open_end ||
      std::any_of(kSuffixes.begin(), kSuffixes.end(), [&](auto s) { return pattern.ends_with(s); }))
    return {};
  return "must end with " + listed(kSuffixes);
}

std::string cgroup_fault(std::string_view path) {
  if (!path.starts_with('/')) return "must begin with '/', the cgroup root; for a unit use match.unit";
  if (path.starts_with("/sys/fs/cgroup/"))
    return "must begin at the cgroup root, not at its mount point: leave out /sys/fs/cgroup";
  if (has_braces(path))
    return "must not contain braces, which match themselves only: write one [[task]] for each path";
  if (path.find(",/") != std::string_view::npos || path.find(" /") != std::string_view::npos)
    return "must be one path: write one [[task]] for each path";
  if (path == "/") return "must be below the root: the root itself has no limits";
  if (path.find('\0') != std::string_view::npos) return "must not contain a NUL";
  for (std::size_t at = 1; at <= path.size();) {
    const auto part = path.substr(at, path.find('/', at) - at);
    if (part.empty()) return "must not contain '//' nor end with '/'";
    if (part == "." || part == "..") return fmt::format("must not contain the component '{}'", part);
    at += part.size() + 1;
  }
  return {};
}

void read_node(Section& in, RawNode& node) {
  in.value("mode", node.mode,
           OneOf<Mode>{{{"enforce", Mode::enforce}, {"dry-run", Mode::dry_run}, {"observe", Mode::observe}}});
  in.value("tick", node.tick, InRange<Duration>{kDuration, 10ms, 10s});
  in.value("discovery", node.discovery, InRange<Duration>{kDuration, 100ms, 60s});
  in.value(
      "sampling", node.sampling,
      OneOf<Sampling>{{{"auto", Sampling::automatic}, {"bpf", Sampling::bpf}, {"files", Sampling::files}}});
  in.value("cpu_reserve", node.cpu_reserve, InRange<double>{kCores, 0, kMostCores});
  in.value("memory_reserve", node.memory_reserve, InRange<std::int64_t>{kBytes, 0, kMostBytes});
  in.value(
      "on_foreign_write", node.on_foreign_write,
      OneOf<OnForeignWrite>{{{"yield", OnForeignWrite::yield}, {"override", OnForeignWrite::override_it}}});
  in.value("share_by", node.share_by,
           OneOf<ShareBy>{{{"weight", ShareBy::weight}, {"quota", ShareBy::quota}}});
}

// The unit of a policy's `value` besides percent: the knob's own.
struct Absolute {
  std::string_view type;
  Ruled<double> (*read)(const toml::node&);
};
constexpr Absolute kOfCpu{"cores", [](const toml::node& node) {
                            return InRange<double>{kCores, 0.01, kMostCores}(node);
                          }};
constexpr Absolute kOfMemory{"bytes", [](const toml::node& node) -> Ruled<double> {
                               auto [bytes, must] = InRange<std::int64_t>{kBytes, kMiB, kMostBytes}(node);
                               if (!bytes) return {std::nullopt, std::move(must)};
                               return {static_cast<double>(*bytes), {}};
                             }};

// The policies of one direction; none if one of them is invalid.
std::optional<std::vector<ScalingPolicy>> read_policies(const toml::array& list, const std::string& path,
                                                        const Absolute& absolute, double most_percent,
                                                        const Reader& reader) {
  std::vector<ScalingPolicy> policies;
  bool right = true;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string key = fmt::format("{}[{}]", path, i);
    const auto* table = list[i].as_table();
    if (table == nullptr) {
      reader.wrong(list[i], key, R"(must be a table: {type = "percent", value = 100, period = "15s"})");
      right = false;
      continue;
    }
    Slot<ChangeType> type;
    Slot<double> value;
    Slot<Duration> period;
    Section::read(reader, *table, key, [&](Section& in) {
      in.value("type", type,
               OneOf<ChangeType>{{{"percent", ChangeType::percent}, {absolute.type, ChangeType::absolute}}});
      if (type.value == ChangeType::absolute) {
        in.value("value", value, absolute.read);
      } else if (type.value) {
        in.value("value", value, InRange<double>{kNumber, 1, most_percent});
      } else {
        value.given = in.get("value") != nullptr;  // of an unknown kind: only its presence is recorded
      }
      in.value("period", period, InRange<Duration>{kDuration, 100ms, 30min});
    });
    const auto missing = [&](bool given, std::string_view name, std::string_view example) {
      if (given) return;
      reader.report.add(reader.where(list[i].source()), path_of(key, name),
                        fmt::format("missing; add {} = {}", name, example));
    };
    missing(type.given, "type", fmt::format(R"("percent" or "{}")", absolute.type));
    missing(value.given, "value", "100");
    missing(period.given, "period", R"("15s")");
    right = right && type.value && value.value && period.value;
    if (type.value && value.value && period.value)
      policies.push_back({*type.value, *value.value, *period.value});
  }
  if (!right) return std::nullopt;
  return policies;
}

void read_rules(Section& in, RawScalingRules& rules, const Absolute& absolute, double most_percent) {
  constexpr std::size_t kMostPolicies = 8;
  in.value("stabilization", rules.stabilization, InRange<Duration>{kDuration, 0s, 1h});
  in.value(
      "select_policy", rules.select_policy,
      OneOf<SelectPolicy>{
          {{"max", SelectPolicy::max}, {"min", SelectPolicy::min}, {"disabled", SelectPolicy::disabled}}});
  const auto* node = in.get("policies");
  if (node == nullptr) return;
  auto& slot = rules.policies;
  slot = {true, std::nullopt, in.reader().where(node->source()), path_of(in.path(), "policies")};
  const auto* list = node->as_array();
  if (list == nullptr) {
    in.reader().wrong(*node, slot.key,
                      R"(must be an array of tables: [{type = "percent", value = 100, period = "15s"}])");
  } else if (list->size() > kMostPolicies) {
    in.reader().report.add(slot.where, slot.key,
                           fmt::format("found {} policies, must be at most {}", list->size(), kMostPolicies));
  } else {
    slot.value = read_policies(*list, slot.key, absolute, most_percent, in.reader());
  }
}

void read_scaling(Section& in, RawScaling& scaling, const Absolute& absolute) {
  constexpr double kMostRaise = 100'000, kMostCut = 100;  // percent
  in.table("scale_up", [&](Section& up) { read_rules(up, scaling.up, absolute, kMostRaise); });
  in.table("scale_down", [&](Section& down) { read_rules(down, scaling.down, absolute, kMostCut); });
}

void read_cpu(Section& in, RawCpu& cpu) {
  const InRange<double> cores{kCores, 0.01, kMostCores};
  in.value("enabled", cpu.enabled, true_or_false);
  in.value("min", cpu.min, cores);
  in.value("max", cpu.max, cores);
  in.value("initial", cpu.initial, cores);
  in.value("step", cpu.step, InRange<double>{kCores, 0, kMostCores});
  in.value("burst", cpu.burst, InRange<double>{kRatio, 0, 1});
  in.value("tolerance", cpu.tolerance, InRange<double>{kRatio, 0, 0.5, true});
  in.value("writes_per_minute", cpu.writes_per_minute, InRange<std::int64_t>{kWhole, 1, 600});
  read_scaling(in, cpu.scaling, kOfCpu);
}

void read_memory(Section& in, RawMemory& memory) {
  const InRange<std::int64_t> bytes{kBytes, kMiB, kMostBytes};
  in.value("enabled", memory.enabled, true_or_false);
  in.value("min", memory.min, bytes);
  in.value("max", memory.max, bytes);
  in.value("pressure_target", memory.pressure_target, InRange<double>{kRatio, 1e-5, 0.5});
  in.value("interval", memory.interval, InRange<Duration>{kDuration, 500ms, 10min});
  in.value("tolerance", memory.tolerance, InRange<double>{kRatio, 0, 0.5, true});
  in.value("writes_per_minute", memory.writes_per_minute, InRange<std::int64_t>{kWhole, 1, 600});
  read_scaling(in, memory.scaling, kOfMemory);
}

Ruled<Calendar> calendar(const toml::node& node) {
  const auto* v = node.as_string();
  if (v == nullptr) return {std::nullopt, R"(must be a string in quotes, such as "Mon..Fri 08:55")"};
  auto parsed = parse_calendar(v->get());
  if (!parsed) return {std::nullopt, std::move(parsed.error())};
  return {std::move(*parsed), {}};
}

RawScheduleEntry read_schedule_entry(const toml::node& node, const std::string& key, const Reader& reader) {
  RawScheduleEntry entry;
  const auto* table = node.as_table();
  if (table == nullptr) {
    reader.wrong(node, key, fmt::format("must be a table: write [[{}]]", header(key)));
    return entry;
  }
  const InRange<double> cores{kCores, 0.01, kMostCores};
  Section::read(reader, *table, key, [&](Section& in) {
    in.value("calendar", entry.calendar, calendar);
    in.value("for", entry.length, InRange<Duration>{kDuration, 1s, 31 * 24h});
    in.value("min", entry.min, cores);
    in.value("max", entry.max, cores);
  });
  const auto missing = [&](std::string_view name, std::string_view cure) {
    reader.report.add(reader.where(node.source()), path_of(key, name), fmt::format("missing; add {}", cure));
  };
  if (!entry.calendar.given) missing("calendar", R"(calendar = "Mon..Fri 08:55")");
  if (!entry.length.given) missing("for", R"(for = "2h")");
  if (!entry.min.given && !entry.max.given)
    missing("min", "min = 2, or max = 2: cores of the quota meanwhile");
  return entry;
}

void read_schedule(Section& in, Slot<std::vector<RawScheduleEntry>>& slot) {
  constexpr std::size_t kMostEntries = 64;
  const auto* node = in.get("schedule");
  if (node == nullptr) return;
  slot = {true, std::nullopt, in.reader().where(node->source()), path_of(in.path(), "schedule")};
  const auto* list = node->as_array();
  if (list == nullptr) {
    in.reader().wrong(
        *node, slot.key,
        fmt::format("must be an array of tables: write [[{}]], in two brackets", header(slot.key)));
  } else if (list->size() > kMostEntries) {
    in.reader().report.add(slot.where, slot.key,
                           fmt::format("found {} entries, must be at most {}", list->size(), kMostEntries));
  } else {
    auto& entries = slot.value.emplace();
    for (std::size_t i = 0; i < list->size(); ++i)
      entries.push_back(read_schedule_entry((*list)[i], fmt::format("{}[{}]", slot.key, i), in.reader()));
  }
}

void read_forecast(Section& in, RawForecast& forecast) {
  in.value("mode", forecast.mode,
           OneOf<ForecastMode>{{{"off", ForecastMode::off},
                                {"forecast-only", ForecastMode::forecast_only},
                                {"on", ForecastMode::on}}});
  in.value("season", forecast.season, InRange<Duration>{kDuration, 10min, 7 * 24h});
}

void read_policy(Section& in, RawPolicy& policy) {
  in.value("weight", policy.weight, InRange<double>{kNumber, 1, 10000});
  in.value("priority", policy.priority, InRange<std::int64_t>{kWhole, -1000, 1000});
  in.value("max_delay", policy.max_delay, InRange<Duration>{kDuration, 10ms, 10min});
  in.table("cpu", [&](Section& cpu) { read_cpu(cpu, policy.cpu); });
  in.table("memory", [&](Section& memory) { read_memory(memory, policy.memory); });
  read_schedule(in, policy.schedule);
  in.table("forecast", [&](Section& forecast) { read_forecast(forecast, policy.forecast); });
}

void read_task(Section& in, RawTask& task) {
  const bool matched = in.table("match", [&](Section& match) {
    match.value("unit", task.match_unit, text_without<unit_fault>);
    match.value("cgroup", task.match_cgroup, text_without<cgroup_fault>);
  });
  task.match_broken = !matched;
  in.value("name", task.name, text_without<name_fault>);
  in.value("class", task.class_name, text_without<name_fault>);
  read_policy(in, task.policy);
}

void read_classes(Section& in, RawConfig& raw) {
  for (const auto& [key, node] : in.all()) {
    const std::string_view name = key.str();
    if (auto says = name_fault(name); !says.empty()) {
      in.reader().report.add(in.reader().where(key.source()), path_of(in.path(), name),
                             "the class's name " + says);
    }
    // known even if invalid, so that its tasks are not reported too
    auto& policy = raw.classes[std::string(name)];
    in.table(name, [&](Section& section) { read_policy(section, policy); });
  }
}

// A task replaces an earlier file's task of the same name. Within one file names are unique.
void place_task(RawTask task, RawConfig& raw, Report& report) {
  const auto twin = std::find_if(raw.tasks.begin(), raw.tasks.end(), [&](const RawTask& t) {
    return task.name.value && t.name.value == task.name.value;
  });
  if (twin == raw.tasks.end()) {
    raw.tasks.push_back(std::move(task));
  } else if (twin->where.source < task.where.source) {
    *twin = std::move(task);
  } else {
    report.add(task.name.where, task.name.key,
               fmt::format("found {}, must differ from the name of the task at {}",
                           in_quotes(*task.name.value), report.place(twin->where)));
    raw.tasks.push_back(std::move(task));  // it is still checked
  }
}

void read_tasks(const toml::node& node, const Reader& reader, RawConfig& raw) {
  const auto* tasks = node.as_array();
  if (tasks == nullptr)
    return reader.wrong(node, "task", "must be an array of tables: write [[task]], in two brackets");
  for (std::size_t i = 0; i < tasks->size(); ++i) {
    const toml::node& entry = (*tasks)[i];
    RawTask task{.where = reader.where(entry.source()), .key = fmt::format("task[{}]", i)};
    if (const auto* table = entry.as_table()) {
      Section::read(reader, *table, task.key, [&](Section& in) { read_task(in, task); });
      place_task(std::move(task), raw, reader.report);
    } else {
      reader.wrong(entry, task.key, "must be a table: write [[task]]");
    }
  }
}

// toml++ frees nested tables by recursion. A dotted key nests as deep as it has dots, so a line of dots could
// overflow the stack. The deepest known key has six parts. Returns the first offending line, or 0.
std::uint32_t line_of_dots(std::string_view text) {
  constexpr std::ptrdiff_t kMostDots = 64;
  for (std::uint32_t number = 1; !text.empty(); ++number) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const auto first = line.find_first_not_of(" \t");
    if (first == std::string_view::npos || line[first] == '#') continue;
    if (std::count(line.begin(), line.end(), '.') > kMostDots) return number;
  }
  return 0;
}

// The parser's message, with a cure for the two most common mistakes.
std::string syntax_message(std::string_view said) {
  std::string text = fmt::format("not valid TOML: {}", said);
  for (auto at = text.find('\n'); at != std::string::npos; at = text.find('\n')) text[at] = ' ';
  if (said.find("decimal integer: expected digit") != std::string_view::npos) {
    text += R"(; a number with a unit is written in quotes, as "100ms")";
  } else if (said.find("could not determine value type") != std::string_view::npos) {
    text += "; text is written in quotes";
  }
  return text;
}

}  // namespace

bool read_source(std::span<const Source> sources, std::uint32_t index, RawConfig& raw, Report& report) {
  constexpr std::size_t kMostText = 1U << 20;
  const std::string& text = sources[index].text;
  if (text.size() > kMostText) {
    report.add({index, 0, 0}, {},
               fmt::format("found {} bytes, must be at most {}", text.size(), show_bytes(kMostText)));
    return false;
  }
  if (const auto line = line_of_dots(text); line != 0) {
    report.add({index, line, 1}, {},
               "found more than 64 dots in the line, must be fewer; no key nests that deep");
    return false;
  }
  const toml::parse_result parsed = toml::parse(text);
  if (!parsed) {
    const auto& at = parsed.error().source().begin;
    report.add({index, at.line, at.column}, {}, syntax_message(parsed.error().description()));
    return false;
  }
  const Reader reader{index, report};
  Section::read(reader, parsed.table(), "", [&](Section& top) {
    top.table("node", [&](Section& in) { read_node(in, raw.node); });
    top.table("class", [&](Section& in) { read_classes(in, raw); });
    if (const auto* tasks = top.get("task")) read_tasks(*tasks, reader, raw);
  });
  return true;
}

}  // namespace sluice::config
