// What administrators have ordered over D-Bus and what holds until they take it back. It belongs to the
// task's name, not to a cgroup: it survives a restart of the unit, and of sluiced. The tick's state owns it;
// a file in the runtime directory follows (record/hold_store.hpp). Values only.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "daemon/values/command.hpp"

namespace sluice {

struct Suspension {
  std::string reason;
  std::uint32_t uid = 0;  // whose it is
  bool operator==(const Suspension&) const = default;
};

struct Hold {
  std::optional<PinCommand> pin;
  std::optional<Suspension> suspension;
  SetBoundsCommand bounds;  // fields that are set go before the configuration's
  std::string cgroup;       // the path of the task when it was ordered: of two of one name, this one is meant
};

struct Holds {
  std::map<std::string, Hold, std::less<>> tasks;  // by name
  std::optional<Suspension> node;
  std::optional<config::Mode> mode;  // by SetMode; none: the configuration's
  std::uint64_t revision = 0;        // grows with every change; not part of what is kept
};

}  // namespace sluice
