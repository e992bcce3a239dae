// Orders that administrators gave over D-Bus, in force until they are withdrawn. A hold belongs to the task's
// name, not to a cgroup: it survives a restart of the unit and of sluiced. The tick's state owns it; a file
// in the runtime directory mirrors it (record/hold_store.hpp). Values only.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "daemon/values/command.hpp"

namespace sluice {

struct Suspension {
  std::string reason;
  std::uint32_t uid = 0;  // user who ordered it
  bool operator==(const Suspension&) const = default;
};

struct Hold {
  std::optional<PinCommand> pin;
  std::optional<Suspension> suspension;
  SetBoundsCommand bounds;  // set fields take precedence over the configuration
  std::string cgroup;       // path of the task when it was ordered; tells two tasks of one name apart
};

struct Holds {
  std::map<std::string, Hold, std::less<>> tasks;  // by name
  std::optional<Suspension> node;
  std::optional<config::Mode> mode;  // set by SetMode; none: the configuration's
  std::uint64_t revision = 0;        // grows with every change; not saved
};

}  // namespace sluice
