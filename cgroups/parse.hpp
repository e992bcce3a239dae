// Text of cgroup files to values, and values to text. Pure: no I/O, any bytes, no exceptions.
// Unknown keys are skipped (kernels add them); numbers are strict: no sign, no junk, no overflow, nothing
// torn. An Error has errno EBADMSG and no path; whoever read the text knows that.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cgroups/error.hpp"
#include "cgroups/types.hpp"

namespace sluice::cgroups {

struct CpuStat {
  CpuUsage usage;
  std::optional<CpuBandwidth> bandwidth;  // only where the cpu controller is enabled
};

struct Controllers {
  bool cpu = false;
  bool memory = false;
  bool io = false;
  bool operator==(const Controllers&) const = default;
};

Result<CpuMax> parse_cpu_max(std::string_view text);
Result<CpuWeight> parse_cpu_weight(std::string_view text);
Result<Usec> parse_cpu_burst(std::string_view text);            // cpu.max.burst
Result<MemoryLimit> parse_memory_limit(std::string_view text);  // memory.high, memory.max, memory.swap.max
Result<Bytes> parse_bytes(std::string_view text);               // memory.current, memory.swap.current
Result<CpuStat> parse_cpu_stat(std::string_view text);
Result<PressureTotals> parse_pressure(std::string_view text);
Result<MemoryStat> parse_memory_stat(std::string_view text);
Result<MemoryEvents> parse_memory_events(std::string_view text);
Result<Controllers> parse_controllers(std::string_view text);  // cgroup.controllers
Result<bool> parse_frozen(std::string_view text);              // cgroup.events
std::string format(const CpuMax& value);       // as cpu.max has it: "50000 100000", "max 100000"
std::string format(const CpuWeight& value);    // "100"
std::string format(const MemoryLimit& value);  // "1048576", "max"
// The same, but of all that a knob holds: "50000 100000 burst 20000" where the burst is known.
std::string format(const KnobValue& value);
Result<KnobValue> parse_knob(Knob knob, std::string_view text);  // that again

// What the governor may ask of a knob. The kernel would take some of what this refuses: memory.high below one
// page becomes 0, which stops the task.
Result<void> check_writable(Knob knob, const KnobValue& value);

// Whether the kernel, asked for `asked`, holds it when it says `held`: memory.high is rounded down to pages,
// and beyond the largest page count it is "max". A burst that was not asked for may be any.
bool holds_as_asked(const KnobValue& asked, const KnobValue& held);

}  // namespace sluice::cgroups
