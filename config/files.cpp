// The files of a configuration: which ones are used, in which order, and their text.

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <iterator>
#include <map>
#include <system_error>

#include "config/load.hpp"

namespace sluice::config {
namespace {

namespace fs = std::filesystem;

std::string says(int error) {
  return std::generic_category().message(error);
}

bool is_dev_null(const struct stat& st) {
  return S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

// Reads the whole file; the error is an errno. Non-blocking, because a FIFO in place of a file must not hang
// the daemon.
tl::expected<std::string, int> read_text(const fs::path& path) {
  constexpr std::size_t kMost = (1U << 20) + 1;  // parse() refuses longer text, so more need not be read
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return tl::unexpected(errno);
  const struct Closer {
    int fd;
    ~Closer() { ::close(fd); }
  } closer{fd};
  struct stat st {};
  if (::fstat(fd, &st) != 0) return tl::unexpected(errno);
  if (is_dev_null(st)) return std::string{};
  if (S_ISDIR(st.st_mode)) return tl::unexpected(EISDIR);
  if (!S_ISREG(st.st_mode)) return tl::unexpected(ENOTSUP);
  std::string text;
  std::array<char, 65536> buffer;
  while (text.size() < kMost) {
    const auto n = ::read(fd, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return tl::unexpected(errno);
    if (n == 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return text;
}

Problem unreadable(const fs::path& path, int error) {
  const bool special = error == ENOTSUP || error == EISDIR;
  return {path.string(),
          0,
          0,
          {},
          special ? std::string("cannot be read: found no regular file, must be one (or a link to /dev/null)")
                  : fmt::format("cannot be read: {}", says(error))};
}

class Gathered {
 public:
  void add(const fs::path& path, bool may_be_missing) {
    auto text = read_text(path);
    if (text) {
      sources_.push_back({path.string(), std::move(*text)});
    } else if (!(may_be_missing && text.error() == ENOENT)) {
      problems_.push_back(unreadable(path, text.error()));
    }
  }
  void add_problem(Problem problem) { problems_.push_back(std::move(problem)); }

  // Checks what could be read even if something could not: all errors are reported at once.
  Result parsed() {
    auto result = parse(sources_);
    if (problems_.empty()) return result;
    if (!result) {
      auto& more = result.error();
      problems_.insert(problems_.end(), std::make_move_iterator(more.begin()),
                       std::make_move_iterator(more.end()));
    }
    return tl::unexpected(std::move(problems_));
  }

 private:
  std::vector<Source> sources_;
  std::vector<Problem> problems_;
};

}  // namespace

Result load_file(const fs::path& path) {
  Gathered gathered;
  gathered.add(path, false);
  return gathered.parsed();
}

Result load_default(const Search& search) {
  Gathered gathered;
  for (const auto& file : search.files) gathered.add(file, true);

  std::map<std::string, fs::path> by_name;  // sorted; a later directory replaces files of an earlier one
  for (const auto& directory : search.drop_in_directories) {
    std::error_code error;
    fs::directory_iterator it(directory, error);
    for (; !error && it != fs::directory_iterator(); it.increment(error)) {
      const auto name = it->path().filename();
      if (name.extension() == ".toml") by_name[name.string()] = it->path();
    }
    if (error && error != std::errc::no_such_file_or_directory) {
      gathered.add_problem(unreadable(directory, error.value()));
    }
  }
  for (const auto& [name, path] : by_name) gathered.add(path, false);
  return gathered.parsed();
}

}  // namespace sluice::config
