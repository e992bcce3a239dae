#include "daemon/ctl/client.hpp"

#include <algorithm>
#include <future>
#include <thread>
#include <tuple>
#include <utility>

#include "daemon/process/quiet_thread.hpp"
#include "daemon/publish/bus/bus_compat.hpp"
#include "daemon/publish/bus/bus_names.hpp"

namespace sluice::ctl {

namespace {

namespace compat = publish::compat;
using publish::kManagerInterface;
using publish::kRootPath;
using publish::kServiceName;
using publish::kTaskInterface;
using std::string;

constexpr const char* kBusName = "org.freedesktop.DBus";
constexpr const char* kBusPath = "/org/freedesktop/DBus";
constexpr const char* kProperties = "org.freedesktop.DBus.Properties";
constexpr const char* kObjectManager = "org.freedesktop.DBus.ObjectManager";

using Objects = std::map<sdbus::ObjectPath, std::map<string, compat::Dictionary>>;
using HistoryRow = sdbus::Struct<std::uint64_t, string, std::uint64_t, std::uint64_t, string, string>;

Dictionary to_dictionary(const compat::Dictionary& from);

template <class Type>
Value to_list(const sdbus::Variant& from) {
  List list;
  for (const auto& item : from.get<std::vector<Type>>()) list.push_back({string(item)});
  return {std::move(list)};
}

Value to_value(const sdbus::Variant& from) {
  const string type = compat::value_type(from);
  if (type == "t") return {from.get<std::uint64_t>()};
  if (type == "u") return {std::uint64_t{from.get<std::uint32_t>()}};
  if (type == "d") return {from.get<double>()};
  if (type == "b") return {from.get<bool>()};
  if (type == "s") return {from.get<string>()};
  if (type == "as") return to_list<string>(from);
  if (type == "ao") return to_list<sdbus::ObjectPath>(from);
  if (type == "a{sv}") return {to_dictionary(from.get<compat::Dictionary>())};
  return {"a value of the D-Bus type " + type};  // of a newer daemon
}

Dictionary to_dictionary(const compat::Dictionary& from) {
  Dictionary to;
  for (const auto& [key, value] : from) to.emplace(key, to_value(value));
  return to;
}

tl::unexpected<Failure> failed(const sdbus::Error& error) {
  return tl::unexpected(Failure{string(error.getName()), error.getMessage()});
}

}  // namespace

Client::Client(std::unique_ptr<sdbus::IConnection> bus, std::chrono::seconds patience)
    : bus_(std::move(bus)), patience_(patience) {}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;

Reply<Client> Client::open(const Asked& asked) {
  try {
    auto bus = asked.bus == "system" ? sdbus::createSystemBusConnection()
                                     : sdbus::createSessionBusConnectionWithAddress(asked.bus);
    Client client(std::move(bus), std::chrono::seconds(asked.patience_s));
    bool is_there = false;
    compat::create_proxy(*client.bus_, kBusName, kBusPath)
        ->callMethod("NameHasOwner")
        .onInterface(kBusName)
        .withTimeout(client.patience_)
        .withArguments(string(kServiceName))
        .storeResultsTo(is_there);
    if (!is_there) return tl::unexpected(Failure{kNotRunning, {}});
    return client;
  } catch (const sdbus::Error& error) {
    return tl::unexpected(Failure{kNoBus, error.getMessage()});
  }
}

// The library waits 90 s for a bus that accepts a connection and sends nothing. So a separate thread waits,
// and is left behind after our own time limit.
Reply<Client> Client::connect(const Asked& asked) {
  auto promised = std::make_shared<std::promise<Reply<Client>>>();
  auto client = promised->get_future();
  if (!process::run_detached([promised, asked] { promised->set_value(open(asked)); })) return open(asked);
  if (client.wait_for(std::chrono::seconds(asked.patience_s)) == std::future_status::timeout)
    return tl::unexpected(Failure{kMuteBus, {}});
  return client.get();
}

template <class... Results, class... Arguments>
Reply<void> Client::call(const string& path, const char* interface, const char* method,
                         const std::tuple<Arguments...>& arguments, Results&... results) const {
  constexpr auto kPause = std::chrono::milliseconds(100);
  const auto deadline = std::chrono::steady_clock::now() + patience_;
  for (;;) {
    try {
      const auto proxy = compat::create_proxy(*bus_, kServiceName, path);
      std::apply(
          [&](const auto&... argument) {
            proxy->callMethod(method)
                .onInterface(interface)
                .withTimeout(patience_)
                .withArguments(argument...)
                .storeResultsTo(results...);
          },
          arguments);
      return {};
    } catch (const sdbus::Error& error) {
      // With many tasks in one command the daemon's limit of twenty calls per second may be reached.
      const bool is_too_fast = string(error.getName()) == publish::error_name::rate_limited;
      if (!is_too_fast || std::chrono::steady_clock::now() + kPause > deadline) return failed(error);
      std::this_thread::sleep_for(kPause);
    }
  }
}

Reply<Dictionary> Client::manager() const {
  compat::Dictionary all;
  return call(kRootPath, kProperties, "GetAll", std::tuple(string(kManagerInterface)), all).map([&] {
    return to_dictionary(all);
  });
}

Reply<std::vector<Dictionary>> Client::tasks() const {
  Objects objects;
  return call(kRootPath, kObjectManager, "GetManagedObjects", std::tuple(), objects).map([&] {
    std::vector<Dictionary> tasks;
    for (const auto& [path, interfaces] : objects) {
      const auto found = interfaces.find(kTaskInterface);
      if (found == interfaces.end()) continue;
      tasks.push_back(to_dictionary(found->second));
      tasks.back().emplace("Path", Value{string(path)});
    }
    std::sort(tasks.begin(), tasks.end(),
              [](const auto& a, const auto& b) { return word(a, "Name") < word(b, "Name"); });
    return tasks;
  });
}

Reply<Dictionary> Client::explain(const string& task_path) const {
  compat::Dictionary all;
  return call(task_path, kTaskInterface, "Explain", std::tuple(), all).map([&] {
    return to_dictionary(all);
  });
}

Reply<Dictionary> Client::statistics(const string& task_path) const {
  compat::Dictionary all;
  return call(task_path, kTaskInterface, "GetStats", std::tuple(), all).map([&] {
    return to_dictionary(all);
  });
}

Reply<List> Client::history(const string& task_path, std::uint32_t most) const {
  std::vector<HistoryRow> rows;
  return call(task_path, kTaskInterface, "History", std::tuple(std::uint64_t{0}, most), rows).map([&] {
    List changes;
    for (const auto& row : rows) {
      Dictionary change;
      change["AtUSec"].is = std::get<0>(row);
      change["Knob"].is = std::get<1>(row);
      change["Old"].is = std::get<2>(row);
      change["New"].is = std::get<3>(row);
      change["Rule"].is = std::get<4>(row);
      change["Text"].is = std::get<5>(row);
      changes.emplace_back().is = std::move(change);
    }
    return changes;
  });
}

Reply<void> Client::pin(const string& task_path, const Limits& limits, std::uint64_t ttl_usec,
                        const string& reason) const {
  compat::Dictionary held;
  if (limits.cpu_usec_per_s) held.insert(compat::entry("CPUQuotaPerSecUSec", *limits.cpu_usec_per_s));
  if (limits.memory_high_bytes) held.insert(compat::entry("MemoryHigh", *limits.memory_high_bytes));
  return call(task_path, kTaskInterface, "Pin", std::tuple(held, ttl_usec, reason));
}
Reply<void> Client::unpin(const string& task_path) const {
  return call(task_path, kTaskInterface, "Unpin", std::tuple());
}
Reply<void> Client::suspend(const string& task_path, const string& reason) const {
  return call(task_path, kTaskInterface, "Suspend", std::tuple(reason));
}
Reply<void> Client::resume(const string& task_path) const {
  return call(task_path, kTaskInterface, "Resume", std::tuple());
}

Reply<void> Client::suspend_all(const string& reason) const {
  return call(kRootPath, kManagerInterface, "Suspend", std::tuple(string("all"), reason));
}
Reply<void> Client::resume_all() const {
  return call(kRootPath, kManagerInterface, "Resume", std::tuple(string("all")));
}
Reply<void> Client::set_mode(const string& mode) const {
  return call(kRootPath, kManagerInterface, "SetMode", std::tuple(mode));
}
Reply<void> Client::reload() const {
  return call(kRootPath, kManagerInterface, "Reload", std::tuple());
}
Reply<void> Client::restore() const {
  return call(kRootPath, kManagerInterface, "Restore", std::tuple());
}

Reply<string> Client::owner() const {
  try {
    string owner;
    compat::create_proxy(*bus_, kBusName, kBusPath)
        ->callMethod("GetNameOwner")
        .onInterface(kBusName)
        .withTimeout(patience_)
        .withArguments(string(kServiceName))
        .storeResultsTo(owner);
    return owner;
  } catch (const sdbus::Error& error) {
    return failed(error);
  }
}

// The old program and the new one have different unique bus names.
Reply<string> Client::reexecute() const {
  constexpr auto kPause = std::chrono::milliseconds(100);
  const auto deadline = std::chrono::steady_clock::now() + patience_;
  const auto before = owner();
  if (!before) return tl::unexpected(before.error());
  if (const auto asked = call(kRootPath, kManagerInterface, "Reexecute", std::tuple()); !asked)
    return tl::unexpected(asked.error());
  do {
    std::this_thread::sleep_for(kPause);
    const auto now = owner();
    if (!now || *now == *before) continue;
    if (const auto next = manager(); next) return word(*next, "Version");
  } while (std::chrono::steady_clock::now() < deadline);
  return tl::unexpected(Failure{kNotBack, {}});
}

}  // namespace sluice::ctl
