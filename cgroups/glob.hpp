// Shell globs as fnmatch(3) knows them (* ? [a-z] [!x] [[:digit:]] \x), on bytes, in time linear in
// pattern x name: a hostile name cannot make a match expensive, nor can a locale misread it.
#pragma once

#include <string_view>

namespace sluice::cgroups {

// As with FNM_PATHNAME: a '/' is matched only by a '/'.
bool glob_match(std::string_view pattern, std::string_view path);

// `path`'s last component as a unit name. systemd puts '_' before names that could be taken for a kernel file
// (those that begin with '_', '.', "cgroup." or a controller's name); both forms match.
bool unit_match(std::string_view pattern, std::string_view path);

std::string_view last_component(std::string_view path);
std::string_view unescape_unit(std::string_view component);

}  // namespace sluice::cgroups
