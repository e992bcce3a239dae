// Who may change things, and how often. The D-Bus policy file already keeps strangers away from the system
// bus; this is the second lock, and the only one on a private bus: uid 0 and the daemon's own uid may call.
// Calls wait until the bus has said whose they are. What waits keeps its message: a caller checks sizes
// first.
#pragma once

#include <sdbus-c++/sdbus-c++.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "daemon/publish/bus/callers.hpp"
#include "daemon/publish/bus/rate_limit.hpp"

namespace sluice::publish {

struct CallCounters {
  std::uint64_t accepted = 0, denied = 0, rate_limited = 0, failed = 0;
};

class CallGate {
 public:
  CallGate(Callers& callers, CallCounters& counters);

  using Ticket = std::uint64_t;
  // Runs `work` for an allowed caller and answers the call: an sdbus::Error thrown by it is the answer.
  // Calls with the same rate key share 20 a second; an empty key means the caller's uid.
  void call(const std::string& sender, std::string rate_key, sdbus::Result<>&& result,
            std::function<void(const Caller&)> work);
  // The same for work that is answered later, with `answer`.
  void call_later(const std::string& sender, sdbus::Result<>&& result,
                  std::function<void(const Caller&, Ticket)> work);
  // Nothing happens when the call is not waiting (any more).
  void answer(Ticket ticket, const std::optional<sdbus::Error>& error);

 private:
  using Work = std::function<void(const Caller&, Ticket)>;
  struct Pending {
    std::string sender;
    sdbus::Result<> result;
  };
  Ticket admit(const std::string& sender, sdbus::Result<>&& result);
  void start(const std::string& sender, Ticket ticket, std::string rate_key, Work work);
  void run(const Caller& caller, Ticket ticket, const std::string& rate_key, const Work& work);

  CallCounters& counters_;
  Callers& callers_;
  // Results belong here, not into callbacks: they must not outlive the connection.
  std::map<Ticket, Pending> pending_;
  Ticket next_ticket_ = 1;
  RateLimit rate_;
};

}  // namespace sluice::publish
