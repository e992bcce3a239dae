// The model's state as the text of cgroup files; writes to them with the kernel's parsing and errnos.
#pragma once

#include <sys/types.h>

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "tests/simhost/model.hpp"

namespace sluice::simhost {

enum class File : std::uint8_t {
  cgroup_controllers,
  cgroup_events,
  cgroup_freeze,
  cgroup_kill,
  cgroup_max_depth,
  cgroup_max_descendants,
  cgroup_procs,
  cgroup_stat,
  cgroup_subtree_control,
  cgroup_threads,
  cgroup_type,
  cpu_stat,
  cpu_pressure,
  io_pressure,
  memory_pressure,
  cpu_max,
  cpu_max_burst,
  cpu_weight,
  cpu_weight_nice,
  cpu_idle,
  memory_current,
  memory_events,
  memory_events_local,
  memory_high,
  memory_low,
  memory_max,
  memory_min,
  memory_oom_group,
  memory_peak,
  memory_reclaim,
  memory_stat,
  memory_swap_current,
  memory_swap_events,
  memory_swap_high,
  memory_swap_max,
};

struct FileInfo {
  File file;
  std::string_view name;
  mode_t mode;
  Controller needs;
  bool on_root;
};

std::span<const FileInfo> all_files();
const FileInfo& info(File file);
bool exists(const Cgroup& cgroup, const FileInfo& file);
std::optional<File> find_file(const Cgroup& cgroup, std::string_view name);
std::optional<Resource> pressure_of(File file);  // the resource of a pressure file; none: another file

// The text, or the errno of a refused read.
tl::expected<std::string, int> read_file(Host& host, Cgroup& cgroup, File file);

struct WriteResult {
  int error = 0;
  std::optional<std::uint64_t> reclaim;  // the write returns when Host::reclaim_result() has a result
};
// Not for pressure files: a trigger belongs to an open file, see parse_trigger().
WriteResult write_file(Host& host, Cgroup& cgroup, File file, std::string_view data);

struct PsiTriggerRules {
  std::uint64_t window_min_usec = 500'000;  // 6.1; from 6.12 on any value
  bool unprivileged = false;                // without CAP_SYS_RESOURCE, windows must be multiples of 2 s
};
tl::expected<std::shared_ptr<PsiTrigger>, int> parse_trigger(Host& host, Cgroup& cgroup, Resource resource,
                                                             std::string_view data,
                                                             const PsiTriggerRules& rules);

}  // namespace sluice::simhost
