#include "cgroups/fd_limit.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <limits>

namespace sluice::cgroups {
namespace {

constexpr int kReserve = 128;

int in_force(const rlimit& limit) {
  constexpr auto kMax = static_cast<rlim_t>(std::numeric_limits<int>::max());
  return static_cast<int>(std::min(limit.rlim_cur, kMax));
}

}  // namespace

int raise_fd_limit() {
  rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  const rlimit wanted = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
  return in_force(::setrlimit(RLIMIT_NOFILE, &wanted) == 0 ? wanted : limit);
}

bool may_keep(int fd) {
  rlimit limit = {};
  return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 && fd < in_force(limit) - kReserve;
}

}  // namespace sluice::cgroups
