// What holds a task up, and the numbers that say so. Values only; the classifier is cause.hpp.
#pragma once

#include <optional>
#include <string_view>

#include "cgroups/types.hpp"

namespace sluice {

enum class Cause : std::uint8_t {
  unknown,              // the signals that would tell are missing, or none of the below fits
  idle,                 // nothing to do
  frozen,               // paused by cgroup.freeze: neither idle nor in want
  input_bound,          // keeps up: what comes in is worked on at once
  starved_by_quota,     // its own cpu.max stops it
  starved_by_ancestor,  // the cpu.max of a cgroup above it stops it
  starved_by_node,      // runnable and not running, without being throttled: the node is busy
  stalled_on_memory,    // tasks stand still in reclaim, refault or above memory.high
  reclaiming,           // CPU burnt on reclaim or garbage collection, not on the stream
  stalled_on_io,        // tasks stand still for the disk
  downstream_bound,     // what it wrote is not taken: backpressure
  thread_bound,         // work waits, and every thread that wants to run does: more CPU cannot help
};

constexpr std::string_view to_string(Cause cause) {
  switch (cause) {
    case Cause::unknown:
      return "unknown";
    case Cause::idle:
      return "idle";
    case Cause::input_bound:
      return "input-bound";
    case Cause::frozen:
      return "frozen";
    case Cause::starved_by_quota:
      return "starved-by-quota";
    case Cause::starved_by_ancestor:
      return "starved-by-ancestor";
    case Cause::starved_by_node:
      return "starved-by-node";
    case Cause::stalled_on_memory:
      return "stalled-on-memory";
    case Cause::reclaiming:
      return "reclaiming";
    case Cause::stalled_on_io:
      return "stalled-on-io";
    case Cause::downstream_bound:
      return "downstream-bound";
    case Cause::thread_bound:
      return "thread-bound";
  }
  return "unknown";
}

// Means over about a second. Shares are of time, 0 .. 1. Absent: not known, or there is no such thing.
struct CauseInput {
  std::optional<double> usage_cores;
  std::optional<double> system_share;     // of its usage, spent in the kernel
  std::optional<double> throttled_share;  // stopped by its quota: wall time, or periods where only files tell
  std::optional<double> ancestor_throttled_share;  // of the periods of the smallest cpu.max above it
  std::optional<double> wait_share;                // some task runnable and not running, for whatever reason
  std::optional<double> memory_stall_share;        // some task standing still for memory
  std::optional<double> io_stall_share;
  std::optional<double> pgscan_per_second, refaults_per_second;
  std::optional<double> served_share;     // of its usage, that the bytes it read explain
  std::optional<double> backlog_seconds;  // unread bytes / rate of reading
  std::optional<double> unsent_bytes;
  std::optional<double> unsent_seconds;    // unsent bytes / rate of sending
  std::optional<double> runnable_threads;  // running or wanting to
  bool operator==(const CauseInput&) const = default;
};

struct Diagnosis {
  Cause cause = Cause::unknown;
  CauseInput inputs;      // of the last look, which may speak for another cause that has not lasted yet
  MonotonicTime since{};  // zero: never diagnosed
  bool operator==(const Diagnosis&) const = default;
};

}  // namespace sluice
