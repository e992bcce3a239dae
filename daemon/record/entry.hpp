// What a recording is made of. Values only.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "daemon/tick/tick.hpp"

namespace sluice::record {

// Goes up with every change of fields.hpp or codec.hpp. A reader reads its own version only.
inline constexpr std::uint32_t kFormatVersion = 10;

// The first line. Both clocks at that moment: monotonic times of the recording become dates with them.
struct Header {
  std::uint32_t version = kFormatVersion;
  std::string daemon_version = {};
  std::uint64_t real_usec = 0;
  MonotonicTime monotonic{};
};

struct ConfigEntry {
  config::Config config;  // in force from here on; not the first: it was reloaded
};
struct TickEntry {
  Input input;
  Plan plan;  // what the daemon made of it
};
struct EndEntry {
  std::string reason;
};
using Entry = std::variant<ConfigEntry, TickEntry, EndEntry>;

// A file that cannot be read, or not from here on.
struct Problem {
  std::string file;
  std::uint64_t offset = 0;  // of the line that is wrong
  std::uint64_t line = 0;    // from 1; 0: the file as a whole
  std::string found;
  std::string cure;
};

// "FILE: line 7, at byte 4711: the checksum does not fit. Cure ..."
std::string describe(const Problem& problem);

}  // namespace sluice::record
