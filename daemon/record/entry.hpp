// The entries of a recording. Values only.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "daemon/tick/tick.hpp"

namespace sluice::record {

// Increases with every change of fields.hpp or codec.hpp. A reader reads its own version only.
inline constexpr std::uint32_t kFormatVersion = 10;

// The first line. Both clocks are read at the same moment, to convert monotonic times of the recording to
// dates.
struct Header {
  std::uint32_t version = kFormatVersion;
  std::string daemon_version = {};
  std::uint64_t real_usec = 0;
  MonotonicTime monotonic{};
};

struct ConfigEntry {
  config::Config config;  // in force from here on; not the first one: a reload
};
struct TickEntry {
  Input input;
  Plan plan;  // the daemon's plan for this input
};
struct EndEntry {
  std::string reason;
};
using Entry = std::variant<ConfigEntry, TickEntry, EndEntry>;

// Why a file cannot be read, or not beyond this place.
struct Problem {
  std::string file;
  std::uint64_t offset = 0;  // start of the bad line
  std::uint64_t line = 0;    // from 1; 0: the whole file
  std::string found;
  std::string cure;
};

// "FILE: line 7, at byte 4711: the checksum does not fit. Cure ..."
std::string describe(const Problem& problem);

}  // namespace sluice::record
