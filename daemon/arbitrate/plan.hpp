// The plan: at most one value for each (cgroup, knob), and what came of it. Values only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cgroups/types.hpp"
#include "daemon/decide/reason.hpp"

namespace sluice {

struct Write {
  CgroupId id;
  Knob knob = Knob::cpu_max;
  KnobValue value;
  Reason reason;
  // BPF's time of the event that led to this write, zero when a tick did: for the reaction histogram.
  MonotonicTime caused_at{};
  bool operator==(const Write&) const = default;
};

struct Plan {
  std::vector<Write> writes;  // ordered by (id, knob)
  bool dry_run = false;       // to be reported, not to be carried out
  bool operator==(const Plan&) const = default;
};

// What carrying out one write gave. `holds` is what the kernel said after the write (verify by read-back).
struct Receipt {
  enum class Result : std::uint8_t {
    written,    // the kernel holds what was asked (memory.high: rounded to pages)
    refused,    // error_number says why; the old value stands
    vanished,   // the cgroup is gone (ENOENT, ENODEV)
    timed_out,  // the write missed its deadline: it was interrupted, or (may_land) has not returned
    differs,    // accepted, but another value was read back: a foreign writer, or the kernel's own mind
    not_tried,  // the order went nowhere: no thread to be had, or no lease for it
  };
  CgroupId id;
  Knob knob = Knob::cpu_max;
  KnobValue asked;
  std::optional<KnobValue> holds;
  Result result = Result::written;
  bool may_land = false;     // timed_out only: its thread is still in the write, and another receipt follows
  bool interrupted = false;  // at its deadline: the write was about to block for long
  int error_number = 0;      // errno
  std::string path;          // of the knob, for messages
  MonotonicTime started_at{};
  MonotonicTime written_at{};   // the kernel took the value; zero: it did not
  MonotonicTime finished_at{};  // and it was read back
  MonotonicTime caused_at{};    // copied from the write
};

}  // namespace sluice
