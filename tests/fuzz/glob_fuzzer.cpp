// Any bytes as "PATTERN\nPATH": matching ends, and what needs no interpreting is not interpreted.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "cgroups/glob.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto pattern = text.substr(0, text.find('\n'));
  const auto path = pattern.size() == size ? std::string_view() : text.substr(pattern.size() + 1);
  const bool matches = sluice::cgroups::glob_match(pattern, path);
  (void)sluice::cgroups::unit_match(pattern, path);
  if (pattern.find_first_of("*?[\\") == std::string_view::npos && matches != (pattern == path)) std::abort();
  return 0;
}
