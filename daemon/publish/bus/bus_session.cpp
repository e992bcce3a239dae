#include "daemon/publish/bus/bus_session.hpp"

#include <fmt/format.h>

#include <boost/asio/post.hpp>
#include <utility>

#include "daemon/publish/bus/bus_compat.hpp"
#include "daemon/publish/words/names.hpp"

namespace sluice::publish {

namespace {
// org.freedesktop.DBus.RequestName, from the D-Bus specification.
constexpr std::uint32_t kDoNotQueue = 4;
constexpr std::uint32_t kPrimaryOwner = 1, kExists = 3, kAlreadyOwner = 4;
}  // namespace

BusSession::BusSession(boost::asio::io_context& io, BusLink link, const BusHooks& hooks,
                       const DaemonFacts& facts, BusModel& model, BusStatistics& statistics, Events events)
    : io_(io),
      events_(std::move(events)),
      model_(model),
      link_(std::move(link)),
      bus_proxy_(compat::create_proxy(*link_.bus, "org.freedesktop.DBus", "/org/freedesktop/DBus")),
      gate_(*link_.bus, statistics.calls),
      context_{hooks, facts, model, statistics, gate_} {
  *link_.vanished = [this](const std::string& name) { events_.vanished(name); };
  compat::add_object_manager(*link_.bus, kRootPath);
  manager_ = std::make_unique<ManagerObject>(*link_.bus, context_);
  for (const auto& [name, view] : model.tasks()) add_task(name, view);
  pump_ =
      std::make_shared<BusPump>(io, *link_.bus, [this](const std::string& cause) { events_.lost(cause); });
  request_name();  // last: whom the name's appearance wakes finds a whole tree
  pump_->start();
}

void BusSession::ask_for_owner(const std::string& bus_name) {
  compat::call_async<bool>(
      *bus_proxy_, "NameHasOwner", kBusName, std::chrono::seconds(5),
      [this, bus_name](const std::optional<std::string>& error, bool is_there) {
        if (!error && !is_there) events_.vanished(bus_name);
      },
      bus_name);
}

BusSession::~BusSession() {
  pump_->stop();
}

// Asked without waiting: sd_bus_request_name would block the loop for as long as the bus likes.
void BusSession::request_name() {
  compat::call_async<std::uint32_t>(
      *bus_proxy_, "RequestName", "org.freedesktop.DBus", std::chrono::seconds(30),
      [this](const std::optional<std::string>& error, std::uint32_t reply) {
        if (error) return fail(fmt::format("the bus refuses the name {}: {}", kServiceName, *error));
        if (reply == kPrimaryOwner || reply == kAlreadyOwner) return events_.named();
        if (reply == kExists) return events_.name_taken();
        fail(fmt::format("RequestName gave {}", reply));
      },
      std::string(kServiceName), kDoNotQueue);
}

// Not from inside a bus handler: `lost` destroys this session.
void BusSession::fail(std::string cause) {
  pump_->stop();
  boost::asio::post(io_, [lost = events_.lost, cause = std::move(cause)] { lost(cause); });
}

void BusSession::add_task(const std::string& name, const TaskView& view) {
  tasks_[name] = std::make_unique<TaskObject>(*link_.bus, context_, name, view);
}

void BusSession::apply(const BusModel::Delta& delta) {
  for (const auto& name : delta.removed) {
    tasks_.erase(name);
    manager_->emit_task_removed(name);
  }
  for (const auto& name : delta.added) {
    add_task(name, *model_.find(name));
    tasks_[name]->announce();
    manager_->emit_task_added(name);
  }
  for (const auto& [name, change] : delta.changes) tasks_.at(name)->emit_adjusted(change);
  manager_->emit_node_signals();
}

void BusSession::emit_changes() {
  manager_->emit_changes();
  for (const auto& [name, task] : tasks_) task->emit_changes();
}

}  // namespace sluice::publish
