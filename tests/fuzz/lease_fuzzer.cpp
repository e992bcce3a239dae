// Any bytes as a lease: each line is obeyed whole or reported, and what is obeyed survives being written.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "daemon/actuate/lease.hpp"

namespace {

constexpr std::string_view kBoot = "0f3a1c52-0000-4000-8000-00000000beef";

void require(bool promise) {
  if (!promise) std::abort();
}

void check(std::string_view text) {
  using namespace sluice;
  const auto parsed = actuate::parse_lease(text, kBoot);
  const auto lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  require(parsed.entries.size() + parsed.other_boots + parsed.superseded + parsed.bad.size() <= 2 * lines);
  require(parsed.entries.size() + parsed.other_boots + parsed.bad.size() <= lines);
  for (const auto& bad : parsed.bad) require(bad.number >= 1 && bad.number <= lines && !bad.why.empty());
  require(parsed.whole <= text.size() && text.find('\n', parsed.whole) == std::string_view::npos);
  for (const auto& entry : parsed.entries) {
    const auto fits = [&](const KnobValue& v) {
      return std::holds_alternative<CpuMax>(v) == (entry.knob == Knob::cpu_max);
    };
    require(entry.path.starts_with('/') && !entry.ours.empty() && fits(entry.baseline));
    require(std::all_of(entry.ours.begin(), entry.ours.end(), fits));
  }
  // Written anew, appended to, torn: the entries stay.
  const auto again = actuate::format_lease(parsed.entries, kBoot);
  require(actuate::parse_lease(again, kBoot).entries == parsed.entries);
  require(actuate::parse_lease(again + "lease2 torn", kBoot).entries == parsed.entries);
  std::string removed = again;
  for (const auto& e : parsed.entries)
    removed += actuate::format_lease_change({{e.id, e.knob}, std::nullopt}, kBoot);
  const auto none = actuate::parse_lease(removed, kBoot);
  require(none.entries.empty() && none.bad.empty() && none.whole == removed.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check(text);
  // What no fuzzer guesses is a checksum: the same bytes as a line that passes it.
  check(sluice::actuate::seal_lease_line(text));
  check(sluice::actuate::seal_lease_line(std::string(kBoot) + " " + std::string(text)));
  return 0;
}
