#include "daemon/publish/bus/callers.hpp"

#include <unistd.h>

#include <chrono>
#include <utility>

#include "daemon/publish/bus/bus_compat.hpp"
#include "daemon/publish/bus/bus_names.hpp"

namespace sluice::publish {

namespace {
constexpr std::size_t kMaxKnown = 1024;
constexpr std::size_t kMaxAsked = 128;
}  // namespace

bool is_privileged(uid_t uid) {
  return uid == 0 || uid == ::geteuid();
}

Callers::Callers(sdbus::IConnection& bus)
    : bus_proxy_(compat::create_proxy(bus, kBusName, "/org/freedesktop/DBus")) {}
Callers::~Callers() = default;

std::optional<uid_t> Callers::uid(const std::string& bus_name) const {
  const auto known = uids_.find(bus_name);
  return known == uids_.end() ? std::nullopt : std::optional(known->second);
}

void Callers::resolve(const std::string& bus_name, Then then) {
  if (const auto known = uid(bus_name)) return then(known, {});
  const auto [asked, is_new] = waiting_.try_emplace(bus_name);
  asked->second.push_back(std::move(then));
  if (is_new) ask(bus_name);
}

void Callers::get_to_know(const std::string& bus_name, Then then) {
  if (waiting_.size() < kMaxAsked && !waiting_.contains(bus_name)) resolve(bus_name, std::move(then));
}

void Callers::ask(const std::string& bus_name) {
  compat::call_async<std::uint32_t>(
      *bus_proxy_, "GetConnectionUnixUser", kBusName, std::chrono::seconds(5),
      [this, bus_name](const std::optional<std::string>& error, std::uint32_t uid) {
        answered(bus_name, error, uid);
      },
      bus_name);
}

void Callers::answered(const std::string& bus_name, const std::optional<std::string>& error, uid_t uid) {
  auto node = waiting_.extract(bus_name);
  if (node.empty()) return;
  if (!error) {
    if (uids_.size() >= kMaxKnown) uids_.clear();
    uids_[bus_name] = uid;
  }
  for (auto& then : node.mapped()) then(error ? std::nullopt : std::optional(uid), error.value_or(""));
}

}  // namespace sluice::publish
