#include "tests/simhost/scenario.hpp"

#include <toml++/toml.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>

namespace sluice::simhost {
namespace {

TaskSpec stream(std::string cgroup, const char* load, double cost_usec, unsigned threads) {
  TaskSpec spec;
  spec.cgroup = std::move(cgroup);
  spec.work.load = Load::parse(load).value();
  spec.work.cost_usec = cost_usec;
  spec.work.cost_sigma = 0.5;
  spec.work.threads = threads;
  spec.restart_after = Usec(2'000'000);
  return spec;
}

Scenario demo() {
  Scenario out;
  // Idle at 0.2 cores, and a burst of 2 cores for three seconds out of eight.
  TaskSpec clicks =
      stream("/system.slice/clicks.service", "burst:base=100,peak=1000,start=4,length=3,period=8", 2'000, 4);
  clicks.work.max_delay = Usec(500'000);
  // A day in twenty seconds, between 0.2 and 1.2 cores.
  TaskSpec orders =
      stream("/system.slice/orders.service", "diurnal:base=80,peak=480,period=20,noise=0.1", 2'500, 4);
  // Little CPU; a large cold cache, a small hot one, and growing state.
  TaskSpec sessions =
      stream("/system.slice/sessions.service", "shift:base=120,peak=180,start=12,noise=0.2", 1'500, 2);
  sessions.memory.anon_mib = Load::parse("leak:base=300,slope=4,peak=900").value();
  sessions.memory.file_cold = 900ULL << 20;
  sessions.memory.file_hot = 150ULL << 20;
  sessions.memory.cold_growth_bytes_per_s = 6.0 * (1 << 20);
  sessions.memory.file_cold_max = 2ULL << 30;
  sessions.memory.hot_cycle_s = 5;
  TaskSpec backup = stream("/system.slice/backup.service", "40", 10'000, 1);
  out.tasks = {clicks, orders, sessions, backup};
  return out;
}

tl::expected<double, std::string> parse_number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value) || value < 0) {
    return tl::unexpected("'" + std::string(text) + "' is not a number of 0 or more");
  }
  return value;
}

tl::expected<Scenario, std::string> load_file(const std::string& path) {
  if (access(path.c_str(), R_OK) != 0) {
    return tl::unexpected("scenario '" + path + "': " + std::strerror(errno) +
                          "; it is demo, empty or a TOML file");
  }
  toml::table table;
  try {
    table = toml::parse_file(path);
  } catch (const toml::parse_error& error) {
    return tl::unexpected(path + ":" + std::to_string(error.source().begin.line) + ": " +
                          std::string(error.description()));
  }
  Scenario out;
  const auto fail = [&](const toml::node& at, std::string_view key, const std::string& why) {
    return tl::unexpected(path + ":" + std::to_string(at.source().begin.line) + ": " + std::string(key) +
                          ": " + why);
  };
  for (const auto& [key, node] : table) {
    if (key.str() == "cgroups" && node.is_array()) {
      for (const auto& item : *node.as_array()) {
        if (!item.is_string()) return fail(item, "cgroups", "must hold strings, such as \"/system.slice\"");
        out.cgroups.push_back(**item.as_string());
      }
      continue;
    }
    if (key.str() != "task" || !node.is_array_of_tables()) {
      return fail(node, key.str(), "unknown; a scenario has cgroups = [...] and [[task]] tables");
    }
    for (const auto& item : *node.as_array()) {
      TaskSpec spec;
      for (const auto& [task_key, value] : *item.as_table()) {
        std::string text;
        if (const auto* string = value.as_string())
          text = **string;
        else if (const auto* integer = value.as_integer())
          text = std::to_string(**integer);
        else if (const auto* real = value.as_floating_point())
          text = std::to_string(**real);
        else if (const auto* boolean = value.as_boolean())
          text = **boolean ? "1" : "0";
        if (auto set = set_task_key(spec, task_key.str(), text); !set)
          return fail(value, task_key.str(), set.error());
      }
      if (spec.cgroup.empty())
        return fail(item, "cgroup", "is missing; say where the task lives, /system.slice/x.service");
      out.tasks.push_back(std::move(spec));
    }
  }
  return out;
}

}  // namespace

tl::expected<double, std::string> parse_bytes(std::string_view text) {
  static constexpr std::pair<std::string_view, double> kUnits[] = {
      {"KiB", 1024.0}, {"MiB", 1048576.0}, {"GiB", 1073741824.0},
      {"K", 1024.0},   {"M", 1048576.0},   {"G", 1073741824.0}};
  for (const auto& [suffix, factor] : kUnits) {
    if (!text.ends_with(suffix)) continue;
    const auto number = parse_number(text.substr(0, text.size() - suffix.size()));
    if (!number) return tl::unexpected(number.error() + " of " + std::string(suffix));
    return *number * factor;
  }
  const auto number = parse_number(text);
  if (!number)
    return tl::unexpected("'" + std::string(text) + "' is not a size such as 8GiB, 512MiB or 4096");
  return number;
}

tl::expected<void, std::string> set_task_key(TaskSpec& spec, std::string_view key, std::string_view value) {
  if (key == "cgroup") {
    if (!value.starts_with('/') || value.size() < 2)
      return tl::unexpected(std::string("must be a path below /"));
    spec.cgroup = value;
    return {};
  }
  if (key == "load" || key == "anon_mib") {
    auto load = Load::parse(value);
    if (!load) return tl::unexpected(load.error());
    if (key == "load")
      spec.work.load = *load;
    else
      spec.memory.anon_mib = *load;
    return {};
  }
  const std::pair<std::string_view, Bytes*> sizes[] = {{"anon", &spec.memory.anon},
                                                       {"kernel", &spec.memory.kernel},
                                                       {"file_hot", &spec.memory.file_hot},
                                                       {"file_cold", &spec.memory.file_cold},
                                                       {"file_cold_max", &spec.memory.file_cold_max},
                                                       {"churn_per_record", &spec.memory.churn_per_record}};
  for (const auto& [name, field] : sizes) {
    if (name != key) continue;
    const auto bytes = parse_bytes(value);
    if (!bytes) return tl::unexpected(bytes.error());
    *field = static_cast<Bytes>(*bytes);
    if (key == "anon") spec.memory.anon_mib.reset();
    return {};
  }
  if (key == "cold_growth_bytes_per_s") {
    const auto bytes = parse_bytes(value);
    if (!bytes) return tl::unexpected(bytes.error());
    spec.memory.cold_growth_bytes_per_s = *bytes;
    return {};
  }
  const auto number = parse_number(value);
  const std::pair<std::string_view, double*> numbers[] = {{"cost_usec", &spec.work.cost_usec},
                                                          {"cost_sigma", &spec.work.cost_sigma},
                                                          {"background_cores", &spec.work.background_cores},
                                                          {"hot_cycle_s", &spec.memory.hot_cycle_s},
                                                          {"refault_usec", &spec.memory.refault_usec},
                                                          {"system_share", &spec.system_share}};
  for (const auto& [name, field] : numbers) {
    if (name != key) continue;
    if (!number) return tl::unexpected(number.error());
    *field = *number;
    return {};
  }
  const auto whole = [&](auto store) -> tl::expected<void, std::string> {
    if (!number || *number != std::floor(*number))
      return tl::unexpected("'" + std::string(value) + "' is not a whole number");
    store(*number);
    return {};
  };
  if (key == "threads") return whole([&](double v) { spec.work.threads = static_cast<unsigned>(v); });
  if (key == "spin_threads")
    return whole([&](double v) { spec.work.spin_threads = static_cast<unsigned>(v); });
  if (key == "poisson") return whole([&](double v) { spec.work.poisson = v != 0; });
  if (key == "swappable") return whole([&](double v) { spec.memory.swappable = v != 0; });
  if (key == "max_delay_ms")
    return whole([&](double v) { spec.work.max_delay = Usec(static_cast<std::int64_t>(v * 1e3)); });
  if (key == "restart_after_ms") {
    return whole([&](double v) { spec.restart_after = Usec(static_cast<std::int64_t>(v * 1e3)); });
  }
  return tl::unexpected(
      std::string("unknown; a task has cgroup, load, cost_usec, cost_sigma, threads, poisson, "
                  "background_cores, spin_threads, "
                  "max_delay_ms, restart_after_ms, system_share, anon, anon_mib, kernel, file_hot, "
                  "file_cold, file_cold_max, "
                  "cold_growth_bytes_per_s, hot_cycle_s, refault_usec, churn_per_record, swappable"));
}

tl::expected<Scenario, std::string> load_scenario(const std::string& name) {
  if (name == "demo") return demo();
  if (name == "empty") return Scenario{};
  return load_file(name);
}

tl::expected<void, std::string> populate(Host& host, const Scenario& scenario) {
  for (const std::string& path : scenario.cgroups) {
    if (!host.make_path(path)) return tl::unexpected("cgroup '" + path + "' is no valid path");
  }
  for (const TaskSpec& task : scenario.tasks) {
    if (auto added = host.add_task(task); !added) return tl::unexpected(added.error());
  }
  return {};
}

}  // namespace sluice::simhost
