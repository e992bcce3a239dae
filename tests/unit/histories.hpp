// How many random histories a property is held to, when nobody says so by RC_PARAMS. Include it once a
// binary.
#pragma once

#include <cstdlib>

namespace sluice::testing {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSlowBuild = true;
#else
inline constexpr bool kSlowBuild = false;
#endif

// Before main(): RapidCheck reads its parameters at the first property.
struct Histories {
  Histories(const char* many, const char* few) { ::setenv("RC_PARAMS", kSlowBuild ? few : many, 0); }
};

}  // namespace sluice::testing
