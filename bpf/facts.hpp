// What the running kernel offers, as data. What follows from a gap is said beside it, in one sentence.
// Probed, never read off a version number: distributions carry backports.
#pragma once

#include <string>
#include <vector>

namespace sluice::bpf {

struct KernelFacts {
  bool has_btf = false;              // /sys/kernel/btf/vmlinux can be read
  bool has_capability = false;       // this process may load tracing programs
  bool has_cgroup_iterator = false;  // BTF knows the iterator's target
  bool has_rstat_flush = false;      // cgroup_rstat_flush() or css_rstat_flush() may be called from a program
  bool flush_takes_css = false;      // the newer of the two
  bool has_psi = false;              // cgroups carry pressure accounting
  bool has_throttle_hook = false;    // throttle_cfs_rq() can be traced, and says whether it throttled
};

struct Gap {
  std::string missing;      // "The kernel has no BTF (/sys/kernel/btf/vmlinux is absent)"
  std::string consequence;  // "so that cgroups are read through files"
  std::string sentence() const { return missing + ", " + consequence + "."; }
};

// Asks this host.
KernelFacts probe_kernel();

// One entry for each thing that is missing; empty when everything is there.
std::vector<Gap> gaps(const KernelFacts& facts);

}  // namespace sluice::bpf
