#include "cgroups/cgroup.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "cgroups/fd_limit.hpp"

namespace sluice::cgroups {
namespace {

// The longest file, memory.stat, has about 70 lines, less than 4 KiB.
constexpr std::size_t kBufferBytes = std::size_t{16} << 10;

constexpr std::array<std::string_view, kFileCount> kFileNames = {"cpu.max",
                                                                 "cpu.max.burst",
                                                                 "cpu.stat",
                                                                 "cpu.pressure",
                                                                 "io.pressure",
                                                                 "memory.current",
                                                                 "memory.events",
                                                                 "cpu.weight",
                                                                 "memory.high",
                                                                 "memory.max",
                                                                 "memory.pressure",
                                                                 "memory.stat",
                                                                 "memory.swap.current",
                                                                 "memory.swap.max",
                                                                 "cgroup.controllers",
                                                                 "cgroup.events"};

// Opens one component at a time: no symbolic link is followed, and the length of the path is not limited.
Result<Fd> open_directory(const Root& root, std::string_view path) {
  Fd dir(::openat(root.fd(), ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!dir) return tl::unexpected(Error{errno, root.path(), "open the cgroup root"});
  while (!path.empty()) {
    if (path.front() == '/') {
      path.remove_prefix(1);
      continue;
    }
    const std::string name(path.substr(0, path.find('/')));
    path.remove_prefix(name.size());
    if (name == "." || name == ".." || name.find('\0') != std::string::npos) {
      return tl::unexpected(Error{EINVAL, name, "a cgroup cannot be named"});
    }
    Fd next(::openat(dir.get(), name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!next) return tl::unexpected(Error{errno, name, "open the cgroup"});
    dir = std::move(next);
  }
  return dir;
}

std::string canonical(std::string_view path) {
  std::string out;
  for (const char c : path) {
    if (c != '/' || !out.ends_with('/')) out.push_back(c);
  }
  if (!out.starts_with('/')) out.insert(out.begin(), '/');
  if (out.size() > 1 && out.ends_with('/')) out.pop_back();
  return out;
}

Fd open_file(int dir, std::string_view name, int flags) {
  // The names are literals, so they are terminated.
  return Fd(::openat(dir, name.data(), flags | O_NOFOLLOW | O_CLOEXEC));
}

ssize_t pread_whole(int fd, std::span<char> buffer) {
  ssize_t n = 0;
  do {
    n = ::pread(fd, buffer.data(), buffer.size(), 0);
  } while (n < 0 && errno == EINTR);
  return n;
}

}  // namespace

std::string_view file_name(File file) {
  return kFileNames[static_cast<std::size_t>(file)];
}

Cgroup::Cgroup(Fd dir, CgroupId id, std::string root_path, std::string path)
    : dir_(std::move(dir)), id_(id), root_path_(std::move(root_path)), path_(std::move(path)) {}

Result<std::shared_ptr<const Cgroup>> Cgroup::open(const Root& root, std::string_view path) {
  auto name = canonical(path);
  auto dir = open_directory(root, name);
  if (!dir) {
    dir.error().path = root.path() + name;
    return tl::unexpected(std::move(dir.error()));
  }
  struct stat status = {};
  if (::fstat(dir->get(), &status) != 0)
    return tl::unexpected(Error{errno, root.path() + name, "stat the cgroup"});
  return std::shared_ptr<const Cgroup>(
      new Cgroup(std::move(*dir), CgroupId{status.st_ino}, root.path(), std::move(name)));
}

std::string Cgroup::file_path(std::string_view name) const {
  std::string text = root_path_;
  text.append(path_);
  if (!text.ends_with('/')) text.push_back('/');
  return text.append(name);
}

bool Cgroup::alive() const {
  return ::faccessat(dir_.get(), file_name(File::cpu_stat).data(), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

bool Cgroup::has(Knob knob) const {
  return ::faccessat(dir_.get(), sluice::file_name(knob).data(), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

Result<std::string_view> Cgroup::read_text(File file, std::span<char> buffer) const {
  const auto name = file_name(file);
  const std::lock_guard lock(mutex_);
  auto& kept = files_[static_cast<std::size_t>(file)];
  const bool was_open = static_cast<bool>(kept);
  if (!was_open) kept = open_file(dir_.get(), name, O_RDONLY);
  if (!kept) return tl::unexpected(Error{errno, file_path(name), "open"});
  ssize_t n = pread_whole(kept.get(), buffer);
  if (n < 0 && errno == ENODEV && was_open) {
    kept = open_file(dir_.get(), name, O_RDONLY);
    if (!kept) return tl::unexpected(Error{errno, file_path(name), "open again"});
    n = pread_whole(kept.get(), buffer);
  }
  if (n < 0) {
    const int error = errno;
    kept.reset();
    return tl::unexpected(Error{error, file_path(name), "read"});
  }
  if (!was_open && !may_keep(kept.get())) kept.reset();
  if (static_cast<std::size_t>(n) == buffer.size()) {
    return tl::unexpected(Error{EFBIG, file_path(name), "longer than any known kernel makes it:"});
  }
  return std::string_view(buffer.data(), static_cast<std::size_t>(n));
}

template <class T>
Result<T> Cgroup::read_as(File file, Result<T> (*parse)(std::string_view)) const {
  std::array<char, kBufferBytes> buffer;  // not zeroed: written before it is read
  auto text = read_text(file, buffer);
  if (!text) return tl::unexpected(std::move(text.error()));
  auto value = parse(*text);
  if (!value) value.error().path = file_path(file_name(file));
  return value;
}

Result<std::optional<Usec>> Cgroup::read_cpu_burst() const {
  auto burst = read_as(File::cpu_max_burst, parse_cpu_burst);
  if (burst) return std::optional(*burst);
  if (means_vanished(burst.error())) return std::optional<Usec>();
  return tl::unexpected(std::move(burst.error()));
}

Result<CpuMax> Cgroup::read_cpu_max() const {
  auto value = read_as(File::cpu_max, parse_cpu_max);
  if (!value) return value;
  const auto burst = read_cpu_burst();
  if (!burst) return tl::unexpected(burst.error());
  value->burst = *burst;
  return value;
}
Result<CpuWeight> Cgroup::read_cpu_weight() const {
  return read_as(File::cpu_weight, parse_cpu_weight);
}
Result<CpuStat> Cgroup::read_cpu_stat() const {
  return read_as(File::cpu_stat, parse_cpu_stat);
}
Result<PressureTotals> Cgroup::read_cpu_pressure() const {
  return read_as(File::cpu_pressure, parse_pressure);
}
Result<Bytes> Cgroup::read_memory_current() const {
  return read_as(File::memory_current, parse_bytes);
}
Result<MemoryEvents> Cgroup::read_memory_events() const {
  return read_as(File::memory_events, parse_memory_events);
}
Result<MemoryLimit> Cgroup::read_memory_high() const {
  return read_as(File::memory_high, parse_memory_limit);
}
Result<MemoryLimit> Cgroup::read_memory_max() const {
  return read_as(File::memory_max, parse_memory_limit);
}
Result<PressureTotals> Cgroup::read_io_pressure() const {
  return read_as(File::io_pressure, parse_pressure);
}
Result<PressureTotals> Cgroup::read_memory_pressure() const {
  return read_as(File::memory_pressure, parse_pressure);
}
Result<MemoryStat> Cgroup::read_memory_stat() const {
  return read_as(File::memory_stat, parse_memory_stat);
}
Result<Bytes> Cgroup::read_swap_current() const {
  return read_as(File::memory_swap_current, parse_bytes);
}
Result<MemoryLimit> Cgroup::read_swap_max() const {
  return read_as(File::memory_swap_max, parse_memory_limit);
}
Result<Controllers> Cgroup::read_controllers() const {
  return read_as(File::controllers, parse_controllers);
}

Result<bool> Cgroup::read_frozen() const {
  return read_as(File::events, parse_frozen);
}

Result<KnobValue> Cgroup::read(Knob knob) const {
  if (knob == Knob::cpu_max) return read_cpu_max().map([](const CpuMax& v) { return KnobValue(v); });
  if (knob == Knob::cpu_weight) return read_cpu_weight().map([](const CpuWeight& v) { return KnobValue(v); });
  return read_memory_high().map([](const MemoryLimit& v) { return KnobValue(v); });
}

Result<void> Cgroup::write(Knob knob, const KnobValue& value) const {
  const auto name = sluice::file_name(knob);
  if (knob_of(value) != knob) {
    return tl::unexpected(Error{EINVAL, file_path(name), "a value of another knob for"});
  }
  if (const auto* cpu = std::get_if<CpuMax>(&value)) return write_cpu_max(*cpu);
  if (const auto* memory = std::get_if<MemoryLimit>(&value)) reclaim_down_to(*memory);
  return write_text(name, format(value));
}

// Reclaims down to the new limit before it is set. Otherwise the task would exceed its limit, reclaim for
// itself and stall. The kernel may have no such file (before 5.19), free less than asked for (EAGAIN) or be
// interrupted: then the limit itself does the rest.
void Cgroup::reclaim_down_to(const MemoryLimit& limit) const {
  if (!limit.bytes) return;
  const auto current = read_memory_current();
  if (current && *current > *limit.bytes)
    static_cast<void>(write_text("memory.reclaim", std::to_string(*current - *limit.bytes)));
}

// The kernel refuses each state in which the burst exceeds the quota, and every accepted write refills the
// period. So the quota, which may be urgent, is written first, and the burst only if necessary. Kernels from
// 5.14 to 6.9 may divide the burst by a thousand when cpu.max is written, so the burst is read back
// afterwards.
Result<void> Cgroup::write_cpu_max(const CpuMax& value) const {
  const auto write_burst = [&](Usec burst) {
    return write_text(file_name(File::cpu_max_burst), std::to_string(burst.count()));
  };
  auto written = write_text(file_name(File::cpu_max), format(value));
  if (!written && written.error().errno_value == EINVAL && value.quota) {
    const auto burst = read_cpu_burst();
    if (!burst || !*burst || **burst <= *value.quota) return written;
    auto lowered = write_burst(std::min(value.burst.value_or(*value.quota), *value.quota));
    if (!lowered) return lowered;
    written = write_text(file_name(File::cpu_max), format(value));
  }
  if (!written || !value.burst) return written;
  const auto burst = read_cpu_burst();
  if (!burst) return tl::unexpected(burst.error());
  return *burst == value.burst ? written : write_burst(*value.burst);
}

Result<void> Cgroup::write_text(std::string_view name, const std::string& text) const {
  // Opens a new descriptor: the kernel serialises accesses through one descriptor, and a read must not wait
  // for a write.
  const Fd file = open_file(dir_.get(), name, O_WRONLY);
  if (!file) return tl::unexpected(Error{errno, file_path(name), "open for writing"});
  const ssize_t written = ::write(file.get(), text.data(), text.size());
  if (written != static_cast<ssize_t>(text.size())) {
    return tl::unexpected(Error{written < 0 ? errno : EIO, file_path(name), "write \"" + text + "\" to"});
  }
  return {};
}

void Cgroup::close_files() const {
  const std::lock_guard lock(mutex_);
  for (auto& file : files_) file.reset();
}

}  // namespace sluice::cgroups
