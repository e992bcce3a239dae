// Shell globs as in fnmatch(3) (* ? [a-z] [!x] [[:digit:]] \x), on bytes, in time linear in pattern x name: a
// hostile name cannot make a match expensive, and locales have no effect.
#pragma once

#include <string_view>

namespace sluice::cgroups {

// As with FNM_PATHNAME: only '/' matches a '/'.
bool glob_match(std::string_view pattern, std::string_view path);

// Matches the last component of `path` as a unit name. systemd prepends '_' to names that look like a kernel
// file (beginning with '_', '.', "cgroup." or a controller's name); both forms match.
bool unit_match(std::string_view pattern, std::string_view path);

std::string_view last_component(std::string_view path);
std::string_view unescape_unit(std::string_view component);

}  // namespace sluice::cgroups
