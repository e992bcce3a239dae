// What the exported objects share: the model they show, the gate calls pass, the way to the loop.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "daemon/publish/bus/bus_model.hpp"
#include "daemon/publish/bus/bus_service.hpp"
#include "daemon/publish/bus/call_gate.hpp"

namespace sluice::publish {

struct BusStatistics {
  CallCounters calls;
  std::uint64_t connections = 0;  // made since the start
  std::optional<std::uint64_t>
      unread_bytes;  // answered, not known to be read; nothing: the bus does not tell
};

struct ObjectContext {
  const BusHooks& hooks;
  const DaemonFacts& facts;
  BusModel& model;
  BusStatistics& statistics;
  CallGate& gate;

  // Hands a command to the loop; throws the D-Bus error when it is refused.
  void submit(Command command) const;
  // Pins and suspensions, with the limit on how many there may be and who may lift them.
  void pin(PinCommand command, const Caller& caller) const;
  void unpin(const std::string& task, const Caller& caller) const;
  void suspend(const std::string& task, const std::string& reason, const Caller& caller) const;
  void resume(const std::string& task, const Caller& caller) const;

 private:
  void check_room(const std::string& task) const;
  void check_owner(const std::string& task, const Caller& caller) const;
};

}  // namespace sluice::publish
