// Errors as sentences with a cure.
#pragma once

#include <string>

#include "daemon/ctl/value.hpp"

namespace sluice::ctl {

// A D-Bus error from the daemon, the bus or the library.
struct Failure {
  std::string name, message;
};

// Our own names in addition to D-Bus's: no connection to the bus; the bus does not reply; no process owns the
// daemon's name.
inline constexpr const char* kNoBus = "no-bus";
inline constexpr const char* kMuteBus = "mute-bus";
inline constexpr const char* kNotBack = "not-back";
inline constexpr const char* kNotRunning = "not-running";

// The request, and the bus.
struct Asked {
  std::string bus = "system";
  std::uint64_t patience_s = 10;
};

std::string complaint(const Failure& failure, const Asked& asked);

// For a refused pin: the task's bounds.
std::string bounds_words(const Dictionary& task);

}  // namespace sluice::ctl
