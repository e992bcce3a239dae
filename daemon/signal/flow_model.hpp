// The CPU time that a byte of input costs, learned online from the task's sockets, and what follows from it:
// the backlog as work, arrivals as cores, and the time until the backlog is drained. Pure; the model is a
// value, copied and compared freely. A task without sockets has no estimates: they are absent, never zero.
#pragma once

#include <array>
#include <cstddef>
#include <optional>

#include "daemon/signal/signal.hpp"

namespace sluice {

// The memory of one task. A cost is forgotten after kKept newer ones. An idle task forgets nothing.
struct FlowModel {
  struct Cost {
    double mib = 0;  // read by the task; weight of this cost
    double cpu_seconds_per_mib = 0;
    bool operator==(const Cost&) const = default;
  };
  static constexpr std::size_t kKept = 32;

  std::array<Cost, kKept> costs{};  // a ring buffer
  std::size_t count = 0, next = 0;
  std::optional<double> cpu_seconds_per_mib;  // from `costs`; absent while they are too few
  double confidence = 0;

  // The stretch being measured. It is long enough that work after a read counts with the bytes read.
  double open_seconds = 0, open_cpu_seconds = 0, open_mib = 0;

  std::optional<double> background_cores;  // CPU use while nothing is read and nothing waits
  double quiet_seconds = 0;                // without a break

  // Means over about a second: a single tick shows when packets came rather than how fast.
  std::optional<double> arrival_bytes_per_second, service_bytes_per_second;
  bool operator==(const FlowModel&) const = default;
};

struct FlowEstimate {
  std::optional<double> cpu_seconds_per_mib;  // absent until learned
  // 0 .. 1: how many costs the estimate is based on, and how well they agree. 0 while it is absent.
  double confidence = 0;

  // Absent without sockets; the first two also until the cost is learned.
  std::optional<double> backlog_cpu_seconds;  // unread bytes, as work
  std::optional<double> arrival_cores;        // arriving bytes, as work
  std::optional<double> drain_seconds;        // backlog / (service - arrival); infinity: it does not drain
  // receive windows are closed: senders hold data that the backlog does not include
  bool more_upstream = false;
  bool operator==(const FlowEstimate&) const = default;
};

// Call once per full tick with its signals.
void observe_flow(const Signals& signals, FlowModel& model);
FlowEstimate estimate_flow(const Signals& signals, const FlowModel& model);

}  // namespace sluice
