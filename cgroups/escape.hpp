// Cgroup names are bytes other than '/', NUL and newline. Escaped, they are printable ASCII without spaces,
// and two different names never look the same.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sluice::cgroups {

// Backslash becomes "\\"; everything outside '!'..'~' becomes "\xNN", lower case.
std::string escape(std::string_view raw);

// The inverse. None for text that escape() cannot produce.
std::optional<std::string> unescape(std::string_view escaped);

}  // namespace sluice::cgroups
