// What holds a task up, and the numbers that show it. Values only; the classifier is cause.hpp.
#pragma once

#include <optional>
#include <string_view>

#include "cgroups/types.hpp"

namespace sluice {

enum class Cause : std::uint8_t {
  unknown,              // signals are missing, or no other cause fits
  idle,                 // nothing to do
  frozen,               // paused by cgroup.freeze; neither idle nor short of anything
  input_bound,          // it keeps up and waits for input
  starved_by_quota,     // throttled by its own cpu.max
  starved_by_ancestor,  // throttled by the cpu.max of an ancestor cgroup
  starved_by_node,      // runnable but not running and not throttled: the node is busy
  stalled_on_memory,    // tasks wait in reclaim, for refaults or above memory.high
  reclaiming,           // CPU time goes into reclaim or garbage collection
  stalled_on_io,        // tasks wait for the disk
  downstream_bound,     // its consumers do not read its output: backpressure
  thread_bound,         // there is a backlog and all runnable threads run: more CPU cannot help
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

// Means over about one second. Shares are of time, 0 .. 1. Absent: unknown, or not applicable.
struct CauseInput {
  std::optional<double> usage_cores;
  std::optional<double> system_share;  // of its CPU usage, in the kernel
  // throttled share of wall time, or of periods if only files are read
  std::optional<double> throttled_share;
  std::optional<double> ancestor_throttled_share;  // of the periods of the smallest cpu.max above it
  std::optional<double> wait_share;                // some task runnable and not running, for any reason
  std::optional<double> memory_stall_share;        // some task waiting for memory
  std::optional<double> io_stall_share;
  std::optional<double> pgscan_per_second, refaults_per_second;
  std::optional<double> served_share;     // of its CPU usage, that the bytes read explain
  std::optional<double> backlog_seconds;  // unread bytes / rate of reading
  std::optional<double> unsent_bytes;
  std::optional<double> unsent_seconds;    // unsent bytes / rate of sending
  std::optional<double> runnable_threads;  // running or runnable
  bool operator==(const CauseInput&) const = default;
};

struct Diagnosis {
  Cause cause = Cause::unknown;
  CauseInput inputs;      // of the last sample; they may fit a new cause that has not lasted long enough
  MonotonicTime since{};  // zero: never diagnosed
  bool operator==(const Diagnosis&) const = default;
};

}  // namespace sluice
