// Who may change things, and how often. The D-Bus policy file already keeps strangers away from the system
// bus; this is the second lock, and the only one on a private bus: uid 0 and the daemon's own uid may call.
// The uid is asked of the bus once per connection, without blocking; calls wait for the answer.
#pragma once

#include <sdbus-c++/sdbus-c++.h>
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/publish/bus/rate_limit.hpp"

namespace sluice::publish {

struct Caller {
  std::string bus_name;  // unique: ":1.42"
  uid_t uid = 0;
};

struct CallCounters {
  std::uint64_t accepted = 0, denied = 0, rate_limited = 0, failed = 0;
};

class CallGate {
 public:
  CallGate(sdbus::IConnection& bus, CallCounters& counters);
  ~CallGate();

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
  struct Waiting {
    Ticket ticket;
    std::string rate_key;
    Work work;
  };
  Ticket admit(sdbus::Result<>&& result);
  void start(const std::string& sender, Waiting waiting);
  void resolved(const std::string& sender, const std::optional<std::string>& error, std::uint32_t uid);
  void run(const Caller& caller, Waiting waiting);

  CallCounters& counters_;
  std::map<std::string, uid_t> uids_;  // unique names are not reused while a bus lives
  std::map<std::string, std::vector<Waiting>> waiting_;
  // Results belong here, not into callbacks: they must not outlive the connection.
  std::map<Ticket, sdbus::Result<>> results_;
  Ticket next_ticket_ = 1;
  RateLimit rate_;
  std::unique_ptr<sdbus::IProxy> bus_proxy_;  // last: its pending replies call into the above
};

}  // namespace sluice::publish
