// How quantities and foreign bytes are spelled for people, by whoever shows them. Pure.
#pragma once

#include <string>
#include <string_view>

#include "cgroups/types.hpp"

namespace sluice::publish {

std::string cores_words(double cores);      // "0.40 cores"
std::string bytes_words(double bytes);      // "1.5 GiB"
std::string percent_words(double ratio);    // "0.04 %", "90 %"
std::string duration_words(Nsec duration);  // "90 ms", "1.5 s", "3 min"

// Bytes with so many digits after the point, to tell two apart.
std::string bytes_in(double bytes, int digits);

// Any bytes as printable ASCII, reversibly: a cgroup's name may be invalid UTF-8 or hold escape sequences,
// and a D-Bus string or a terminal must not.
std::string c_escape(std::string_view raw);

// Text as it was written, without what a terminal would act upon: control characters and bytes that are no
// UTF-8 become "\x1b". What D-Bus takes for a string. `printable` keeps line feeds, `printable_line` does
// not.
std::string printable(std::string_view text);
std::string printable_line(std::string_view text);
bool is_text(std::string_view text);  // UTF-8 that D-Bus takes, whatever it holds

// At most so many bytes of a text that somebody else sent, cut between characters, then "…".
std::string shortened(std::string_view text, std::size_t most = 100);

}  // namespace sluice::publish
