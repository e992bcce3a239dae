// What went wrong, as a sentence that says what to do about it.
#pragma once

#include <string>

#include "daemon/ctl/value.hpp"

namespace sluice::ctl {

// A D-Bus error, from the daemon, the bus, or the library.
struct Failure {
  std::string name, message;
};

// Ours, beside D-Bus's names: no connection to the bus; it does not say a word; nobody on it has the daemon's
// name.
inline constexpr const char* kNoBus = "no-bus";
inline constexpr const char* kMuteBus = "mute-bus";
inline constexpr const char* kNotBack = "not-back";
inline constexpr const char* kNotRunning = "not-running";

// What was asked, and where.
struct Asked {
  std::string bus = "system";
  std::uint64_t patience_s = 10;
};

std::string complaint(const Failure& failure, const Asked& asked);

// Of a refused pin: what the task may have.
std::string bounds_words(const Dictionary& task);

}  // namespace sluice::ctl
