// The plan: at most one value for each (cgroup, knob), and the receipts of its writes. Values only.
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
  // Time of the BPF event that caused this write, for the reaction histogram; zero: a timer tick caused it.
  MonotonicTime caused_at{};
  bool operator==(const Write&) const = default;
};

struct Plan {
  std::vector<Write> writes;  // ordered by (id, knob)
  bool dry_run = false;       // reported, not carried out
  bool operator==(const Plan&) const = default;
};

// Result of one write. `holds` is the value that was read back after it.
struct Receipt {
  enum class Result : std::uint8_t {
    written,    // the kernel holds the value asked for (memory.high: rounded to pages)
    refused,    // error_number is the cause; the old value stays
    vanished,   // the cgroup is gone (ENOENT, ENODEV)
    timed_out,  // it missed its deadline: interrupted, or (may_land) not returned yet
    differs,    // accepted, but another value was read back: an external writer, or the kernel
    not_tried,  // no write was attempted: no thread was free, or it has no lease
  };
  CgroupId id;
  Knob knob = Knob::cpu_max;
  KnobValue asked;
  std::optional<KnobValue> holds;
  Result result = Result::written;
  bool may_land = false;     // timed_out only: the write has not returned; another receipt follows
  bool interrupted = false;  // at its deadline: the write was about to block for long
  int error_number = 0;      // errno
  std::string path;          // of the knob, for messages
  MonotonicTime started_at{};
  MonotonicTime written_at{};   // when the kernel took the value; zero: it did not
  MonotonicTime finished_at{};  // when it was read back
  MonotonicTime caused_at{};    // copied from the write
};

}  // namespace sluice
