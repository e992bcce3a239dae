#include "daemon/record/reader.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "daemon/record/lines.hpp"

namespace sluice::record {
namespace {

constexpr std::size_t kChunkBytes = 1U << 18;
constexpr std::size_t kLineBytesMax = 256U << 20;  // a hundred times what 10,000 tasks need

}  // namespace

std::string describe(const Problem& p) {
  std::string text = p.file + ": ";
  if (p.line > 0) text += "line " + std::to_string(p.line) + ", at byte " + std::to_string(p.offset) + ": ";
  return text + p.found + ". " + p.cure;
}

struct Reader::Impl {
  std::string path;
  int fd = -1;
  std::string buffer;
  std::size_t used = 0;      // of the buffer
  std::uint64_t offset = 0;  // of the next line in the file
  std::uint64_t line = 0;    // number of the last line taken
  bool file_over = false, over = false;
  Header header;
  LineReader lines;
  std::optional<std::string> end;

  ~Impl() {
    if (fd >= 0) ::close(fd);
  }

  Problem problem(std::string found, std::string cure) const {
    return {path, offset, line + 1, std::move(found), std::move(cure)};
  }
  std::string cut() const {
    return "What is before it can be replayed; `truncate -s " + std::to_string(offset) + " " + path +
           "` leaves just that.";
  }

  // A line without its newline; none at the end of the file.
  tl::expected<std::optional<std::string_view>, Problem> take_line() {
    std::size_t searched = used;
    for (;;) {
      const std::size_t newline = buffer.find('\n', searched);
      if (newline != std::string::npos) {
        const std::string_view found(buffer.data() + used, newline - used);
        used = newline + 1;
        return found;
      }
      if (buffer.size() - used > kLineBytesMax)
        return tl::unexpected(problem("a line that does not end", cut()));
      if (file_over) {
        if (used == buffer.size()) return std::nullopt;
        return tl::unexpected(problem("the file ends in the middle of a line, after " +
                                          std::to_string(buffer.size() - used) + " bytes of it",
                                      "The daemon was killed or the disk was full. " + cut()));
      }
      buffer.erase(0, std::exchange(used, 0));
      searched = buffer.size();
      buffer.resize(searched + kChunkBytes);
      ssize_t n = 0;
      do {
        n = ::read(fd, buffer.data() + searched, kChunkBytes);
      } while (n < 0 && errno == EINTR);
      buffer.resize(searched + static_cast<std::size_t>(n < 0 ? 0 : n));
      if (n < 0)
        return tl::unexpected(
            problem(std::string("it cannot be read: ") + ::strerrordesc_np(errno), "Copy it elsewhere."));
      file_over = n == 0;
    }
  }
  void step(std::string_view taken) {
    offset += taken.size() + 1;
    ++line;
  }
};

Reader::Reader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Reader::Reader(Reader&&) noexcept = default;
Reader& Reader::operator=(Reader&&) noexcept = default;
Reader::~Reader() = default;

tl::expected<Reader, Problem> Reader::open(const std::string& path) {
  auto impl = std::make_unique<Impl>();
  impl->path = path;
  impl->fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (impl->fd < 0) {
    return tl::unexpected(Problem{path, 0, 0, std::string("it cannot be opened: ") + ::strerrordesc_np(errno),
                                  "Recordings are made by `sluiced --record FILE` and are root's."});
  }
  const auto first = impl->take_line();
  if (!first) return tl::unexpected(first.error());
  if (!*first) {
    return tl::unexpected(
        impl->problem("the file is empty", "The daemon was killed before it wrote anything."));
  }
  auto header = impl->lines.header(**first);
  if (!header)
    return tl::unexpected(impl->problem(header.error(), "Name a file that `sluiced --record FILE` made."));
  if (header->version != kFormatVersion) {
    return tl::unexpected(impl->problem("it has format version " + std::to_string(header->version) +
                                            ", and this sluice-replay reads version " +
                                            std::to_string(kFormatVersion),
                                        "Use the sluice-replay of the release that recorded it."));
  }
  impl->header = *header;
  impl->step(**first);
  return Reader(std::move(impl));
}

const Header& Reader::header() const {
  return impl_->header;
}

const std::optional<std::string>& Reader::end() const {
  return impl_->end;
}

tl::expected<std::optional<Entry>, Problem> Reader::next() {
  Impl& r = *impl_;
  if (r.over) return std::nullopt;
  const auto taken = r.take_line();
  if (!taken || !*taken) {
    r.over = true;
    if (!taken) return tl::unexpected(taken.error());
    return std::nullopt;
  }
  if (r.end) {
    r.over = true;
    return tl::unexpected(r.problem("a line after the end", r.cut()));
  }
  auto entry = r.lines.entry(**taken);
  if (!entry) {
    r.over = true;
    return tl::unexpected(r.problem(entry.error(), "The file was damaged. " + r.cut()));
  }
  r.step(**taken);
  if (const auto* end = std::get_if<EndEntry>(&*entry)) {
    r.end = end->reason;
    return next();
  }
  return std::move(*entry);
}

}  // namespace sluice::record
