#include "tests/demo/governor_client.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "daemon/publish/bus/bus_compat.hpp"

namespace sluice::demo {
namespace {

namespace compat = publish::compat;
constexpr const char* kService = "org.sluice.Governor1";
constexpr const char* kRoot = "/org/sluice/Governor1";
constexpr const char* kManager = "org.sluice.Governor1.Manager";
constexpr const char* kTask = "org.sluice.Governor1.Task";
constexpr auto kPatience = std::chrono::seconds(2);
constexpr std::uint64_t kInfinity = std::numeric_limits<std::uint64_t>::max();

using Properties = std::map<std::string, sdbus::Variant>;
using Objects = std::map<sdbus::ObjectPath, std::map<std::string, Properties>>;
using HistoryRow =
    sdbus::Struct<std::uint64_t, std::string, std::uint64_t, std::uint64_t, std::string, std::string>;

template <class Value>
Value get(const Properties& from, const char* name) {
  const auto found = from.find(name);
  return found == from.end() ? Value{} : found->second.get<Value>();
}

std::optional<std::uint64_t> finite(const Properties& from, const char* name) {
  const auto value = get<std::uint64_t>(from, name);
  return value == kInfinity ? std::nullopt : std::optional(value);
}

std::optional<double> cores(const Properties& from, const char* name) {
  const auto usec = finite(from, name);
  return usec ? std::optional(static_cast<double>(*usec) / 1e6) : std::nullopt;
}

std::optional<double> ratio(const Properties& from, const char* name) {
  const auto value = get<double>(from, name);
  return std::isnan(value) ? std::nullopt : std::optional(value);
}

GovernedTask read_task(const Properties& from) {
  return {.name = get<std::string>(from, "Name"),
          .cgroup = get<std::string>(from, "ControlGroup"),
          .mode = get<std::string>(from, "Mode"),
          .cpu_max_cores = cores(from, "CPUQuotaPerSecUSec"),
          .usage_cores = cores(from, "CPUUsagePerSecUSec"),
          .demand_cores = cores(from, "CPUDemandPerSecUSec"),
          .memory_high = finite(from, "MemoryHigh"),
          .memory_current = finite(from, "MemoryCurrent"),
          .cpu_pressure = ratio(from, "CPUPressureRatio"),
          .memory_pressure = ratio(from, "MemoryPressureRatio"),
          .throttled = ratio(from, "ThrottledRatio"),
          .writes = get<std::uint64_t>(from, "WritesTotal")};
}

}  // namespace

struct GovernorClient::Impl {
  std::unique_ptr<sdbus::IConnection> bus;
  std::map<std::string, std::uint64_t> seen;  // by object path: up to when
};

GovernorClient::GovernorClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
GovernorClient::~GovernorClient() = default;
GovernorClient::GovernorClient(GovernorClient&&) noexcept = default;

tl::expected<GovernorClient, std::string> GovernorClient::connect(const std::string& address) {
  try {
    auto impl = std::make_unique<Impl>();
    impl->bus = sdbus::createSessionBusConnectionWithAddress(address);
    return GovernorClient(std::move(impl));
  } catch (const sdbus::Error& error) {
    return tl::unexpected("cannot connect to '" + address + "': " + error.getMessage());
  }
}

tl::expected<Governor, std::string> GovernorClient::look() {
  try {
    Objects objects;
    compat::create_proxy(*impl_->bus, kService, kRoot)
        ->callMethod("GetManagedObjects")
        .onInterface("org.freedesktop.DBus.ObjectManager")
        .withTimeout(kPatience)
        .storeResultsTo(objects);
    // The manager is the root itself, which GetManagedObjects leaves out.
    Properties manager;
    compat::create_proxy(*impl_->bus, kService, kRoot)
        ->callMethod("GetAll")
        .onInterface("org.freedesktop.DBus.Properties")
        .withTimeout(kPatience)
        .withArguments(std::string(kManager))
        .storeResultsTo(manager);
    Governor out;
    out.mode = get<std::string>(manager, "Mode");
    out.state = get<std::string>(manager, "State");
    out.sampling = get<std::string>(manager, "SamplingMode");
    out.capacity_cores = static_cast<double>(get<std::uint64_t>(manager, "CPUCapacityUSecPerSec")) / 1e6;
    out.allocated_cores = static_cast<double>(get<std::uint64_t>(manager, "CPUAllocatedUSecPerSec")) / 1e6;
    out.saturated = get<bool>(manager, "Saturated");
    for (const auto& [path, interfaces] : objects) {
      const auto task = interfaces.find(kTask);
      if (task != interfaces.end()) out.tasks.emplace(path, read_task(task->second));
    }
    return out;
  } catch (const sdbus::Error& error) {
    return tl::unexpected(error.getMessage());
  }
}

tl::expected<void, std::string> GovernorClient::report_load(const std::string& path,
                                                            const std::map<std::string, double>& load) {
  try {
    compat::create_proxy(*impl_->bus, kService, path)
        ->callMethod("ReportLoad")
        .onInterface(kTask)
        .withTimeout(kPatience)
        .withArguments(load, std::uint64_t{2'000'000});
    return {};
  } catch (const sdbus::Error& error) {
    return tl::unexpected(error.getMessage());
  }
}

tl::expected<std::vector<AdjustmentRow>, std::string> GovernorClient::changes(const Governor& of) {
  std::vector<AdjustmentRow> out;
  try {
    for (const auto& [path, task] : of.tasks) {
      std::vector<HistoryRow> rows;
      compat::create_proxy(*impl_->bus, kService, path)
          ->callMethod("History")
          .onInterface(kTask)
          .withTimeout(kPatience)
          .withArguments(impl_->seen[path], std::uint32_t{0})
          .storeResultsTo(rows);
      for (const auto& row : rows) {
        out.push_back({std::get<0>(row), task.name, std::get<1>(row), std::get<5>(row)});
        impl_->seen[path] = std::get<0>(row) + 1;
      }
    }
  } catch (const sdbus::Error& error) {
    return tl::unexpected(error.getMessage());
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const auto& a, const auto& b) { return a.at_usec < b.at_usec; });
  return out;
}

}  // namespace sluice::demo
