// Internals of the FUSE mount: the session's state (fuse_fs.cpp) and its request handlers (fuse_ops.cpp).
#pragma once

#define FUSE_USE_VERSION 312
#include <fuse3/fuse_lowlevel.h>

#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "tests/simhost/fuse_fs.hpp"

namespace sluice::simhost {

// Node ids contain (cgroup, file), and cgroup ids are never reused, so a request for a removed node finds
// nothing.
inline constexpr std::uint64_t kFileBits = 8;
struct Node {
  CgroupId cgroup;
  std::optional<File> file;  // absent: the directory
};
inline std::uint64_t node_id(CgroupId id, std::optional<File> file) {
  if (!file) return id.value == 1 ? FUSE_ROOT_ID : id.value << kFileBits;
  return (id.value << kFileBits) + static_cast<std::uint64_t>(*file) + 1;
}
inline Node node_of(fuse_ino_t id) {
  if (id == FUSE_ROOT_ID) return {CgroupId{1}, std::nullopt};
  const std::uint64_t file = id & ((1U << kFileBits) - 1);
  return {CgroupId{id >> kFileBits}, file == 0 ? std::nullopt : std::optional(static_cast<File>(file - 1))};
}

struct OpenFile {
  Node node;
  std::string content;  // read at offset 0, so that a reader gets consistent text
  // change count at its last read; none: never read, which counts as changed
  std::optional<std::uint64_t> seen;
  std::shared_ptr<PsiTrigger> trigger;
  fuse_pollhandle* poll = nullptr;
};

// A write that is answered later: by its reclaim, by a timer, or by a signal to the writer.
struct PendingWrite {
  std::uint64_t id = 0;
  fuse_req_t request = nullptr;
  std::size_t size = 0;
  std::optional<std::uint64_t> reclaim{};
  std::chrono::steady_clock::time_point not_before{};
  int error_on_signal = 0;  // EINTR for memory.reclaim; a limit is set nevertheless
  bool interrupted = false;
  std::optional<Node> hangs{};         // waits while this file's fault lasts
  std::optional<std::string> to_do{};  // carried out when the fault ends
};

class FuseFs::Impl {
 public:
  Impl(Host& host, const FuseOptions& options);
  ~Impl();
  tl::expected<void, std::string> mount();

  // Call the functions below with `mutex` held.
  void catch_up();
  void wake_all(CgroupId id);
  std::uint64_t changes(const OpenFile& open);
  void fill_attr(const Node& node, const Cgroup* cgroup, struct stat& out);
  Faults fault(const Node& node) const;
  void answer_writes();
  bool answer(PendingWrite& write);  // true: finished

  std::mutex mutex;
  Host& host;
  const FuseOptions options;
  fuse_session* session = nullptr;
  std::set<OpenFile*> open_files;
  std::vector<PendingWrite> pending;
  std::set<std::uint64_t> signalled;  // interrupts that came before their write was queued
  std::uint64_t next_pending = 1;
  std::map<std::uint64_t, Faults> faults;  // by node id
  struct Owner {
    std::optional<mode_t> mode;
    std::optional<uid_t> uid;
    std::optional<gid_t> gid;
  };
  std::map<std::uint64_t, Owner> owners;  // by node id; set by chmod and chown
  std::atomic<bool> ended = false;

 private:
  void serve();
  void tick();

  std::chrono::steady_clock::time_point started_;
  std::int64_t started_model_usec_ = 0;
  timespec mounted_at_{};
  int stop_fd_ = -1;
  std::thread thread_;
};

const fuse_lowlevel_ops& fuse_operations();

}  // namespace sluice::simhost
