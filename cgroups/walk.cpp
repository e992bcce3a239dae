#include "cgroups/walk.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string_view>
#include <utility>

namespace sluice::cgroups {
namespace {

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};
using Dir = std::unique_ptr<DIR, CloseDir>;

struct Child {
  std::string name;
  CgroupId id;
  bool is_leaf = false;
};

// A directory on the path to the current position of the walk.
struct Level {
  Fd dir;
  std::vector<Child> children;  // by name
  std::size_t next = 0;
  std::size_t path_size = 0;  // length of this directory's own path
};

Fd open_dir(int parent, const char* name) {
  return Fd(::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

// The sub-directories of `dir`, which are the child cgroups; all other entries are files.
Result<std::vector<Child>> children_of(const Fd& dir, bool trust_link_count) {
  Fd own = open_dir(dir.get(), ".");
  if (!own) return tl::unexpected(Error{errno, {}, "open"});
  const Dir stream(::fdopendir(own.get()));
  if (!stream) return tl::unexpected(Error{errno, {}, "list"});
  (void)own.release();  // the stream closes it

  std::vector<Child> children;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(stream.get());
    if (!entry) break;
    if (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN) continue;
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    struct stat status = {};
    if (::fstatat(dir.get(), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) continue;  // vanished
    if (!S_ISDIR(status.st_mode)) continue;
    children.push_back({.name = std::string(name),
                        .id = CgroupId{status.st_ino},
                        .is_leaf = trust_link_count && status.st_nlink == 2});
  }
  if (errno != 0) return tl::unexpected(Error{errno, {}, "list"});
  std::sort(children.begin(), children.end(), [](const Child& a, const Child& b) { return a.name < b.name; });
  return children;
}

}  // namespace

Result<Walk> walk(const Root& root, const WalkLimits& limits) {
  // cgroup2 counts a directory's links as 2 + sub-directories, so leaves need not be listed, which saves most
  // of the cost. Other file systems do not guarantee that.
  const bool trust_link_count = root.is_cgroup2();
  std::string path;
  const auto error_here = [&](Error error) {
    error.path = root.path() + path;
    return error;
  };

  Walk result;
  std::vector<Level> levels;
  // Enters the directory with the path `path`.
  const auto enter = [&](Fd dir) -> Result<void> {
    auto children = children_of(dir, trust_link_count);
    if (!children) return tl::unexpected(error_here(std::move(children.error())));
    levels.push_back(
        {.dir = std::move(dir), .children = std::move(*children), .next = 0, .path_size = path.size()});
    return {};
  };
  const auto note = [&](Error error) {
    if (!means_vanished(error)) result.problems.push_back(std::move(error));
  };

  Fd top = open_dir(root.fd(), ".");
  if (!top) return tl::unexpected(error_here(Error{errno, {}, "open"}));
  if (auto entered = enter(std::move(top)); !entered) return tl::unexpected(std::move(entered.error()));

  while (!levels.empty()) {
    auto& level = levels.back();
    path.resize(level.path_size);
    if (level.next == level.children.size()) {
      levels.pop_back();
      continue;
    }
    const Child child = std::move(level.children[level.next++]);
    path.append("/").append(child.name);
    if (result.cgroups.size() == limits.cgroups) {
      note(error_here(Error{E2BIG, {}, "there are more cgroups than the walk's limit; ignored from"}));
      break;
    }
    result.cgroups.push_back({path, child.id});
    if (child.is_leaf) continue;
    if (levels.size() == limits.depth) {
      note(error_here(Error{ELOOP, {}, "nested too deep; what is below is ignored:"}));
      continue;
    }
    Fd dir = open_dir(level.dir.get(), child.name.c_str());
    if (!dir) {
      note(error_here(Error{errno, {}, "open"}));
    } else if (auto entered = enter(std::move(dir)); !entered) {
      note(std::move(entered.error()));
    }
  }
  return result;
}

}  // namespace sluice::cgroups
