#include "bpf/facts.hpp"

#include <unistd.h>

namespace sluice::bpf {

KernelFacts probe_kernel() {
  KernelFacts facts;
  facts.has_btf = access("/sys/kernel/btf/vmlinux", R_OK) == 0;
  return facts;
}

std::vector<Gap> gaps(const KernelFacts& facts) {
  std::vector<Gap> gaps;
  if (!facts.has_btf)
    gaps.push_back({"the kernel describes no types (/sys/kernel/btf/vmlinux cannot be read)",
                    "so cgroups are read through files and throttling is seen at the next tick"});
  return gaps;
}

}  // namespace sluice::bpf
