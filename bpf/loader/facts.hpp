// What the running kernel offers, as data; gaps() adds the consequence of each gap. Probed, never derived
// from a version number, because distributions carry backports.
#pragma once

#include <string>
#include <vector>

#include "bpf/loader/event_facts.hpp"

struct btf;

namespace sluice::bpf {

struct KernelFacts {
  bool has_btf = false;              // /sys/kernel/btf/vmlinux can be read
  bool has_capability = false;       // CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN
  bool has_cgroup2 = false;          // /proc/filesystems lists cgroup2
  bool has_cgroup_iterator = false;  // a program can walk the cgroups
  bool has_cgroup_flush = false;     // cgroup_rstat_flush(), or
  bool has_css_flush = false;        // css_rstat_flush(), its successor
  bool has_psi = false;              // /proc/pressure exists, and cgroups have a psi_group
  bool has_psi_seq = false;          // one sequence lock per CPU instead of one per group
  bool has_bandwidth = false;        // cpu.max exists
  bool has_throttle_hook = false;    // throttle_cfs_rq() can be traced, and returns whether it throttled
  int probe_error = 0;               // errno of a fact that could not be read; 0: all were read
  EventFacts events;                 // for what only the event programs show
};

struct Gap {
  std::string missing;      // "the kernel describes no types (…)"
  std::string consequence;  // "cgroups are read through files"
  std::string sentence() const { return missing + ": " + consequence + "."; }
};

// Probes this host.
KernelFacts probe_kernel();

// The facts from BTF; `types`: the kernel's.
void learn_types(const btf* types, KernelFacts& facts);

// One entry per missing facility; empty if nothing is missing.
std::vector<Gap> gaps(const KernelFacts& facts);

}  // namespace sluice::bpf
