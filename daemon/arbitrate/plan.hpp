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
  bool dry_run = false;       // to be told, not to be carried out
  bool operator==(const Plan&) const = default;
};

// What carrying out one write gave. `holds` is what the kernel said after the write (verify by read-back).
struct Receipt {
  enum class Result : std::uint8_t {
    written,    // the kernel holds what was asked (memory.high: rounded to pages)
    refused,    // error_number says why; the old value stands
    vanished,   // the cgroup is gone (ENOENT, ENODEV)
    timed_out,  // the write was still blocked at its deadline and was interrupted
    differs,    // accepted, but another value was read back: a foreign writer, or the kernel's own mind
    dry_run,    // not attempted
  };
  CgroupId id;
  Knob knob = Knob::cpu_max;
  KnobValue asked;
  std::optional<KnobValue> holds;
  Result result = Result::written;
  int error_number = 0;  // errno
  std::string path;      // of the knob, for messages
  MonotonicTime started_at{};
  MonotonicTime written_at{};   // the kernel took the value; zero: it did not
  MonotonicTime finished_at{};  // and it was read back
  MonotonicTime caused_at{};    // copied from the write
};

}  // namespace sluice
