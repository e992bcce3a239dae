// Any bytes as a lease journal: each line is obeyed whole or reported, and what is obeyed survives being
// written.
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
  const auto parsed = sluice::actuate::parse_lease(text, kBoot);
  const auto lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + 1;
  require(parsed.entries.size() + parsed.other_boots + parsed.bad.size() <= lines);
  for (const auto& bad : parsed.bad) require(bad.number >= 1 && bad.number <= lines && !bad.why.empty());
  for (const auto& entry : parsed.entries) {
    require(entry.path.starts_with('/'));
    require(std::holds_alternative<sluice::CpuMax>(entry.baseline) == (entry.knob == sluice::Knob::cpu_max));
  }
  const auto again =
      sluice::actuate::parse_lease(sluice::actuate::format_lease(parsed.entries, kBoot), kBoot);
  require(again.entries == parsed.entries && again.bad.empty());
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
