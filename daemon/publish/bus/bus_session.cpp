#include "daemon/publish/bus/bus_session.hpp"

#include <fmt/format.h>

#include <boost/asio/post.hpp>
#include <chrono>
#include <utility>

#include "daemon/publish/bus/bus_compat.hpp"
#include "daemon/publish/bus/bus_names.hpp"
#include "daemon/publish/words/names.hpp"

namespace sluice::publish {

using namespace std::chrono_literals;

namespace {
constexpr const char* kBusPath = "/org/freedesktop/DBus";
constexpr const char* kBusStatistics = "org.freedesktop.DBus.Debug.Stats";  // by default only root may ask
// org.freedesktop.DBus.RequestName, from the D-Bus specification.
constexpr std::uint32_t kDoNotQueue = 4;
constexpr std::uint32_t kPrimaryOwner = 1, kExists = 3, kAlreadyOwner = 4;
constexpr auto kBusPatience = 30s;
// Somebody who has the name and does not say a word for so long is either an earlier connection of ours, or
// hangs.
constexpr auto kOwnerPatience = 1s;
constexpr auto kNamePause = 200ms;
constexpr int kNameAttempts = 10;

// What the bus holds for a connection, of all senders.
std::optional<std::uint32_t> bytes_held(const compat::Dictionary& statistics) {
  const auto found = statistics.find("OutgoingBytes");
  if (found == statistics.end() || !found->second.containsValueOfType<std::uint32_t>()) return std::nullopt;
  return found->second.get<std::uint32_t>();
}
}  // namespace

BusSession::BusSession(boost::asio::io_context& io, BusLink link, const BusHooks& hooks,
                       const DaemonFacts& facts, BusModel& model, BusStatistics& statistics, Events events)
    : io_(io),
      events_(std::move(events)),
      model_(model),
      statistics_(statistics),
      link_(std::move(link)),
      bus_proxy_(compat::create_proxy(*link_.bus, kBusName, kBusPath)),
      name_proxy_(compat::create_proxy(*link_.bus, kServiceName, kRootPath)),
      callers_(*link_.bus),
      filter_(*bus_proxy_, [this](const Question& question) { return check(question); }),
      gate_(callers_, statistics.calls),
      context_{hooks, facts, model, statistics, gate_},
      name_again_(io) {
  *link_.vanished = [this](const std::string& name) { vanished(name); };
  compat::add_object_manager(*link_.bus, kRootPath);
  manager_ = std::make_unique<ManagerObject>(*link_.bus, context_);
  for (const auto& [name, view] : model.tasks()) add_task(name, view);
  pump_ =
      std::make_shared<BusPump>(io, *link_.bus, [this](const std::string& cause) { events_.lost(cause); });
  ask_whether_the_bus_tells();
  request_name();  // last: whom the name's appearance wakes finds a whole tree
  pump_->start();
}

BusSession::~BusSession() {
  pump_->stop();
}

Verdict BusSession::check(const Question& question) {
  // A path that long is checked before it is copied.
  const auto is_task = [this](std::string_view path) {
    if (path.size() > kMaxStringBytes) return false;
    const auto name = task_of_path(std::string(path));
    return name && model_.find(*name) != nullptr;
  };
  const std::string sender(question.sender);
  const auto uid = callers_.uid(sender);
  if (!uid) {
    callers_.get_to_know(sender, [this, sender](std::optional<uid_t> said, const std::string&) {
      if (said) door_.unread().known(sender, {said, is_privileged(*said)});
    });
  }
  const Asker asker{uid, uid && is_privileged(*uid)};
  const auto now = std::chrono::steady_clock::now();
  // Before the answer: what the bus says then is about what was sent until now.
  for (const auto& name : door_.unread().to_ask(sender, asker, now)) ask_what_is_held_for(name);
  auto verdict = door_.check(question, asker, is_task, model_.tasks().size(), now);
  if (door_.unread().is_on()) statistics_.unread_bytes = door_.unread().total();
  if (verdict.error != nullptr || verdict.is_dropped) ++statistics_.calls.rate_limited;
  return verdict;
}

// Asked without waiting: sd_bus_request_name would block the loop for as long as the bus likes.
void BusSession::request_name() {
  compat::call_async<std::uint32_t>(
      *bus_proxy_, "RequestName", kBusName, kBusPatience,
      [this](const std::optional<std::string>& error, std::uint32_t reply) {
        if (error) return fail(fmt::format("the bus refuses the name {}: {}", kServiceName, *error));
        if (reply == kPrimaryOwner || reply == kAlreadyOwner) return ask_for_bus_id();
        if (reply == kExists) return ask_whether_it_lives();
        fail(fmt::format("RequestName gave {}", reply));
      },
      std::string(kServiceName), kDoNotQueue);
}

// A governor that lives answers. An earlier connection of ours, which the bus has not dropped yet, does not:
// what is sent there makes the bus notice, and then the name is free.
void BusSession::ask_whether_it_lives() {
  compat::call_async_void(*name_proxy_, "Ping", "org.freedesktop.DBus.Peer", kOwnerPatience,
                          [this](const std::optional<std::string>& error) {
                            if (!error || ++name_attempts_ >= kNameAttempts) return events_.name_taken();
                            name_again_.expires_after(kNamePause);
                            name_again_.async_wait([this, alive = std::weak_ptr(alive_)](const auto& failed) {
                              if (!failed && !alive.expired()) request_name();
                            });
                          });
}

void BusSession::ask_for_bus_id() {
  compat::call_async<std::string>(*bus_proxy_, "GetId", kBusName, kBusPatience,
                                  [this](const std::optional<std::string>& error, const std::string& id) {
                                    events_.named(error ? "" : id);
                                  });
}

void BusSession::ask_for_owner(const std::string& bus_name) {
  compat::call_async<bool>(
      *bus_proxy_, "NameHasOwner", kBusName, kBusPatience,
      [this, bus_name](const std::optional<std::string>& error, bool is_there) {
        if (!error && !is_there) vanished(bus_name);
      },
      bus_name);
}

void BusSession::ask_whether_the_bus_tells() {
  statistics_.unread_bytes.reset();
  compat::call_async<compat::Dictionary>(
      *bus_proxy_, "GetConnectionStats", kBusStatistics, kBusPatience,
      [this](const std::optional<std::string>& error, const compat::Dictionary& told) {
        if (!error && bytes_held(told)) door_.unread().bus_tells();
      },
      std::string(link_.bus->getUniqueName()));
}

void BusSession::ask_what_is_held_for(const std::string& bus_name) {
  compat::call_async<compat::Dictionary>(
      *bus_proxy_, "GetConnectionStats", kBusStatistics, kBusPatience,
      [this, bus_name](const std::optional<std::string>& error, const compat::Dictionary& told) {
        if (const auto bytes = bytes_held(told); !error && bytes)
          return door_.unread().held(bus_name, *bytes);
        door_.unread().no_answer(bus_name);
        ask_for_owner(bus_name);
      },
      bus_name);
}

void BusSession::vanished(const std::string& bus_name) {
  callers_.vanished(bus_name);
  door_.unread().gone(bus_name);
  events_.vanished(bus_name);
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
  // Out of the tree first: what they show is gone, and telling of it may fail.
  std::vector<std::pair<std::string, std::unique_ptr<TaskObject>>> gone;
  for (const auto& name : delta.removed) gone.emplace_back(name, std::move(tasks_.extract(name).mapped()));
  for (const auto& [name, task] : gone) {
    task->retract();  // whenever it came: GetManagedObjects has shown it
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
