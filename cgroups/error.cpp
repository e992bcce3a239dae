#include "cgroups/error.hpp"

#include <cerrno>
#include <cstring>
#include <system_error>

#include "cgroups/escape.hpp"

namespace sluice::cgroups {

std::string describe(const Error& error) {
  std::string text = error.what;
  if (!error.path.empty()) text.append(" '").append(escape(error.path)).append("'");
  if (error.errno_value != 0) {
    text.append(": ").append(std::generic_category().message(error.errno_value));
    if (const char* name = strerrorname_np(error.errno_value)) text.append(" (").append(name).append(")");
  }
  return text;
}

bool means_vanished(const Error& error) {
  return error.errno_value == ENOENT || error.errno_value == ENODEV;
}

}  // namespace sluice::cgroups
