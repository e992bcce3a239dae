#include "bpf/loader/facts.hpp"

#include <bpf/btf.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <fstream>
#include <memory>
#include <string_view>

namespace sluice::bpf {
namespace {

constexpr const char* kVmlinuxBtf = "/sys/kernel/btf/vmlinux";

bool has(const btf* types, const char* name, std::uint32_t kind) {
  return btf__find_by_name_kind(types, name, kind) > 0;
}

// The type without typedefs and qualifiers.
const btf_type* resolved(const btf* types, std::uint32_t id) {
  const int bare = btf__resolve_type(types, id);
  return bare < 0 ? nullptr : btf__type_by_id(types, static_cast<std::uint32_t>(bare));
}

// bool NAME(one argument): what the attached program expects.
bool is_predicate(const btf* types, const char* name) {
  const int id = btf__find_by_name_kind(types, name, BTF_KIND_FUNC);
  if (id <= 0) return false;
  const btf_type* prototype =
      btf__type_by_id(types, btf__type_by_id(types, static_cast<std::uint32_t>(id))->type);
  if (!prototype || !btf_is_func_proto(prototype) || btf_vlen(prototype) != 1) return false;
  const btf_type* result = resolved(types, prototype->type);
  return result && btf_is_int(result) && (btf_int_encoding(result) & BTF_INT_BOOL);
}

bool has_member(const btf* types, const char* structure, std::string_view member) {
  const int id = btf__find_by_name_kind(types, structure, BTF_KIND_STRUCT);
  if (id <= 0) return false;
  const btf_type* type = btf__type_by_id(types, static_cast<std::uint32_t>(id));
  const btf_member* members = btf_members(type);
  for (int i = 0; i < btf_vlen(type); ++i)
    if (member == btf__name_by_offset(types, members[i].name_off)) return true;
  return false;
}

bool may_trace() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
  if (syscall(SYS_capget, &header, data) != 0) return false;
  const auto effective = [&](unsigned capability) {
    return (data[CAP_TO_INDEX(capability)].effective & CAP_TO_MASK(capability)) != 0;
  };
  return effective(CAP_SYS_ADMIN) || (effective(CAP_BPF) && effective(CAP_PERFMON));
}

// Sets `os_error` if /proc/filesystems could not be read.
bool knows_cgroup2(int& os_error) {
  std::ifstream filesystems("/proc/filesystems");
  if (!filesystems) os_error = errno;
  for (std::string line; std::getline(filesystems, line);)
    if (line.ends_with("\tcgroup2")) return true;
  return false;
}

}  // namespace

void learn_types(const btf* types, KernelFacts& facts) {
  facts.has_cgroup_iterator = has(types, "bpf_iter_cgroup", BTF_KIND_FUNC);
  facts.has_cgroup_flush = has(types, "cgroup_rstat_flush", BTF_KIND_FUNC);
  facts.has_css_flush = !facts.has_cgroup_flush && has(types, "css_rstat_flush", BTF_KIND_FUNC);
  facts.has_psi = has_member(types, "cgroup", "psi");
  facts.has_psi_seq = has(types, "psi_seq", BTF_KIND_VAR);
  facts.has_bandwidth = has_member(types, "task_group", "cfs_bandwidth");
  facts.has_throttle_hook = is_predicate(types, "throttle_cfs_rq");
  learn_event_types(types, facts.events);
}

KernelFacts probe_kernel() {
  KernelFacts facts;
  facts.has_capability = may_trace();
  facts.has_cgroup2 = knows_cgroup2(facts.probe_error);
  const std::unique_ptr<btf, decltype(&btf__free)> types(btf__parse(kVmlinuxBtf, nullptr), &btf__free);
  facts.has_btf = types != nullptr;
  if (!types) facts.probe_error = errno;
  if (types) learn_types(types.get(), facts);
  facts.has_psi = facts.has_psi && access("/proc/pressure/cpu", F_OK) == 0;
  return facts;
}

std::vector<Gap> gaps(const KernelFacts& facts) {
  const std::string by_files = "cgroups are read through files, and throttling is seen at the next tick";
  if (!facts.has_cgroup2) return {{"the kernel has no cgroup v2", "there is nothing to walk or to govern"}};
  if (!facts.has_btf)
    return {{"the kernel describes no types (" + std::string(kVmlinuxBtf) + " cannot be read)", by_files}};
  if (!facts.has_capability)
    return {{"this process may not load tracing programs (needs CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN)",
             by_files}};

  std::vector<Gap> gaps;
  if (!facts.has_cgroup_iterator) {
    gaps.push_back(
        {"programs cannot iterate over cgroups (no bpf_iter_cgroup)", "cgroups are read through files"});
  } else {
    if (!facts.has_cgroup_flush && !facts.has_css_flush)
      gaps.push_back(
          {"programs cannot flush the CPU accounts (neither cgroup_rstat_flush nor css_rstat_flush)",
           "cpu.stat is read through files"});
    if (!facts.has_psi)
      gaps.push_back(
          {"cgroups have no pressure accounting (CONFIG_PSI off, or psi=1 missing on the kernel's command "
           "line)",
           "stalls are not seen at all"});
    if (!facts.has_bandwidth)
      gaps.push_back(
          {"the kernel has no CPU bandwidth control (CONFIG_CFS_BANDWIDTH off)", "CPU cannot be limited"});
  }
  if (!facts.has_throttle_hook)
    gaps.push_back({"throttle_cfs_rq() cannot be traced, or does not say whether it throttled",
                    "throttling is seen at the next tick"});
  for (Gap& gap : event_gaps(facts.events)) gaps.push_back(std::move(gap));
  return gaps;
}

}  // namespace sluice::bpf
