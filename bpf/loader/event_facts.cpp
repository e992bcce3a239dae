#include "bpf/loader/event_facts.hpp"

#include <bpf/btf.h>

#include <cstdint>
#include <string_view>

#include "bpf/loader/facts.hpp"

namespace sluice::bpf {
namespace {

const btf_type* find(const btf* types, const char* name, std::uint32_t kind) {
  const int id = btf__find_by_name_kind(types, name, kind);
  return id > 0 ? btf__type_by_id(types, static_cast<std::uint32_t>(id)) : nullptr;
}

// The number of arguments of a function; -1: it does not exist.
int arguments_of(const btf* types, const char* function) {
  const btf_type* found = find(types, function, BTF_KIND_FUNC);
  if (!found) return -1;
  const btf_type* prototype = btf__type_by_id(types, found->type);
  return prototype && btf_is_func_proto(prototype) ? static_cast<int>(btf_vlen(prototype)) : -1;
}

bool has_function(const btf* types, const char* name, int arguments) {
  return arguments_of(types, name) == arguments;
}

// Tracepoints are found by the type of their handlers.
bool has_tracepoint(const btf* types, const char* name) {
  return find(types, (std::string("btf_trace_") + name).c_str(), BTF_KIND_TYPEDEF) != nullptr;
}

// Searches unnamed structs and unions too.
bool has_field(const btf* types, const btf_type* structure, std::string_view field, int depth = 0) {
  if (!structure || !btf_is_composite(structure) || depth > 4) return false;
  const btf_member* members = btf_members(structure);
  for (int i = 0; i < btf_vlen(structure); ++i) {
    const std::string_view name = btf__name_by_offset(types, members[i].name_off);
    if (name == field) return true;
    if (name.empty() && has_field(types, btf__type_by_id(types, members[i].type), field, depth + 1))
      return true;
  }
  return false;
}

bool has_field(const btf* types, const char* structure, std::string_view field) {
  return has_field(types, find(types, structure, BTF_KIND_STRUCT), field);
}

}  // namespace

void learn_event_types(const btf* types, EventFacts& facts) {
  facts.has_switch_hook =
      has_tracepoint(types, "sched_switch") && has_field(types, "sched_info", "last_queued");
  facts.has_unthrottle_hook = has_function(types, "unthrottle_cfs_rq", 1);
  facts.has_memstall_hooks = has_function(types, "psi_memstall_enter", 1) &&
                             has_function(types, "psi_memstall_leave", 1) &&
                             has_field(types, "task_struct", "in_memstall");
  facts.has_penalty_hook =
      has_function(types, "schedule_timeout_killable", 1) && has_field(types, "task_struct", "in_memstall");
  facts.has_oom_hook =
      has_function(types, "oom_kill_process", 2) && has_field(types, "oom_control", "chosen");
  facts.has_tcp_iterator = has_function(types, "bpf_iter_tcp", 3) &&
                           has_field(types, "sock_cgroup_data", "cgroup") &&
                           has_field(types, "tcp_sock", "bytes_received");
  facts.has_socket_state_hook = has_tracepoint(types, "inet_sock_set_state");
  facts.has_task_iterator = has_function(types, "bpf_iter_task", 2);
  const int accept = arguments_of(types, "inet_csk_accept");
  facts.accept_arguments = accept == 4 || accept == 2 ? accept : 0;
  facts.has_write_hook = has_function(types, "cgroup_file_write", 4);
}

std::vector<Gap> event_gaps(const EventFacts& facts) {
  std::vector<Gap> gaps;
  if (!facts.has_switch_hook)
    gaps.push_back(
        {"sched_switch cannot be traced, or tasks do not remember when they were queued "
         "(CONFIG_SCHED_INFO off)",
         "waiting for a CPU is not counted, and when a task last had nothing to run is not known"});
  if (!facts.has_memory_hook())
    gaps.push_back(
        {"none of psi_memstall_enter(), schedule_timeout_killable() and oom_kill_process() can be "
         "traced",
         "stalls on memory are not counted, and OOM kills are seen at the next tick"});
  if (!facts.has_sockets())
    gaps.push_back(
        {"programs cannot iterate over TCP sockets (bpf_iter_tcp), follow their end "
         "(inet_sock_set_state), or tell their cgroup",
         "the stream's backlog is not seen"});
  if (!facts.has_write_hook)
    gaps.push_back({"cgroup_file_write() cannot be traced", "external writers are not named"});
  return gaps;
}

}  // namespace sluice::bpf
