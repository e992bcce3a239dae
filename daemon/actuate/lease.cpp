#include "daemon/actuate/lease.hpp"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>

#include "daemon/actuate/private_dir.hpp"

namespace sluice::actuate {
namespace {

using cgroups::Error;
using cgroups::Fd;
using cgroups::Result;

constexpr const char* kName = "lease";
constexpr const char* kTemporary = "lease.new";
constexpr const char* kCorrupt = "lease.corrupt";
// A thousand tasks take some 200 KB. More than this is not our file.
constexpr std::size_t kSizeMax = 64u << 20;

Result<std::string> read_file(int fd) {
  std::string text;
  std::array<char, std::size_t{16} << 10> chunk;
  while (text.size() <= kSizeMax) {
    const ssize_t n = ::read(fd, chunk.data(), chunk.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return tl::unexpected(Error{errno, {}, "read the lease"});
    if (n == 0) return text;
    text.append(chunk.data(), static_cast<std::size_t>(n));
  }
  return tl::unexpected(Error{EFBIG, {}, "read the lease"});
}

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

std::string plural(std::size_t n, const char* one, const char* many) {
  return std::to_string(n) + " " + (n == 1 ? one : many);
}

}  // namespace

Lease::Lease(Fd dir, std::string dir_path, std::string boot_id)
    : dir_(std::move(dir)), dir_path_(std::move(dir_path)), boot_id_(std::move(boot_id)) {}

Result<Lease> Lease::open(const std::string& state_dir, std::string boot_id) {
  if (boot_id.empty() || boot_id.find_first_of(" \n") != std::string::npos) {
    return tl::unexpected(Error{EINVAL, {}, "a lease needs a boot id"});
  }
  auto dir = open_own_directory(state_dir, 0700);
  if (!dir) return tl::unexpected(std::move(dir.error()));
  Lease lease(std::move(*dir), state_dir, std::move(boot_id));
  return lease.load().map([&] { return std::move(lease); });
}

Result<void> Lease::load() {
  const auto path = dir_path_ + "/" + kName;
  const Fd file(::openat(dir_.get(), kName, O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!file && errno == ENOENT) return {};
  if (!file) return tl::unexpected(Error{errno, path, "open the lease"});
  const auto text = read_file(file.get());
  if (!text) return tl::unexpected(Error{text.error().errno_value, path, text.error().what});

  auto parsed = parse_lease(*text, boot_id_);
  for (auto& entry : parsed.entries) entries_.try_emplace({entry.id, entry.knob}, std::move(entry));
  if (parsed.other_boots > 0) {
    notices_.push_back(path + ": dropped " + plural(parsed.other_boots, "baseline", "baselines") +
                       " of an earlier boot, whose cgroups are gone.");
  }
  if (!parsed.bad.empty()) {
    // A second link, not a rename: the good lines must be on disk at every moment.
    ::unlinkat(dir_.get(), kCorrupt, 0);
    const bool kept = ::linkat(dir_.get(), kName, dir_.get(), kCorrupt, 0) == 0;
    std::string lines;
    for (const auto& bad : parsed.bad) {
      lines.append(lines.empty() ? "" : ", ").append(std::to_string(bad.number)).append(" (" + bad.why + ")");
    }
    notices_.push_back(
        path + ": " + plural(parsed.bad.size(), "damaged line", "damaged lines") + " ignored: " + lines +
        "; " + plural(entries_.size(), "baseline is", "baselines are") + " intact; " +
        (kept ? "the file was kept as " + std::string(kCorrupt) + "." : "the file could not be kept aside."));
  }
  if (parsed.other_boots > 0 || !parsed.bad.empty()) return store(entries_);
  return {};
}

Result<void> Lease::store(const Entries& entries) {
  const auto failed = [&](const char* what, const char* name) {
    const int error = errno;
    ::unlinkat(dir_.get(), kTemporary, 0);
    return tl::unexpected(Error{error, dir_path_ + "/" + name, what});
  };
  std::vector<LeaseEntry> list;
  list.reserve(entries.size());
  for (const auto& [key, entry] : entries) list.push_back(entry);

  ::unlinkat(dir_.get(), kTemporary, 0);
  const Fd file(::openat(dir_.get(), kTemporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) return failed("make", kTemporary);
  if (!write_all(file.get(), format_lease(list, boot_id_))) return failed("write", kTemporary);
  if (::fsync(file.get()) != 0) return failed("sync", kTemporary);
  if (::renameat(dir_.get(), kTemporary, dir_.get(), kName) != 0) return failed("replace", kName);
  if (::fsync(dir_.get()) != 0) return failed("sync the directory of", kName);
  return {};
}

Result<void> Lease::add(std::span<const LeaseEntry> entries) {
  auto next = entries_;
  for (const auto& entry : entries) next.try_emplace({entry.id, entry.knob}, entry);
  if (next.size() == entries_.size()) return {};
  return store(next).map([&] { entries_ = std::move(next); });
}

Result<void> Lease::remove(std::span<const CgroupId> ids) {
  auto next = entries_;
  std::erase_if(next, [&](const auto& item) {
    return std::find(ids.begin(), ids.end(), item.first.first) != ids.end();
  });
  if (next.size() == entries_.size()) return {};
  return store(next).map([&] { entries_ = std::move(next); });
}

Result<void> Lease::remove(CgroupId id, Knob knob) {
  auto next = entries_;
  if (next.erase({id, knob}) == 0) return {};
  return store(next).map([&] { entries_ = std::move(next); });
}

Result<void> Lease::clear() {
  if (::unlinkat(dir_.get(), kName, 0) != 0 && errno != ENOENT) {
    return tl::unexpected(Error{errno, dir_path_ + "/" + kName, "remove"});
  }
  if (::fsync(dir_.get()) != 0) return tl::unexpected(Error{errno, dir_path_, "sync"});
  entries_.clear();
  return {};
}

std::vector<LeaseEntry> Lease::entries() const {
  std::vector<LeaseEntry> list;
  list.reserve(entries_.size());
  for (const auto& [key, entry] : entries_) list.push_back(entry);
  return list;
}

}  // namespace sluice::actuate
