// Request handlers: each takes the lock, calls the model, and replies with the kernel's errno.
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tests/simhost/fuse_impl.hpp"

namespace sluice::simhost {
namespace {

using Impl = FuseFs::Impl;

Impl& impl(fuse_req_t request) {
  return *static_cast<Impl*>(fuse_req_userdata(request));
}

// The cgroup of a node, if it and its file still exist.
Cgroup* alive(Impl& fs, const Node& node) {
  Cgroup* cgroup = fs.host.find(node.cgroup);
  return cgroup == nullptr || (node.file && !exists(*cgroup, info(*node.file))) ? nullptr : cgroup;
}

void reply_entry(fuse_req_t request, Impl& fs, const Node& node, const Cgroup* cgroup) {
  fuse_entry_param entry{};
  entry.ino = node_id(node.cgroup, node.file);
  entry.generation = 1;
  fs.fill_attr(node, cgroup, entry.attr);
  fuse_reply_entry(request, &entry);
}

void on_init(void*, fuse_conn_info* connection) {
  connection->want &= ~unsigned{FUSE_CAP_READDIRPLUS};
}

void on_lookup(fuse_req_t request, fuse_ino_t parent, const char* name) {
  Impl& fs = impl(request);
  const std::lock_guard lock(fs.mutex);
  const Cgroup* cgroup = alive(fs, node_of(parent));
  if (cgroup == nullptr) return void(fuse_reply_err(request, ENOENT));
  if (const auto file = find_file(*cgroup, name)) return reply_entry(request, fs, {cgroup->id, file}, cgroup);
  const auto child = cgroup->children.find(std::string_view(name));
  if (child == cgroup->children.end()) return void(fuse_reply_err(request, ENOENT));
  reply_entry(request, fs, {child->second->id, std::nullopt}, child->second.get());
}

void on_getattr(fuse_req_t request, fuse_ino_t id, fuse_file_info*) {
  Impl& fs = impl(request);
  const std::lock_guard lock(fs.mutex);
  const Node node = node_of(id);
  struct stat attr;
  fs.fill_attr(node, fs.host.find(node.cgroup), attr);  // an open file still has attributes after its removal
  fuse_reply_attr(request, &attr, 0);
}

void on_setattr(fuse_req_t request, fuse_ino_t id, struct stat* to, int what, fuse_file_info*) {
  Impl& fs = impl(request);
  const std::lock_guard lock(fs.mutex);
  const Node node = node_of(id);
  const Cgroup* cgroup = alive(fs, node);
  if (cgroup == nullptr) return void(fuse_reply_err(request, ENODEV));
  auto& owner = fs.owners[id];
  if ((what & FUSE_SET_ATTR_MODE) != 0) owner.mode = to->st_mode;
  if ((what & FUSE_SET_ATTR_UID) != 0) owner.uid = to->st_uid;
  if ((what & FUSE_SET_ATTR_GID) != 0) owner.gid = to->st_gid;
  struct stat attr;
  fs.fill_attr(node, cgroup, attr);
  fuse_reply_attr(request, &attr, 0);
}

void on_mkdir(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t) {
  Impl& fs = impl(request);
  const std::lock_guard lock(fs.mutex);
  fs.catch_up();
  Cgroup* cgroup = alive(fs, node_of(parent));
  if (cgroup == nullptr) return void(fuse_reply_err(request, ENODEV));
  if (find_file(*cgroup, name)) return void(fuse_reply_err(request, EEXIST));
  const auto made = fs.host.make_cgroup(*cgroup, name);
  if (!made) return void(fuse_reply_err(request, made.error()));
  reply_entry(request, fs, {(*made)->id, std::nullopt}, *made);
}

void on_rmdir(fuse_req_t request, fuse_ino_t parent, const char* name) {
  Impl& fs = impl(request);
  const std::lock_guard lock(fs.mutex);
  fs.catch_up();
  Cgroup* cgroup = alive(fs, node_of(parent));
  if (cgroup == nullptr) return void(fuse_reply_err(request, ENOENT));
  if (find_file(*cgroup, name)) return void(fuse_reply_err(request, ENOTDIR));
  const auto child = cgroup->children.find(std::string_view(name));
  if (child == cgroup->children.end()) return void(fuse_reply_err(request, ENOENT));
  const CgroupId id = child->second->id;
  const int error = fs.host.remove_cgroup(*child->second);
  fuse_reply_err(request, error);
  if (error == 0) fs.wake_all(id);
}

void on_unlink(fuse_req_t request, fuse_ino_t, const char*) {
  fuse_reply_err(request, EPERM);
}
void on_mknod(fuse_req_t request, fuse_ino_t, const char*, mode_t mode, dev_t) {
  fuse_reply_err(request, S_ISREG(mode) ? EACCES : EPERM);
}
void on_symlink(fuse_req_t request, const char*, fuse_ino_t, const char*) {
  fuse_reply_err(request, EPERM);
}
void on_link(fuse_req_t request, fuse_ino_t, fuse_ino_t, const char*) {
  fuse_reply_err(request, EPERM);
}
void on_rename(fuse_req_t request, fuse_ino_t, const char*, fuse_ino_t, const char*, unsigned) {
  fuse_reply_err(request, EPERM);
}
void on_create(fuse_req_t request, fuse_ino_t, const char*, mode_t, fuse_file_info*) {
  fuse_reply_err(request, EACCES);
}

void on_open(fuse_req_t request, fuse_ino_t id, fuse_file_info* info) {
  Impl& fs = impl(request);
  const std::lock_guard lock(fs.mutex);
  const Node node = node_of(id);
  if (alive(fs, node) == nullptr) return void(fuse_reply_err(request, ENODEV));
  auto* open = new OpenFile{.node = node, .content = {}, .seen = {}, .trigger = nullptr};
  fs.open_files.insert(open);
  info->fh = reinterpret_cast<std::uint64_t>(open);
  info->direct_io = 1;  // a size of 0 must not be read as empty, and nothing may be cached
  info->nonseekable = 0;
  if (fuse_reply_open(request, info) != 0) {
    fs.open_files.erase(open);
    delete open;
  }
}

OpenFile& opened(const fuse_file_info* info) {
  return *reinterpret_cast<OpenFile*>(info->fh);
}

void on_release(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
  Impl& fs = impl(request);
  const std::lock_guard lock(fs.mutex);
  OpenFile* open = &opened(info);
  fs.open_files.erase(open);
  if (open->poll != nullptr) fuse_pollhandle_destroy(open->poll);
  delete open;
  fuse_reply_err(request, 0);
}

void on_read(fuse_req_t request, fuse_ino_t, std::size_t size, off_t offset, fuse_file_info* info) {
  Impl& fs = impl(request);
  const std::lock_guard lock(fs.mutex);
  OpenFile& open = opened(info);
  fs.catch_up();
  Cgroup* cgroup = alive(fs, open.node);
  if (cgroup == nullptr) return void(fuse_reply_err(request, ENODEV));
  if (const int error = fs.fault(open.node).read_errno; error != 0)
    return void(fuse_reply_err(request, error));
  if (offset == 0) {
    auto text = read_file(fs.host, *cgroup, *open.node.file);
    if (!text) return void(fuse_reply_err(request, text.error()));
    open.content = std::move(*text);
    open.seen = fs.changes(open);
  }
  const auto from = std::min(static_cast<std::size_t>(offset), open.content.size());
  fuse_reply_buf(request, open.content.data() + from, std::min(size, open.content.size() - from));
}

void on_interrupt(fuse_req_t request, void* data) {
  Impl& fs = impl(request);
  const std::lock_guard lock(fs.mutex);
  const auto id = reinterpret_cast<std::uint64_t>(data);
  const auto write = std::find_if(fs.pending.begin(), fs.pending.end(), [&](auto& w) { return w.id == id; });
  if (write == fs.pending.end()) {
    fs.signalled.insert(id);
  } else {
    write->interrupted = true;  // answered by the next tick
  }
}

// Carries the write out. With an id the reply comes later; the id is the request's place in the queue.
struct Started {
  int error = 0;
  std::optional<PendingWrite> later;
};
Started start_write(Impl& fs, OpenFile& open, std::string_view data) {
  fs.catch_up();
  Cgroup* cgroup = alive(fs, open.node);
  if (cgroup == nullptr) return {ENODEV, {}};
  const Faults faults = fs.fault(open.node);
  if (faults.write_errno != 0) return {faults.write_errno, {}};
  const File file = *open.node.file;
  if (const auto resource = pressure_of(file)) {
    if (open.trigger != nullptr) return {EBUSY, {}};
    auto trigger = parse_trigger(fs.host, *cgroup, *resource, data, fs.options.psi);
    if (!trigger) return {trigger.error(), {}};
    open.trigger = *trigger;
    return {};
  }
  PendingWrite later{.id = fs.next_pending++, .size = data.size()};
  if (faults.hang_after || faults.hang_before) later.hangs = open.node;
  if (faults.hang_before) {
    later.to_do = data;
    return {0, later};
  }
  const WriteResult result = write_file(fs.host, *cgroup, file, data);
  if (result.error != 0 || (!result.reclaim && faults.block_ms == 0 && !later.hangs))
    return {result.error, {}};
  later.reclaim = result.reclaim;
  later.not_before = std::chrono::steady_clock::now() + std::chrono::milliseconds(faults.block_ms);
  later.error_on_signal = file == File::memory_reclaim ? EINTR : 0;
  return {0, later};
}

void on_write(fuse_req_t request, fuse_ino_t, const char* data, std::size_t size, off_t,
              fuse_file_info* info) {
  Impl& fs = impl(request);
  Started started;
  {
    const std::lock_guard lock(fs.mutex);
    // As in kernfs: at most a page, and the text ends at a NUL.
    const std::string_view text(data, std::min<std::size_t>(size, 4096));
    started = start_write(fs, opened(info), text.substr(0, text.find('\0')));
  }
  if (started.error != 0) return void(fuse_reply_err(request, started.error));
  if (!started.later) return void(fuse_reply_write(request, size));
  started.later->request = request;
  started.later->size = size;
  // Called without the lock, because libfuse may call back at once. Ticks run on this thread, so the request
  // stays valid until then.
  fuse_req_interrupt_func(request, on_interrupt, reinterpret_cast<void*>(started.later->id));
  const std::lock_guard lock(fs.mutex);
  started.later->interrupted = fs.signalled.erase(started.later->id) > 0;
  fs.pending.push_back(*started.later);
}

void on_poll(fuse_req_t request, fuse_ino_t, fuse_file_info* info, fuse_pollhandle* handle) {
  Impl& fs = impl(request);
  const std::lock_guard lock(fs.mutex);
  OpenFile& open = opened(info);
  if (handle != nullptr) {
    if (open.poll != nullptr) fuse_pollhandle_destroy(open.poll);
    open.poll = handle;
  }
  constexpr unsigned kUsual = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
  constexpr unsigned kAlarm = kUsual | POLLERR | POLLPRI;
  unsigned events = kUsual;
  if (alive(fs, open.node) == nullptr) {
    events = kAlarm;
  } else if (pressure_of(*open.node.file)) {
    if (open.trigger == nullptr) {
      events = kAlarm;
    } else if (open.trigger->take_event()) {
      events |= POLLPRI;
    }
  } else if (open.seen != fs.changes(open)) {
    events = kAlarm;
  }
  fuse_reply_poll(request, events);
}

void on_opendir(fuse_req_t request, fuse_ino_t id, fuse_file_info* info) {
  Impl& fs = impl(request);
  const std::lock_guard lock(fs.mutex);
  if (alive(fs, node_of(id)) == nullptr) return void(fuse_reply_err(request, ENOENT));
  fuse_reply_open(request, info);
}

void on_readdir(fuse_req_t request, fuse_ino_t id, std::size_t size, off_t offset, fuse_file_info*) {
  Impl& fs = impl(request);
  const std::lock_guard lock(fs.mutex);
  const Cgroup* cgroup = alive(fs, node_of(id));
  if (cgroup == nullptr) return void(fuse_reply_err(request, ENOENT));
  std::string out(size, '\0');
  std::size_t used = 0;
  // Offsets: 1 ".", 2 "..", then files, then cgroups by id, so that a listing survives concurrent changes.
  const auto add = [&](const std::string& name, const Node& node, std::uint64_t place) {
    struct stat attr;
    fs.fill_attr(node, nullptr, attr);
    const std::size_t need = fuse_add_direntry(request, out.data() + used, size - used, name.c_str(), &attr,
                                               static_cast<off_t>(place));
    if (need > size - used) return false;
    used += need;
    return true;
  };
  constexpr std::uint64_t kFirstCgroup = 1'000;
  const auto from = static_cast<std::uint64_t>(offset);
  bool room = true;
  if (from < 1) room = add(".", {cgroup->id, std::nullopt}, 1);
  if (room && from < 2) room = add("..", {cgroup->parent ? cgroup->parent->id : cgroup->id, std::nullopt}, 2);
  for (const FileInfo& file : all_files()) {
    const std::uint64_t place = 3 + static_cast<std::uint64_t>(file.file);
    if (room && from < place && exists(*cgroup, file))
      room = add(std::string(file.name), {cgroup->id, file.file}, place);
  }
  std::vector<const Cgroup*> children;
  for (const auto& [name, child] : cgroup->children) children.push_back(child.get());
  std::sort(children.begin(), children.end(), [](auto* a, auto* b) { return a->id < b->id; });
  for (const Cgroup* child : children) {
    const std::uint64_t place = kFirstCgroup + child->id.value;
    if (room && from < place) room = add(child->name, {child->id, std::nullopt}, place);
  }
  fuse_reply_buf(request, out.data(), used);
}

void on_statfs(fuse_req_t request, fuse_ino_t) {
  struct statvfs out {};
  out.f_bsize = 4096;
  out.f_namemax = 255;
  fuse_reply_statfs(request, &out);
}

bool xattr_allowed(std::string_view name) {
  return name.starts_with("user.") || name.starts_with("trusted.");
}

void on_setxattr(fuse_req_t request, fuse_ino_t id, const char* name, const char* value, std::size_t size,
                 int flags) {
  Impl& fs = impl(request);
  const std::lock_guard lock(fs.mutex);
  Cgroup* cgroup = alive(fs, node_of(id));
  if (cgroup == nullptr) return void(fuse_reply_err(request, ENOENT));
  if (node_of(id).file || !xattr_allowed(name)) return void(fuse_reply_err(request, EOPNOTSUPP));
  const bool there = cgroup->xattrs.contains(name);
  if ((flags & 1) != 0 && there) return void(fuse_reply_err(request, EEXIST));    // XATTR_CREATE
  if ((flags & 2) != 0 && !there) return void(fuse_reply_err(request, ENODATA));  // XATTR_REPLACE
  cgroup->xattrs[name] = std::string(value, size);
  fuse_reply_err(request, 0);
}

void reply_sized(fuse_req_t request, const std::string& data, std::size_t size) {
  if (size == 0) return void(fuse_reply_xattr(request, data.size()));
  if (size < data.size()) return void(fuse_reply_err(request, ERANGE));
  fuse_reply_buf(request, data.data(), data.size());
}

void on_getxattr(fuse_req_t request, fuse_ino_t id, const char* name, std::size_t size) {
  Impl& fs = impl(request);
  const std::lock_guard lock(fs.mutex);
  const Cgroup* cgroup = alive(fs, node_of(id));
  if (cgroup == nullptr) return void(fuse_reply_err(request, ENOENT));
  const auto found = cgroup->xattrs.find(name);
  if (node_of(id).file || found == cgroup->xattrs.end()) return void(fuse_reply_err(request, ENODATA));
  reply_sized(request, found->second, size);
}

void on_listxattr(fuse_req_t request, fuse_ino_t id, std::size_t size) {
  Impl& fs = impl(request);
  const std::lock_guard lock(fs.mutex);
  const Cgroup* cgroup = alive(fs, node_of(id));
  if (cgroup == nullptr) return void(fuse_reply_err(request, ENOENT));
  std::string names;
  if (!node_of(id).file) {
    for (const auto& [name, value] : cgroup->xattrs) names.append(name).push_back('\0');
  }
  reply_sized(request, names, size);
}

void on_removexattr(fuse_req_t request, fuse_ino_t id, const char* name) {
  Impl& fs = impl(request);
  const std::lock_guard lock(fs.mutex);
  Cgroup* cgroup = alive(fs, node_of(id));
  fuse_reply_err(request, cgroup == nullptr ? ENOENT : cgroup->xattrs.erase(name) == 1 ? 0 : ENODATA);
}

}  // namespace

const fuse_lowlevel_ops& fuse_operations() {
  static const fuse_lowlevel_ops operations = [] {
    fuse_lowlevel_ops ops{};
    ops.init = on_init;
    ops.lookup = on_lookup;
    ops.getattr = on_getattr;
    ops.setattr = on_setattr;
    ops.mknod = on_mknod;
    ops.mkdir = on_mkdir;
    ops.unlink = on_unlink;
    ops.rmdir = on_rmdir;
    ops.symlink = on_symlink;
    ops.rename = on_rename;
    ops.link = on_link;
    ops.open = on_open;
    ops.read = on_read;
    ops.write = on_write;
    ops.release = on_release;
    ops.opendir = on_opendir;
    ops.readdir = on_readdir;
    ops.statfs = on_statfs;
    ops.setxattr = on_setxattr;
    ops.getxattr = on_getxattr;
    ops.listxattr = on_listxattr;
    ops.removexattr = on_removexattr;
    ops.create = on_create;
    ops.poll = on_poll;
    return ops;
  }();
  return operations;
}

}  // namespace sluice::simhost
