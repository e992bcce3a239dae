// How quantities and untrusted bytes are spelled for people. Pure.
#pragma once

#include <string>
#include <string_view>

#include "cgroups/types.hpp"

namespace sluice::publish {

std::string cores_words(double cores);      // "0.40 cores"
std::string bytes_words(double bytes);      // "1.5 GiB"
std::string percent_words(double ratio);    // "0.04 %", "90 %"
std::string duration_words(Nsec duration);  // "90 ms", "1.5 s", "3 min"

// Bytes with `digits` decimals, to tell two close values apart.
std::string bytes_in(double bytes, int digits);

// Any bytes as printable ASCII, reversibly. A cgroup's name may be invalid UTF-8 or contain escape sequences,
// which must not reach a D-Bus string or a terminal.
std::string c_escape(std::string_view raw);

// Text without anything that a terminal would act on: control characters and invalid UTF-8 become "\x1b" and
// the like. The result is valid for D-Bus. `printable` keeps line feeds, `printable_line` does not.
std::string printable(std::string_view text);
std::string printable_line(std::string_view text);
bool is_text(std::string_view text);  // UTF-8 that D-Bus allows

// At most `most` bytes of untrusted text, cut between characters, then "…".
std::string shortened(std::string_view text, std::size_t most = 100);

}  // namespace sluice::publish
