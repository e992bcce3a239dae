#include "daemon/process/program.hpp"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>

namespace sluice::process {

std::string own_program() {
  std::array<char, PATH_MAX> path{};
  const auto length = ::readlink("/proc/self/exe", path.data(), path.size());
  return length > 0 ? std::string(path.data(), static_cast<std::size_t>(length)) : std::string();
}

int replace_by(const std::string& path, char* const* arguments) {
  ::execv(path.c_str(), arguments);
  return errno;
}

}  // namespace sluice::process
