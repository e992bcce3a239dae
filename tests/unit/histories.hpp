// How many random histories a property is held to, where RC_PARAMS does not say it. Include it once a binary.
#pragma once

#include <cstdlib>
#include <string>

namespace sluice::testing {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSlowBuild = true;
#else
inline constexpr bool kSlowBuild = false;
#endif

// Before main(): RapidCheck reads its parameters at the first property. Of two of a name the last one counts:
// who asks for a seed has as many histories.
struct Histories {
  Histories(const char* many, const char* few) {
    const char* asked = std::getenv("RC_PARAMS");
    const auto all = std::string(kSlowBuild ? few : many) + " " + (asked ? asked : "");
    ::setenv("RC_PARAMS", all.c_str(), 1);
  }
};

}  // namespace sluice::testing
