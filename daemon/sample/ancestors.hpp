// Limits of the cgroups above a task. Each of them is read at most once a second, whatever the number of
// tasks below it. Not thread-safe.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cgroups/cgroup.hpp"
#include "daemon/sample/snapshot.hpp"

namespace sluice::sample {

// One ancestor cgroup as last read. No value: no limit.
class Ancestor {
 public:
  explicit Ancestor(std::string path) : path_(std::move(path)) {}
  void refresh(const cgroups::Root& root, MonotonicTime now);
  void apply(Sample& sample) const;

 private:
  void read_cpu(const cgroups::Cgroup& cgroup);
  void read_memory(const cgroups::Cgroup& cgroup);

  std::string path_;
  cgroups::CgroupRef cgroup_;
  std::optional<MonotonicTime> read_at_;
  std::optional<AncestorCpu> cpu_;
  std::optional<CpuBandwidth> bandwidth_;  // of the last reading
  std::optional<Bytes> memory_;            // the smaller of memory.high and memory.max
  std::optional<Bytes> swap_room_;         // left below memory.swap.max
  bool swap_unknown_ = false;
};

class Ancestors {
 public:
  using Chain = std::vector<std::shared_ptr<Ancestor>>;

  // The ancestors of a cgroup; the root is none, because it limits nothing. They live as long as the chain.
  Chain of(std::string_view path);
  // Completes a sample with the ancestors' limits and the remaining swap.
  static void apply(const Chain& chain, const cgroups::Root& root, MonotonicTime now, Sample& sample);

 private:
  std::map<std::string, std::weak_ptr<Ancestor>, std::less<>> known_;
};

}  // namespace sluice::sample
