#include "daemon/doctor/examine.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <string_view>
#include <thread>

#include "cgroups/error.hpp"
#include "cgroups/escape.hpp"
#include "cgroups/fd.hpp"
#include "cgroups/root.hpp"
#include "cgroups/walk.hpp"
#include "daemon/actuate/scheduling.hpp"
#include "daemon/doctor/read_text.hpp"
#include "daemon/sample/node.hpp"

namespace sluice::doctor {
namespace {

using Saw = Look::Saw;

// Depth of the search for a cgroup with a controller's files: slice/slice/unit.
constexpr cgroups::WalkLimits kNearby{.depth = 3, .cgroups = 10'000};

Look look_of(const cgroups::Error& error) {
  return failed_look(error.errno_value, error.what, error.path);
}

// With psi=0 the files do not exist or cannot be read (EOPNOTSUPP).
Look look_at_pressure(const std::string& path) {
  const auto text = read_text(path, 4096);
  if (text && text->starts_with("some ")) return {Saw::there, {}};
  if (text) return {Saw::absent, "'" + cgroups::escape(path) + "' is not a pressure file"};
  return failed_look(text.error(), "read", path);
}

void examine_pressure(const Places& places, HostFacts& facts) {
  constexpr std::array<const char*, 3> kNames{"cpu", "memory", "io"};
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    facts.pressure[i] = look_at_pressure(places.proc_root + "/pressure/" + kNames[i]);
    // A simulated host may have it only in its cgroups.
    if (places.any_filesystem && !facts.pressure[i].there()) {
      const auto simulated = look_at_pressure(places.cgroup_root + "/" + kNames[i] + ".pressure");
      if (simulated.there()) facts.pressure[i] = simulated;
    }
  }
}

// Reads the lock's holder from /proc/locks. Taking the lock, even a shared one, could prevent a daemon from
// starting.
std::optional<long> lock_holder(const Places& places) {
  struct stat lock = {};
  if (::stat((places.runtime_dir + "/lock").c_str(), &lock) != 0) return std::nullopt;
  const auto locks = read_text(places.proc_root + "/locks", std::size_t{4} << 20);
  if (!locks) return std::nullopt;
  std::array<char, 64> id{};
  std::snprintf(id.data(), id.size(), " %02x:%02x:%lu ", major(lock.st_dev), minor(lock.st_dev),
                static_cast<unsigned long>(lock.st_ino));
  const auto at = locks->find(id.data());
  if (at == std::string::npos || at == 0) return std::nullopt;
  const auto line = locks->rfind('\n', at) + 1;  // npos + 1: the first line
  if (std::string_view(*locks).substr(line, at - line).find("FLOCK") == std::string_view::npos)
    return std::nullopt;
  const char* digits = locks->data() + locks->rfind(' ', at - 1) + 1;
  long pid = 0;
  if (std::from_chars(digits, locks->data() + at, pid).ec != std::errc{} || pid <= 0) return std::nullopt;
  return pid;
}

// In a separate thread, so that the calling thread keeps its scheduling.
Look try_real_time(std::uint32_t uid) {
  cgroups::Result<void> allowed;
  std::thread([&] { allowed = actuate::request_realtime(); }).join();
  if (allowed) return {Saw::there, "SCHED_RR allowed"};
  const bool stranger = uid != 0 && allowed.error().errno_value == EPERM;
  return {stranger ? Saw::barred : Saw::absent,
          cgroups::describe(allowed.error()) + (stranger ? "; ask as root" : "")};
}

std::string examine_procfs(const Places& places, HostFacts& facts) {
  const auto proc = sample::open_proc(places.proc_root.c_str());
  if (!proc) {
    facts.procfs = look_of(proc.error());
    return {};
  }
  auto boot_id = sample::read_boot_id(proc->get());
  if (!boot_id) {
    facts.procfs = look_of(boot_id.error());
    return {};
  }
  const auto node = sample::node_facts(proc->get());
  if (!node) {
    facts.procfs = look_of(node.error());
    return *boot_id;
  }
  facts.procfs = {Saw::there, std::to_string(static_cast<long>(node->cpu_capacity_cores)) + " CPUs, " +
                                  std::to_string(node->memory_capacity >> 20) + " MiB"};
  if (const auto meminfo = read_text(places.proc_root + "/meminfo", std::size_t{64} << 10)) {
    if (const auto swap = sample::parse_meminfo(*meminfo, "SwapTotal")) facts.swap_bytes = *swap;
  }
  return *boot_id;
}

}  // namespace

Look failed_look(int error, const std::string& what, const std::string& path) {
  const bool barred = error == EACCES || error == EPERM;
  return {barred ? Saw::barred : Saw::absent, cgroups::describe({error, path, what})};
}

CgroupFacts examine_cgroups(const Places& places) {
  CgroupFacts facts;
  facts.path = cgroups::escape(places.cgroup_root);
  const auto root = cgroups::Root::open(
      places.cgroup_root, places.any_filesystem ? cgroups::Verify::none : cgroups::Verify::cgroup2);
  if (!root) {
    facts.root = look_of(root.error());
    return facts;
  }
  facts.root = {Saw::there, {}};
  struct statvfs mount = {};
  facts.read_only = ::fstatvfs(root->fd(), &mount) == 0 && (mount.f_flag & ST_RDONLY) != 0;
  if (auto text = read_text(root->path() + "/cgroup.controllers", 4096)) facts.offered = std::move(*text);
  if (auto text = read_text(root->path() + "/cgroup.subtree_control", 4096)) facts.enabled = std::move(*text);

  const auto walk = cgroups::walk(*root, kNearby);
  if (!walk) return facts;
  const auto has = [&](const std::string& path, const char* file) {
    return ::access((root->path() + path + "/" + file).c_str(), F_OK) == 0;
  };
  for (const auto& found : walk->cgroups) {
    if (facts.cpu_example.empty() && has(found.path, "cpu.max")) {
      facts.cpu_example = cgroups::escape(found.path);
      facts.has_burst = has(found.path, "cpu.max.burst");
    }
    if (facts.memory_example.empty() && has(found.path, "memory.high")) {
      facts.memory_example = cgroups::escape(found.path);
      facts.has_reclaim = has(found.path, "memory.reclaim");
    }
    if (!facts.cpu_example.empty() && !facts.memory_example.empty()) break;
  }
  return facts;
}

HostFacts examine(const Places& places) {
  HostFacts facts;
  facts.uid = ::geteuid();
  facts.simulated = places.any_filesystem;
  utsname name = {};
  facts.kernel_release = ::uname(&name) == 0 ? std::string(name.release) + " " + name.machine : "unknown";
  const std::string boot_id = examine_procfs(places, facts);
  facts.cgroup = examine_cgroups(places);
  examine_pressure(places, facts);
  examine_programs(facts.cgroup.root.there() && !places.any_filesystem, facts);
  examine_bus(places, facts);
  facts.running = lock_holder(places);
  facts.state = examine_state(places.runtime_dir, boot_id);
  rlimit files = {};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) facts.open_files = files.rlim_max;
  facts.real_time = try_real_time(facts.uid);
  return facts;
}

}  // namespace sluice::doctor
