// The daemon's own tick with a simulated host in a closed loop, without the daemon's threads.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "daemon/tick/tick.hpp"
#include "tests/simhost/model.hpp"

namespace sluice::bench {

enum class Visibility : std::uint8_t {
  kernel,  // counters of scheduler and cgroup
  bytes,   // also the unread bytes in the task's sockets
  lag,     // instead of bytes, the task's own report: records waiting and processed
};
constexpr std::string_view to_string(Visibility v) {
  return v == Visibility::kernel ? "kernel" : v == Visibility::bytes ? "bytes" : "lag";
}

class Governed {
 public:
  using Writer = std::function<Receipt(const Write&)>;

  // The node has no reserve, which is a matter of configuration and not of control.
  Governed(simhost::Host& host, Visibility visibility, Writer writer);
  Governed(const Governed&) = delete;
  Governed& operator=(const Governed&) = delete;

  // Baselines are the values of the knobs at the first full tick.
  void add(CgroupId id, const std::string& cgroup, const config::TaskPolicy& policy);
  void full_tick();
  void event_tick(std::vector<ThrottleEvent> events, MonotonicTime now);

  // Number of plans that broke an invariant of the daemon; must be 0.
  std::size_t violations() const { return violations_; }
  const State& state() const { return state_; }

 private:
  void step(Input in, MonotonicTime now);

  simhost::Host& host_;
  Visibility visibility_;
  Writer writer_;
  config::Config config_;
  State state_;
  std::vector<TaskFacts> facts_;
  bool known_ = false;  // there was a full tick
  std::vector<Receipt> receipts_;
  std::size_t violations_ = 0;
};

}  // namespace sluice::bench
