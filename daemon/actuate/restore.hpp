// Gives the baselines of a lease back: at stop, from ExecStopPost, and at the next start after a crash.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "cgroups/root.hpp"
#include "daemon/actuate/actuator.hpp"
#include "daemon/actuate/lease.hpp"

namespace sluice::actuate {

struct Restored {
  enum class Result : std::uint8_t {
    restored,
    unchanged,  // held its baseline already; not written
    vanished,   // gone, or another cgroup has taken its path: nothing to give back
    failed,     // refused, timed out or read back differently: the entry should stay in the lease
  };
  LeaseEntry entry;
  Result result = Result::restored;
  std::string message;  // for failed: one sentence, printable
};

// In the order of `entries`. cpu.max first, for all of them: a task must be able to run before its memory is
// taken. Each write has `options`' deadline, so a memory.high that blocks cannot hold up the rest.
std::vector<Restored> restore(const cgroups::Root& root, std::span<const LeaseEntry> entries,
                              const ActuatorOptions& options = {});

}  // namespace sluice::actuate
