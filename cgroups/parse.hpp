// Converts the text of cgroup files to values and back. Pure: no I/O, any bytes, no exceptions. Unknown keys
// are skipped, because kernels add them. Numbers are strict: no sign, no trailing text, no overflow, no
// truncation. An Error has errno EBADMSG and no path; the caller adds the path.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cgroups/error.hpp"
#include "cgroups/types.hpp"

namespace sluice::cgroups {

struct CpuStat {
  CpuUsage usage;
  std::optional<CpuBandwidth> bandwidth;  // only if the cpu controller is enabled
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
std::string format(const CpuMax& value);                       // as in cpu.max: "50000 100000", "max 100000"
std::string format(const CpuWeight& value);                    // "100"
std::string format(const MemoryLimit& value);                  // "1048576", "max"
// The complete value of a knob: "50000 100000 burst 20000" if the burst is known.
std::string format(const KnobValue& value);
Result<KnobValue> parse_knob(Knob knob, std::string_view text);  // the inverse

// Whether the governor may write the value. This is stricter than the kernel: memory.high below one page
// would become 0, which stops the task.
Result<void> check_writable(Knob knob, const KnobValue& value);

// True if a kernel asked for `asked` may hold `held`: memory.high is rounded down to pages, and beyond the
// largest page count it is "max". A burst that was not asked for may have any value.
bool holds_as_asked(const KnobValue& asked, const KnobValue& held);

}  // namespace sluice::cgroups
