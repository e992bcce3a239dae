#include "tests/simhost/fuse_fs.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "tests/simhost/fuse_impl.hpp"

namespace sluice::simhost {
namespace {
constexpr int kTickMs = 10;  // maximal delay of a trigger or of the reply to a blocked write
}

FuseFs::Impl::Impl(Host& host_in, const FuseOptions& options_in) : host(host_in), options(options_in) {}

tl::expected<void, std::string> FuseFs::Impl::mount() {
  std::string mount_options = "fsname=cgroup2,subtype=cgroup2,default_permissions";
  if (options.allow_other) mount_options += ",allow_other";
  if (options.read_only) mount_options += ",ro";
  std::string program = "sluice-simhost";
  std::string dash_o = "-o";
  char* argv[] = {program.data(), dash_o.data(), mount_options.data()};
  fuse_args args = FUSE_ARGS_INIT(3, argv);
  session = fuse_session_new(&args, &fuse_operations(), sizeof(fuse_lowlevel_ops), this);
  fuse_opt_free_args(&args);
  if (session == nullptr)
    return tl::unexpected(std::string("libfuse refuses the options '" + mount_options + "'"));
  if (fuse_session_mount(session, options.mountpoint.c_str()) != 0) {
    fuse_session_destroy(session);
    session = nullptr;
    return tl::unexpected(
        "cannot mount on '" + options.mountpoint +
        "': is it an existing folder, is /dev/fuse there, and is this root or is fusermount3 "
        "installed? (libfuse's own words are above)");
  }
  clock_gettime(CLOCK_REALTIME, &mounted_at_);
  started_ = std::chrono::steady_clock::now();
  started_model_usec_ = host.now().count();
  stop_fd_ = eventfd(0, EFD_CLOEXEC);
  thread_ = std::thread([this] { serve(); });
  return {};
}

FuseFs::Impl::~Impl() {
  if (session == nullptr) return;
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = write(stop_fd_, &one, sizeof one);
  thread_.join();
  // Closes the device first, so that clients with open files get ENOTCONN and cannot block us here.
  fuse_session_unmount(session);
  for (OpenFile* open : open_files) {
    if (open->poll != nullptr) fuse_pollhandle_destroy(open->poll);
    delete open;
  }
  fuse_session_destroy(session);
  close(stop_fd_);
}

// One thread serves all requests. No handler sleeps; delayed replies are sent from tick().
void FuseFs::Impl::serve() {
  fuse_buf buffer{};
  while (fuse_session_exited(session) == 0) {
    pollfd fds[] = {{fuse_session_fd(session), POLLIN, 0}, {stop_fd_, POLLIN, 0}};
    if (::poll(fds, 2, kTickMs) < 0 && errno != EINTR) break;
    if ((fds[1].revents & POLLIN) != 0) break;
    if (fds[0].revents != 0) {
      const int got = fuse_session_receive_buf(session, &buffer);
      if (got == -EINTR) continue;
      if (got <= 0) break;
      fuse_session_process_buf(session, &buffer);
    }
    tick();
  }
  std::free(buffer.mem);  // NOLINT(cppcoreguidelines-no-malloc): libfuse allocated it
  const std::lock_guard lock(mutex);
  // No client may be left waiting for a reply.
  for (const PendingWrite& write : pending) fuse_reply_write(write.request, write.size);
  pending.clear();
  ended = true;
}

void FuseFs::Impl::tick() {
  const std::lock_guard lock(mutex);
  catch_up();
}

void FuseFs::Impl::catch_up() {
  const auto real = std::chrono::duration_cast<Usec>(std::chrono::steady_clock::now() - started_);
  const Usec behind = real + Usec(started_model_usec_) - host.now();
  if (behind.count() <= 0) return;
  host.advance(behind);
  answer_writes();
  for (OpenFile* open : open_files) {
    if (open->poll == nullptr) continue;
    const Cgroup* cgroup = host.find(open->node.cgroup);
    const bool fired = open->trigger != nullptr && open->trigger->pending();
    const bool changed = open->trigger == nullptr && open->seen != changes(*open);
    if (cgroup != nullptr && !fired && !changed) continue;
    fuse_lowlevel_notify_poll(open->poll);
    fuse_pollhandle_destroy(open->poll);
    open->poll = nullptr;
  }
}

void FuseFs::Impl::answer_writes() {
  std::erase_if(pending, [&](PendingWrite& write) { return answer(write); });
}

bool FuseFs::Impl::answer(PendingWrite& write) {
  const auto reply = [&](int error) {
    if (error != 0) {
      fuse_reply_err(write.request, error);
    } else {
      fuse_reply_write(write.request, write.size);
    }
    return true;
  };
  if (write.hangs) {
    const Faults now = fault(*write.hangs);
    Cgroup* cgroup = host.find(write.hangs->cgroup);
    if (cgroup == nullptr) return reply(ENODEV);
    if (now.hang_after || now.hang_before) return false;
    if (write.to_do) {
      const WriteResult result = write_file(host, *cgroup, *write.hangs->file, *write.to_do);
      if (result.error != 0 || !result.reclaim) return reply(result.error);
      write.reclaim = result.reclaim;
    }
    write.hangs.reset();
  }
  if (write.interrupted) {
    if (write.reclaim) host.cancel_reclaim(*write.reclaim);
    return reply(write.error_on_signal);
  }
  if (std::chrono::steady_clock::now() < write.not_before) return false;
  const std::optional<int> result = write.reclaim ? host.reclaim_result(*write.reclaim) : std::optional(0);
  return result && reply(*result);
}

void FuseFs::Impl::wake_all(CgroupId id) {
  for (OpenFile* open : open_files) {
    if (open->node.cgroup != id || open->poll == nullptr) continue;
    fuse_lowlevel_notify_poll(open->poll);
    fuse_pollhandle_destroy(open->poll);
    open->poll = nullptr;
  }
}

std::uint64_t FuseFs::Impl::changes(const OpenFile& open) {
  const Cgroup* cgroup = host.find(open.node.cgroup);
  if (cgroup == nullptr || !open.node.file) return 0;
  if (*open.node.file == File::cgroup_events) return cgroup->cgroup_events_changes;
  if (*open.node.file == File::memory_events) return cgroup->memory_events_changes;
  return 0;
}

void FuseFs::Impl::fill_attr(const Node& node, const Cgroup* cgroup, struct stat& out) {
  // separate from the directories' inodes, which are cgroup ids
  constexpr std::uint64_t kFileInodes = 1ULL << 40;
  out = {};
  out.st_ino = node.file ? kFileInodes + node_id(node.cgroup, node.file) : node.cgroup.value;
  out.st_mode = node.file ? (S_IFREG | info(*node.file).mode) : (S_IFDIR | 0755U);
  out.st_nlink = node.file ? 1 : 2 + (cgroup != nullptr ? cgroup->children.size() : 0);
  out.st_uid = geteuid();
  out.st_gid = getegid();
  out.st_blksize = 4096;
  out.st_atim = out.st_mtim = out.st_ctim = mounted_at_;
  if (const auto owner = owners.find(node_id(node.cgroup, node.file)); owner != owners.end()) {
    if (owner->second.mode) out.st_mode = (out.st_mode & S_IFMT) | (*owner->second.mode & 07777U);
    out.st_uid = owner->second.uid.value_or(out.st_uid);
    out.st_gid = owner->second.gid.value_or(out.st_gid);
  }
}

Faults FuseFs::Impl::fault(const Node& node) const {
  const auto found = faults.find(node_id(node.cgroup, node.file));
  return found == faults.end() ? Faults{} : found->second;
}

FuseFs::FuseFs(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
FuseFs::~FuseFs() = default;

tl::expected<std::unique_ptr<FuseFs>, std::string> FuseFs::mount(Host& host, const FuseOptions& options) {
  auto impl = std::make_unique<Impl>(host, options);
  if (auto mounted = impl->mount(); !mounted) return tl::unexpected(mounted.error());
  return std::unique_ptr<FuseFs>(new FuseFs(std::move(impl)));
}

void FuseFs::with_host(const std::function<void(Host&)>& action) {
  const std::lock_guard lock(impl_->mutex);
  impl_->catch_up();
  action(impl_->host);
}

void FuseFs::set_fault(const Cgroup& cgroup, File file, const Faults& faults) {
  impl_->faults[node_id(cgroup.id, file)] = faults;
}

void FuseFs::wake(const Cgroup& cgroup, std::optional<File> file) {
  for (OpenFile* open : impl_->open_files) {
    if (open->node.cgroup != cgroup.id || (file && open->node.file != file)) continue;
    if (open->trigger != nullptr) {
      open->trigger->force();
    } else {
      open->seen.reset();
    }
  }
  impl_->wake_all(cgroup.id);
}

void FuseFs::wake_removed(const std::vector<CgroupId>& gone) {
  for (const CgroupId id : gone) impl_->wake_all(id);
}

bool FuseFs::ended() const {
  return impl_->ended;
}

}  // namespace sluice::simhost
