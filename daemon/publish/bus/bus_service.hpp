// org.sluice.Governor1 on D-Bus: the last report as an object tree, and an administrator's calls as commands.
// Everything here runs on the thread of the given io_context, and nothing here blocks it. A bus is a luxury:
// without one the service says so once, tries again with growing pauses, and exports everything anew.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "daemon/arbitrate/plan.hpp"
#include "daemon/sample/snapshot.hpp"
#include "daemon/values/command.hpp"
#include "daemon/values/report.hpp"

namespace sluice::publish {

// What the daemon knows about itself and no report says. Setters of BusService replace single values.
struct DaemonFacts {
  std::string version;
  std::vector<std::string> capabilities;  // what this host offers: "bpf", "psi", "memory.reclaim", ...
  SampleSource sampling = SampleSource::files;
  std::string sampling_reason;  // why not BPF; empty when it is
  std::uint64_t events_lost = 0;
  std::vector<std::string> unmatched_rules;  // of the configuration, as sentences with file and line
  std::string last_error;                    // of the daemon, not of a task; empty: none
  bool stopping = false;
  bool operator==(const DaemonFacts&) const = default;
};

struct BusOptions {
  std::string address = "system";  // "system" obeys DBUS_SYSTEM_BUS_ADDRESS; else "unix:path=..."
  DaemonFacts facts;
};

using ReloadResult = tl::expected<void, std::vector<std::string>>;

// Called on the io thread, from inside a bus call: none may call publish() or destroy the service, they post
// instead. Each must be set.
struct BusHooks {
  // Validate (check_command) and queue; the caller is answered at once, the next tick obeys.
  std::function<tl::expected<void, CommandError>(Command)> submit;
  // Reload the configuration, then call `done` on the io thread, now or later, once. All errors at once.
  std::function<void(std::function<void(ReloadResult)> done)> reload;
  // Be replaced by the installed program, soon after this call; every limit stays in force. False: it stops.
  std::function<bool()> reexecute;
  // What would be written now (dry-run, observe), or was planned last.
  std::function<Plan()> plan;
  // The name was another process's at the start: a second daemon. The service has given up; normally the
  // caller exits. Never called once the name was ours.
  std::function<void()> name_taken;
};

class BusService {
 public:
  BusService(boost::asio::io_context& io, BusOptions options, BusHooks hooks);
  ~BusService();  // never blocks, whatever the bus does
  BusService(const BusService&) = delete;
  BusService& operator=(const BusService&) = delete;

  // Shared, not copied: at a thousand tasks a copy per tick would cost more than the tick.
  void publish(std::shared_ptr<const Report> report);
  // Changes of the daemon's own facts: facts are compared, only differences are emitted.
  void set_facts(DaemonFacts facts);
  [[nodiscard]] const DaemonFacts& facts() const;

  [[nodiscard]] bool connected() const;  // the name is ours and the tree is exported

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;  // shared with its own timers only
};

}  // namespace sluice::publish
