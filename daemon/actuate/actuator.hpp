// Carries plans out on its own threads. cpu.max has a thread of its own, so a memory.high write that blocks
// in reclaim never delays it. Per (cgroup, knob) at most one write runs. Of the orders that wait behind it
// only the newest is carried out, and its receipt stands for the ones it replaced (with the earliest
// caused_at).
//
// At its deadline a write is interrupted by SIGURG (a no-op handler is installed for the process); by then
// the kernel has set memory.high. A write that succeeds late is a success, and its receipt has `interrupted`.
// If a write ignores the signal for `grace`, its order is answered with timed_out and may_land, and its
// thread is replaced. When that write returns, a second receipt gives the final result. Until then orders for
// the same knob are answered with not_tried, EBUSY.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <vector>

#include "daemon/actuate/knob_writer.hpp"

namespace sluice::actuate {

struct ActuatorOptions {
  std::size_t memory_threads = 2;
  Nsec cpu_deadline = std::chrono::milliseconds(200);
  Nsec memory_deadline = std::chrono::milliseconds(200);
  Nsec grace = std::chrono::milliseconds(200);
  std::size_t max_overdue = 16;  // threads whose write missed its deadline; beyond that none is replaced
};

class Actuator {
 public:
  explicit Actuator(std::shared_ptr<KnobWriter> writer, ActuatorOptions options = {});
  // Drops waiting orders, interrupts running ones, and waits for those at most for the grace.
  ~Actuator();
  Actuator(const Actuator&) = delete;
  Actuator& operator=(const Actuator&) = delete;

  // Thread-safe, never blocks on I/O. Orders caused by an event come before those of a tick.
  void submit(Order order);
  void submit(std::vector<Order> orders);

  // An eventfd for the loop, readable while there are receipts. Owned by the actuator.
  [[nodiscard]] int wake_fd() const;
  // Returns the receipts since the last call, in order of completion; wake_fd() is then no longer readable.
  [[nodiscard]] std::vector<Receipt> drain();

  // True once every order has its receipt. For shutdown and tests.
  bool wait_idle(Nsec timeout);
  [[nodiscard]] std::size_t overdue() const;  // writes that missed their deadline and have not returned

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace sluice::actuate
