#include "tests/kernel/bpf/counted.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace sluice::kernel_test {

bpf::Options nothing() {
  bpf::Options options;
  options.iterator = options.throttle = options.flow = options.run_queue = options.memory_stall =
      options.writer = false;
  return options;
}

bpf::Options only_walk() {
  bpf::Options options = nothing();
  options.iterator = true;
  return options;
}

bpf::Options only_throttle() {
  bpf::Options options = nothing();
  options.throttle = true;
  return options;
}

sluice_counters counted(bpf::Source& source, const Cgroup& cgroup) {
  for (const sluice_counters& counters : source.counters())
    if (counters.cgroup_id == cgroup.id()) return counters;
  ADD_FAILURE() << cgroup.path() << " is not counted for";
  return {};
}

std::size_t processes(const Cgroup& cgroup) {
  const std::string pids = read_text(cgroup / "cgroup.procs");
  return static_cast<std::size_t>(std::count(pids.begin(), pids.end(), '\n'));
}

Inside::Inside(const Cgroup& cgroup) {
  std::string line = read_text("/proc/self/cgroup");  // "0::/path"
  line.erase(line.find_last_not_of('\n') + 1);
  before_ = "/sys/fs/cgroup" + line.substr(line.find("::") + 2) + "/cgroup.procs";
  write_text(cgroup / "cgroup.procs", "0");
}

Inside::~Inside() {
  try {
    write_text(before_, "0");
  } catch (const std::exception& error) {
    ADD_FAILURE() << error.what();
  }
}

}  // namespace sluice::kernel_test
