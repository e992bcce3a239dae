// What the checks of the event programs share.
#pragma once

#include <functional>
#include <string>

#include "bpf/loader/source.hpp"
#include "tests/kernel/bpf/tree.hpp"

namespace sluice::kernel_test {

bpf::Options nothing();        // every program off: each takes the emulator a third of a second to load
bpf::Options only_walk();      // but the walk over the cgroups
bpf::Options only_throttle();  // but the throttle events

// The counters of one cgroup, now. Not governed: a failure.
sluice_counters counted(bpf::Source& source, const Cgroup& cgroup);

std::size_t processes(const Cgroup& cgroup);

// This process is in the cgroup for as long as this lives: what it makes belongs there.
class Inside {
 public:
  explicit Inside(const Cgroup& cgroup);
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;
  ~Inside();
  void call(const std::function<void()>& body) const { body(); }

 private:
  std::string before_;  // cgroup.procs of where it was
};

}  // namespace sluice::kernel_test
