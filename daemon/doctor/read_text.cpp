#include "daemon/doctor/read_text.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "cgroups/fd.hpp"

namespace sluice::doctor {

tl::expected<std::string, int> read_text(const std::string& path, std::size_t at_most) {
  const cgroups::Fd file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!file) return tl::unexpected(errno);
  std::string text;
  std::array<char, 4096> chunk;
  for (;;) {
    const ssize_t n = ::read(file.get(), chunk.data(), chunk.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return tl::unexpected(errno);
    if (n == 0) return text;
    text.append(chunk.data(), static_cast<std::size_t>(n));
    if (text.size() > at_most) return tl::unexpected(EFBIG);
  }
}

}  // namespace sluice::doctor
