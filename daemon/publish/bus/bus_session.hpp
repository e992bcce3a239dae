// One life of the bus connection: the exported tree, and the name. Thrown away whole when the bus goes.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "daemon/publish/bus/bus_connector.hpp"
#include "daemon/publish/bus/bus_filter.hpp"
#include "daemon/publish/bus/bus_pump.hpp"
#include "daemon/publish/bus/manager_object.hpp"
#include "daemon/publish/bus/object_context.hpp"
#include "daemon/publish/bus/task_object.hpp"

namespace sluice::publish {

class BusSession {
 public:
  struct Events {
    std::function<void(const std::string& bus_id)> named;  // the name is ours
    std::function<void()> name_taken;                      // it is another governor's, and that one lives
    std::function<void(std::string cause)> lost;           // the connection is gone, or the name was refused
    std::function<void(const std::string&)> vanished;      // a bus name of somebody
  };
  BusSession(boost::asio::io_context& io, BusLink link, const BusHooks& hooks, const DaemonFacts& facts,
             BusModel& model, BusStatistics& statistics, Events events);
  ~BusSession();
  BusSession(const BusSession&) = delete;
  BusSession& operator=(const BusSession&) = delete;

  void apply(const BusModel::Delta& delta);         // after the model took a report in
  void emit_changes();                              // at most once a second: the service's affair
  void ask_for_owner(const std::string& bus_name);  // one that is not on the bus is reported as vanished
  void flush() { pump_->kick(); }
  void cut() const { link_.cut(); }

 private:
  void request_name();
  void ask_whether_it_lives();
  void ask_for_bus_id();
  void ask_whether_the_bus_tells();
  void ask_what_is_held_for(const std::string& bus_name);
  void vanished(const std::string& bus_name);
  Verdict check(const Question& question);
  void fail(std::string cause);
  void add_task(const std::string& name, const TaskView& view);

  boost::asio::io_context& io_;
  Events events_;
  BusModel& model_;
  BusStatistics& statistics_;
  // Destroyed in reverse: objects, gate and proxy go before the connection they are of.
  BusLink link_;
  std::unique_ptr<sdbus::IProxy> bus_proxy_, name_proxy_;
  Callers callers_;
  FrontDoor door_;
  BusFilter filter_;
  CallGate gate_;
  ObjectContext context_;
  std::unique_ptr<ManagerObject> manager_;
  std::map<std::string, std::unique_ptr<TaskObject>> tasks_;
  boost::asio::steady_timer name_again_;
  int name_attempts_ = 0;
  std::shared_ptr<int> alive_ = std::make_shared<int>();  // for what the loop still holds when this is gone
  std::shared_ptr<BusPump> pump_;
};

}  // namespace sluice::publish
