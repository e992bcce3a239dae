// The number of random histories of a property if RC_PARAMS does not set it. Include it once per binary.
#pragma once

#include <cstdlib>
#include <string>

namespace sluice::testing {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSlowBuild = true;
#else
inline constexpr bool kSlowBuild = false;
#endif

// Set before main(): RapidCheck reads its parameters at the first property. The last one of a name counts, so
// setting a seed does not change the number of histories.
struct Histories {
  Histories(const char* many, const char* few) {
    const char* asked = std::getenv("RC_PARAMS");
    const auto all = std::string(kSlowBuild ? few : many) + " " + (asked ? asked : "");
    ::setenv("RC_PARAMS", all.c_str(), 1);
  }
};

}  // namespace sluice::testing
