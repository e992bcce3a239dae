// Carries plans out on threads of its own. cpu.max has one to itself, so a memory.high write that blocks in
// reclaim never delays it. For each (cgroup, knob) at most one write is under way; of those that wait behind
// it only the newest is carried out, and its receipt stands for the ones it replaced (with the earliest
// caused_at).
//
// At its deadline a write is interrupted by SIGURG (a no-op handler is installed for the process; the
// kernel's memory.high has set the limit by then). A write that succeeds late has succeeded, and its receipt
// says `interrupted`. One that ignores the signal for `grace` is answered with timed_out and may_land, and
// its thread is replaced; when it returns after all, a second receipt says what came of it. Until then orders
// for the same knob are answered not_tried with EBUSY.
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
  std::size_t max_overdue = 16;  // threads in writes that missed their deadline; more are not replaced
};

class Actuator {
 public:
  explicit Actuator(std::shared_ptr<KnobWriter> writer, ActuatorOptions options = {});
  // Forgets what has not begun, interrupts what has, and waits for it no longer than the grace.
  ~Actuator();
  Actuator(const Actuator&) = delete;
  Actuator& operator=(const Actuator&) = delete;

  // Thread-safe, never blocks on I/O. Orders that an event caused go before those of a tick.
  void submit(Order order);
  void submit(std::vector<Order> orders);

  // An eventfd, readable while there are receipts: for the loop to wait on. Owned by the actuator.
  [[nodiscard]] int wake_fd() const;
  // The receipts since the last call, in the order of completion; makes wake_fd() unreadable again.
  [[nodiscard]] std::vector<Receipt> drain();

  // True once every order has its receipt; for shutdown and for tests.
  bool wait_idle(Nsec timeout);
  [[nodiscard]] std::size_t overdue() const;  // writes that missed their deadline and have not returned

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace sluice::actuate
