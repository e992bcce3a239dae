// The runtime directory and its lease, as the daemon would find them at start (files/posix_files.cpp,
// actuate/lease.cpp), without creating or repairing anything.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "cgroups/error.hpp"
#include "cgroups/escape.hpp"
#include "cgroups/fd.hpp"
#include "daemon/actuate/lease.hpp"
#include "daemon/doctor/examine.hpp"
#include "daemon/doctor/read_text.hpp"
#include "daemon/files/files.hpp"

namespace sluice::doctor {
namespace {

using Saw = Look::Saw;

constexpr std::size_t kLeaseMax = std::size_t{64} << 20;

std::string parent_of(const std::string& path) {
  std::filesystem::path at(path);
  if (!at.has_filename()) at = at.parent_path();  // "state/"
  const auto parent = at.parent_path();
  return parent.empty() ? "." : parent.string();
}

// The directory does not exist: whether it can be created.
void not_made_yet(const std::string& path, StateFacts& facts) {
  facts.directory = {Saw::absent, {}};
  facts.lease = {Saw::absent, {}};
  const auto parent = parent_of(path);
  if (::access(parent.c_str(), W_OK | X_OK) == 0) return;
  const int error = errno;
  if (error == EACCES && ::geteuid() != 0) return;  // the daemon's user may be permitted
  facts.unusable = true;
  facts.directory.detail = cgroups::describe({error, path, "it cannot be made:"});
}

void read_lease(int dir, const std::string& path, const std::string& boot_id, StateFacts& facts) {
  auto& files = files::posix_files();
  const auto failed = [&](const cgroups::Error& e) {
    facts.lease =
        e.errno_value == ENOENT ? Look{Saw::absent, {}} : failed_look(e.errno_value, e.what, path + "/lease");
    facts.unusable = e.errno_value != ENOENT && e.errno_value != EACCES && e.errno_value != EPERM;
  };
  const auto opened = files.open(dir, "lease", files::Open::read);
  if (!opened) return failed(opened.error());
  const cgroups::Fd file(*opened);
  const auto text = files.read(file.get(), kLeaseMax);
  if (!text) return failed(text.error());
  const auto parsed = actuate::parse_lease(*text, boot_id);
  facts.lease = {Saw::there, {}};
  facts.baselines = parsed.entries.size();
  facts.of_other_boots = parsed.other_boots;
  facts.damaged_lines = parsed.bad.size();
}

}  // namespace

StateFacts examine_state(const std::string& path, const std::string& boot_id) {
  StateFacts facts;
  facts.path = cgroups::escape(path);
  const auto refuse = [&](int error, const char* what) {
    facts.unusable = true;
    facts.directory = {Saw::there, cgroups::describe({error, path, what})};
    if (facts.lease.detail.empty()) facts.lease.detail = "the runtime directory cannot be used";
    return facts;
  };
  struct stat status = {};
  if (::stat(path.c_str(), &status) != 0) {
    const int error = errno;
    if (error == ENOENT) {
      not_made_yet(path, facts);
      return facts;
    }
    facts.directory = failed_look(error, "look at", path);
    facts.lease.detail = facts.directory.detail;
    return facts.directory.absent() ? refuse(error, "look at") : facts;
  }
  if (!S_ISDIR(status.st_mode)) return refuse(ENOTDIR, "open the directory");
  const auto uid = ::geteuid();
  const bool others_write = (status.st_mode & (S_IWGRP | S_IWOTH)) != 0;
  // An unprivileged user cannot know the right owner: root, or the daemon's user.
  if (others_write || (uid == 0 && status.st_uid != uid))
    return refuse(EPERM, "others can write to the directory (chown it to the daemon's user, chmod go-w)");

  const cgroups::Fd dir(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir) {
    facts.directory = failed_look(errno, "open the directory", path);
    facts.lease.detail = facts.directory.detail + ", so its lease is not seen; ask as root";
    return facts.directory.absent() ? refuse(errno, "open the directory") : facts;
  }
  facts.directory = {Saw::there, {}};
  read_lease(dir.get(), path, boot_id, facts);
  if (facts.unusable) {
    facts.directory.detail = facts.lease.detail;
  } else if (::access(path.c_str(), W_OK) != 0 && errno != EACCES) {
    return refuse(errno, "write to");
  }
  return facts;
}

}  // namespace sluice::doctor
