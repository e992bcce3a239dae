// Helpers shared by the checks of the event programs.
#pragma once

#include <functional>
#include <string>

#include "bpf/loader/source.hpp"
#include "tests/kernel/bpf/tree.hpp"

namespace sluice::kernel_test {

bpf::Options nothing();    // every program off: in the emulator each one takes a third of a second to load
bpf::Options only_walk();  // only the walk over the cgroups
bpf::Options only_throttle();  // only the throttle events

// The current counters of one cgroup; fails if it is not governed.
sluice_counters counted(bpf::Source& source, const Cgroup& cgroup);

std::size_t processes(const Cgroup& cgroup);

// Moves this process into the cgroup while this object exists; what it creates belongs to the cgroup.
class Inside {
 public:
  explicit Inside(const Cgroup& cgroup);
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;
  ~Inside();
  void call(const std::function<void()>& body) const { body(); }

 private:
  std::string before_;  // cgroup.procs of the earlier cgroup
};

}  // namespace sluice::kernel_test
