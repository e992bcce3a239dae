// Any bytes as every cgroup file, and as an escaped name: refused with a printable reason, or a value that
// survives being written and read again.
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "cgroups/escape.hpp"
#include "cgroups/parse.hpp"

namespace {

namespace cgroups = sluice::cgroups;

void require(bool promise) {
  if (!promise) std::abort();
}

template <class T>
bool refused(const cgroups::Result<T>& result) {
  if (result) return false;
  require(result.error().errno_value == EBADMSG);
  for (const char c : cgroups::describe(result.error())) require(c != '\x1b' && c != '\n' && c != '\0');
  return true;
}

void check_knob(sluice::Knob knob, std::string_view text) {
  const auto value = cgroups::parse_knob(knob, text);
  if (refused(value)) return;
  require(cgroups::parse_knob(knob, cgroups::format(*value)) == *value);
  if (const auto* cpu = std::get_if<sluice::CpuMax>(&*value)) {
    require(cpu->period.count() > 0 && (!cpu->quota || cpu->quota->count() > 0));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_knob(sluice::Knob::cpu_max, text);
  check_knob(sluice::Knob::memory_high, text);
  refused(cgroups::parse_bytes(text));
  refused(cgroups::parse_controllers(text));
  refused(cgroups::parse_frozen(text));
  refused(cgroups::parse_memory_stat(text));
  refused(cgroups::parse_memory_events(text));
  if (const auto stat = cgroups::parse_cpu_stat(text); !refused(stat)) {
    require(stat->usage.usage.count() >= 0 && (!stat->bandwidth || stat->bandwidth->throttled.count() >= 0));
  }
  if (const auto pressure = cgroups::parse_pressure(text); !refused(pressure)) {
    require(pressure->some.count() >= 0 && pressure->full.count() >= 0);
  }
  require(cgroups::unescape(cgroups::escape(text)) == text);
  if (const auto raw = cgroups::unescape(text)) require(cgroups::escape(*raw) == text);
  return 0;
}
