// The governor's own tick, closed around a simulated host: what the daemon does, without its threads.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "daemon/tick/tick.hpp"
#include "tests/simhost/model.hpp"

namespace sluice::bench {

enum class Visibility : std::uint8_t {
  kernel,  // the scheduler's and cgroup's counters
  bytes,   // and the bytes waiting in the task's sockets
  lag,     // and, instead, what the task reports: records waiting and processed
};
constexpr std::string_view to_string(Visibility v) {
  return v == Visibility::kernel ? "kernel" : v == Visibility::bytes ? "bytes" : "lag";
}

class Governed {
 public:
  using Writer = std::function<Receipt(const Write&)>;

  // The node keeps no reserve: what is left to others is a question of configuration, not of control.
  Governed(simhost::Host& host, Visibility visibility, Writer writer);
  Governed(const Governed&) = delete;
  Governed& operator=(const Governed&) = delete;

  // Baselines are what the knobs hold when the first full tick comes.
  void add(CgroupId id, const std::string& cgroup, const config::TaskPolicy& policy);
  void full_tick();
  void event_tick(std::vector<ThrottleEvent> events, MonotonicTime now);

  // Plans that broke an invariant of the daemon's own: 0, or it is broken.
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
  bool known_ = false;  // a full tick was there
  std::vector<Receipt> receipts_;
  std::size_t violations_ = 0;
};

}  // namespace sluice::bench
