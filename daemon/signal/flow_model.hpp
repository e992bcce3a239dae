// What a byte of input costs in CPU time, learned online from the task's own sockets, and what follows from
// it: the backlog as work, arriving work as cores, and the time until the backlog is gone.
// Pure; the model is a value, copied and compared freely. A task without sockets has no estimates: "none",
// never zero.
#pragma once

#include <array>
#include <cstddef>
#include <optional>

#include "daemon/signal/signal.hpp"

namespace sluice {

// All that is remembered of one task. Bounded: it forgets a cost once kKept newer ones were learned, and
// nothing while the task is idle.
struct FlowModel {
  struct Cost {
    double mib = 0;  // read by the task: the weight
    double cpu_seconds_per_mib = 0;
    bool operator==(const Cost&) const = default;
  };
  static constexpr std::size_t kKept = 32;

  std::array<Cost, kKept> costs{};  // a ring
  std::size_t count = 0, next = 0;
  std::optional<double> cpu_seconds_per_mib;  // what they come to, absent while they are too few
  double confidence = 0;

  // The stretch being gathered: long enough that work done after the read still counts with its bytes.
  double open_seconds = 0, open_cpu_seconds = 0, open_mib = 0;

  std::optional<double> background_cores;  // used while nothing is read and nothing waits
  double quiet_seconds = 0;                // without a break

  // Means of about a second: a single tick says more of when packets came than of how fast.
  std::optional<double> arrival_bytes_per_second, service_bytes_per_second;
  bool operator==(const FlowModel&) const = default;
};

struct FlowEstimate {
  std::optional<double> cpu_seconds_per_mib;  // absent until learned
  // 0 .. 1: how many costs it rests on, and how well they agree. 0 while it is absent.
  double confidence = 0;

  // Absent without sockets; the first two also until the cost is learned.
  std::optional<double> backlog_cpu_seconds;  // bytes that arrived and wait, as work
  std::optional<double> arrival_cores;        // bytes that arrive, as work
  std::optional<double> drain_seconds;        // backlog / (service - arrival); infinity: it does not drain
  bool more_upstream = false;  // its receive windows are closed: senders hold back what the backlog misses
  bool operator==(const FlowEstimate&) const = default;
};

// Once for each full tick, with that tick's signals.
void observe_flow(const Signals& signals, FlowModel& model);
FlowEstimate estimate_flow(const Signals& signals, const FlowModel& model);

}  // namespace sluice
