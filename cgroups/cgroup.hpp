// One cgroup, held by its directory fd. A path may be removed and created again; the fd and the id stay with
// the opened cgroup, and every access fails with ENODEV or ENOENT when it is gone. Thread-safe: all methods
// are const and may be called at once from several threads.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>

#include "cgroups/error.hpp"
#include "cgroups/fd.hpp"
#include "cgroups/parse.hpp"
#include "cgroups/root.hpp"
#include "cgroups/types.hpp"

namespace sluice::cgroups {

enum class File : std::uint8_t {
  cpu_max,
  cpu_max_burst,
  cpu_stat,
  cpu_pressure,
  io_pressure,
  memory_current,
  memory_events,
  cpu_weight,
  memory_high,
  memory_max,
  memory_pressure,
  memory_stat,
  memory_swap_current,
  memory_swap_max,
  controllers,
  events,
};
inline constexpr std::size_t kFileCount = 16;
std::string_view file_name(File file);

class Cgroup {
 public:
  // `path` is below the root, such as "/system.slice/a.service"; "/" is the root itself. No symbolic link is
  // followed; "." and ".." are refused.
  static Result<std::shared_ptr<const Cgroup>> open(const Root& root, std::string_view path);

  Cgroup(const Cgroup&) = delete;
  Cgroup& operator=(const Cgroup&) = delete;

  [[nodiscard]] CgroupId id() const { return id_; }
  [[nodiscard]] const std::string& path() const { return path_; }    // below the root, begins with '/'
  [[nodiscard]] std::string file_path(std::string_view name) const;  // absolute path, for messages

  // False once it was removed. Every cgroup has cpu.stat, whatever its controllers.
  [[nodiscard]] bool alive() const;
  // True if the knob exists now. Its controller may be enabled or disabled at any time.
  [[nodiscard]] bool has(Knob knob) const;
  [[nodiscard]] bool has_cpu() const { return has(Knob::cpu_max); }
  [[nodiscard]] bool has_memory() const { return has(Knob::memory_high); }

  [[nodiscard]] Result<CpuMax> read_cpu_max() const;  // with cpu.max.burst if the kernel has it
  [[nodiscard]] Result<CpuWeight> read_cpu_weight() const;
  [[nodiscard]] Result<CpuStat> read_cpu_stat() const;
  [[nodiscard]] Result<PressureTotals> read_cpu_pressure() const;
  [[nodiscard]] Result<PressureTotals> read_io_pressure() const;
  [[nodiscard]] Result<Bytes> read_memory_current() const;
  [[nodiscard]] Result<MemoryEvents> read_memory_events() const;
  [[nodiscard]] Result<MemoryLimit> read_memory_high() const;
  [[nodiscard]] Result<MemoryLimit> read_memory_max() const;
  [[nodiscard]] Result<PressureTotals> read_memory_pressure() const;
  [[nodiscard]] Result<MemoryStat> read_memory_stat() const;
  [[nodiscard]] Result<Bytes> read_swap_current() const;
  [[nodiscard]] Result<MemoryLimit> read_swap_max() const;
  [[nodiscard]] Result<Controllers> read_controllers() const;
  [[nodiscard]] Result<bool> read_frozen() const;  // from cgroup.events: by itself or an ancestor
  [[nodiscard]] Result<KnobValue> read(Knob knob) const;

  // Writes without reading back; read() shows the value the kernel holds. memory.high may block for long
  // while the kernel reclaims. A signal ends that with EINTR or early success; the limit is set in both
  // cases. Memory above a new limit is reclaimed with memory.reclaim first, if the kernel has it. A cpu.max
  // is written together with its burst, in an order that the kernel accepts.
  [[nodiscard]] Result<void> write(Knob knob, const KnobValue& value) const;

  // Files stay open after their first read while enough descriptors are free. This closes them, for when
  // another source samples the cgroup.
  void close_files() const;

 private:
  Cgroup(Fd dir, CgroupId id, std::string root_path, std::string path);
  // Reads the whole file into `buffer`. A kept fd that returns ENODEV is reopened once: its controller may
  // have been disabled and enabled again, which replaces the file but not the cgroup.
  Result<std::string_view> read_text(File file, std::span<char> buffer) const;
  template <class T>
  Result<T> read_as(File file, Result<T> (*parse)(std::string_view)) const;
  Result<void> write_text(std::string_view name, const std::string& text) const;
  Result<void> write_cpu_max(const CpuMax& value) const;
  void reclaim_down_to(const MemoryLimit& limit) const;
  // None: the kernel has no such file.
  Result<std::optional<Usec>> read_cpu_burst() const;

  Fd dir_;
  CgroupId id_;
  std::string root_path_;
  std::string path_;
  mutable std::mutex mutex_;  // guards files_; never held while writing
  mutable std::array<Fd, kFileCount> files_;
};

using CgroupRef = std::shared_ptr<const Cgroup>;

}  // namespace sluice::cgroups
