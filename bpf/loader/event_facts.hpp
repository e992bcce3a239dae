// What the running kernel offers to the event programs, as data. Each program works without the others.
#pragma once

#include <string>
#include <vector>

struct btf;

namespace sluice::bpf {

struct Gap;

struct EventFacts {
  bool has_switch_hook = false;        // sched_switch can be traced, and tasks have the time they were queued
  bool has_unthrottle_hook = false;    // unthrottle_cfs_rq()
  bool has_memstall_hooks = false;     // psi_memstall_enter() and _leave()
  bool has_penalty_hook = false;       // schedule_timeout_killable(), and tasks have a flag for stalls
  bool has_oom_hook = false;           // oom_kill_process()
  bool has_tcp_iterator = false;       // a program can walk the TCP sockets, and sockets know their cgroup
  bool has_socket_state_hook = false;  // inet_sock_set_state can be traced
  bool has_task_iterator = false;      // a program can walk the tasks
  int accept_arguments = 0;            // of inet_csk_accept(): 4 or 2; 0: it cannot be traced
  bool has_write_hook = false;         // cgroup_file_write()

  bool has_memory_hook() const { return has_memstall_hooks || has_penalty_hook || has_oom_hook; }
  bool has_sockets() const { return has_tcp_iterator && has_socket_state_hook; }
};

// `types`: the kernel's BTF.
void learn_event_types(const btf* types, EventFacts& facts);

// One entry per program that cannot work; empty if all can. A program that works in part reports that itself.
std::vector<Gap> event_gaps(const EventFacts& facts);

}  // namespace sluice::bpf
