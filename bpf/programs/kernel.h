/* SPDX-License-Identifier: GPL-2.0
 * The few kernel types that the programs read, written by hand. CO-RE relocates each field by name against
 * the running kernel's BTF, so no generated vmlinux.h is needed, and any machine can build for any
 * architecture. All differences between kernel versions are handled in this file. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* libbpf's headers need the types of this header, and do not include it. */
/* clang-format off */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
/* clang-format on */

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
  long counter;
} atomic_long_t;

struct cgroup;

struct kernfs_node {
  const char* name;
  struct kernfs_node* parent;
  uint64_t id;
};

/* Since 6.15. */
struct kernfs_node___rcu_parent {
  struct kernfs_node* __parent;
};

struct kernfs_open_file {
  struct kernfs_node* kn;
};

struct cgroup_subsys_state {
  struct cgroup* cgroup;
  uint64_t serial_nr;
  struct cgroup_subsys_state* parent;
};

struct task_cputime {
  uint64_t stime;
  uint64_t utime;
  unsigned long long sum_exec_runtime;
};

struct prev_cputime {
  uint64_t utime;
  uint64_t stime;
};

struct cgroup_base_stat {
  struct task_cputime cputime;
};

struct psi_group_cpu {
  unsigned tasks[1];
  uint32_t state_mask;
  uint32_t times[1];
  uint64_t state_start;
};

struct seqcount {
  unsigned sequence;
};
typedef struct seqcount seqcount_t;

/* Kernels with the sequence lock in this struct; others have one per CPU, psi_seq. */
struct psi_group_cpu___own_seq {
  seqcount_t seq;
};

struct psi_group {
  bool enabled;
  struct psi_group_cpu* pcpu;
  uint64_t total[1];
};

struct cgroup {
  struct cgroup_subsys_state self;
  int level;
  struct kernfs_node* kn;
  struct cgroup_subsys_state* subsys[1];
  struct cgroup_base_stat bstat;
  struct prev_cputime prev_cputime;
  struct psi_group* psi;
};

/* Kernels in which the pressure group is part of the cgroup, not pointed at. */
struct cgroup___embedded_psi {
  struct psi_group psi;
};

struct cfs_bandwidth {
  int64_t period; /* ktime_t */
  uint64_t quota;
  uint64_t burst; /* since 5.14 */
  int nr_periods;
  int nr_throttled;
  uint64_t throttled_time;
};

struct task_group {
  struct cgroup_subsys_state css;
  struct cfs_bandwidth cfs_bandwidth;
};

struct rq {
  uint64_t clock;
  int cpu;
};

struct cfs_rq {
  struct task_group* tg;
  struct rq* rq;
  int throttled; /* a bit field in some kernels */
  unsigned h_nr_running;
};

/* Number of runnable tasks below a run queue; the field was renamed twice. */
struct cfs_rq___queued {
  unsigned h_nr_queued; /* includes sleeping tasks whose removal is delayed */
};
struct cfs_rq___runnable {
  unsigned h_nr_runnable;
};

struct css_set {
  struct cgroup* dfl_cgrp;
};

struct sched_info {
  unsigned long long last_queued;
};

struct ns_common {
  unsigned inum;
};

struct net {
  struct ns_common ns;
};

struct nsproxy {
  struct net* net_ns;
};

struct task_struct {
  int pid;
  int tgid;
  char comm[16];
  unsigned __state;
  struct css_set* cgroups;
  struct sched_info sched_info;
  struct nsproxy* nsproxy;
  unsigned in_memstall : 1;
};

/* Before 5.14. */
struct task_struct___long_state {
  long state;
};

struct oom_control {
  struct task_struct* chosen;
};

struct sock_common {
  volatile unsigned char skc_state;
  unsigned long skc_flags;
};

struct sock_cgroup_data {
  struct cgroup* cgroup;
};

struct sock {
  struct sock_common __sk_common;
  struct sock_cgroup_data sk_cgrp_data;
};

struct inet_sock {
  struct sock sk;
};

struct inet_connection_sock {
  struct inet_sock icsk_inet;
};

struct tcp_sock {
  struct inet_connection_sock inet_conn;
  uint64_t bytes_received;
  uint64_t bytes_sent;
  uint64_t bytes_retrans;
  uint32_t rcv_nxt;
  uint32_t copied_seq;
  uint32_t rcv_wup;
  uint32_t rcv_wnd;
  uint32_t write_seq;
  uint32_t snd_una;
  uint32_t snd_nxt;
};

struct page_counter {
  atomic_long_t usage;
  unsigned long high;
  unsigned long max;
};

struct memcg_vmstats {
  long state[1];
};

struct mem_cgroup {
  struct cgroup_subsys_state css;
  struct page_counter memory;
  struct page_counter swap;
  struct memcg_vmstats* vmstats;
  atomic_long_t memory_events[1];
};

/* One line of kallsyms. */
struct kallsym_iter {
  unsigned long value;
  char name[1];
};

struct bpf_iter_meta {
  uint64_t seq_num;
};

struct bpf_iter__cgroup {
  struct bpf_iter_meta* meta;
  struct cgroup* cgroup;
};

struct bpf_iter__task {
  struct bpf_iter_meta* meta;
  struct task_struct* task;
};

struct bpf_iter__tcp {
  struct bpf_iter_meta* meta;
  struct sock_common* sk_common;
};

struct bpf_iter__ksym {
  struct bpf_iter_meta* meta;
  struct kallsym_iter* ksym;
};

#pragma clang attribute pop

/* Only the names matter: the values are the running kernel's. */
enum cgroup_subsys_id { cpu_cgrp_id = 1, memory_cgrp_id = 2 };
enum memcg_memory_event { MEMCG_LOW = 0, MEMCG_HIGH, MEMCG_MAX, MEMCG_OOM, MEMCG_OOM_KILL };
enum psi_task_count { NR_RUNNING = 2 };
enum sock_flags { SOCK_DONE = 1 };
enum psi_states {
  PSI_IO_SOME = 0,
  PSI_IO_FULL,
  PSI_MEM_SOME,
  PSI_MEM_FULL,
  PSI_CPU_SOME,
  PSI_CPU_FULL,
  PSI_NONIDLE,
};

extern const struct rq runqueues __ksym;
/* An object must name only variables that its kernel has. libbpf 1.1 searches the types of every module for a
 * missing one, weak or not, and to list modules it needs CAP_SYS_ADMIN, which the daemon does not have. So
 * CMakeLists.txt compiles the walk once for each of these choices, and the loader uses the one that fits.
 * What is stubbed here is never reached in it. */
#ifdef SLUICE_KERNEL_HAS_PSI_SEQ
extern const seqcount_t psi_seq __ksym __weak;
#endif
#ifdef SLUICE_KERNEL_HAS_CSS_FLUSH
extern void css_rstat_flush(struct cgroup_subsys_state* css) __ksym __weak;
static __always_inline void cgroup_rstat_flush(struct cgroup* cgrp) {}
#else
extern void cgroup_rstat_flush(struct cgroup* cgrp) __ksym __weak;
static __always_inline void css_rstat_flush(struct cgroup_subsys_state* css) {}
#endif

static __always_inline struct psi_group* kernel_psi_group(struct cgroup* cgrp) {
  struct cgroup___embedded_psi* embedded = (void*)cgrp;
  if (bpf_core_field_size(cgrp->psi) == sizeof(void*)) return cgrp->psi;
  return (void*)__builtin_preserve_access_index(&embedded->psi);
}

/* The controller's state in this very cgroup, or NULL if it is not enabled there; never an ancestor's. The
 * iterator holds the mutex that protects it. */
static __always_inline void* kernel_controller(struct cgroup* cgrp, int id) {
  struct cgroup_subsys_state** slots = (void*)__builtin_preserve_access_index(&cgrp->subsys);
  return slots[id]; /* typed for the verifier, as cgrp is: a plain load */
}

/* Distance of a CPU's per-CPU area from the template, from two addresses of one per-CPU variable. Needs no
 * kallsyms. */
static __always_inline bool kernel_percpu_offset(uint32_t cpu, uint64_t* offset) {
  const void* there = bpf_per_cpu_ptr(&runqueues, cpu);
  if (!there) return false;
  uint64_t distance = (uint64_t)there - (uint64_t)&runqueues;
  barrier_var(distance); /* otherwise the compiler adds to the pointer first, which the verifier forbids */
  *offset = distance;
  return true;
}

/* The verifier forbids arithmetic on typed pointers. A value read from memory is a number. */
static __always_inline uint64_t kernel_address(const void* typed) {
  static const void* volatile memory;
  memory = typed;
  return *(volatile uint64_t*)&memory;
}

/* 0: running or runnable. Typed for the verifier, as the task is: a plain load. */
static __always_inline uint32_t kernel_state(struct task_struct* task) {
  struct task_struct___long_state* old = (void*)task;
  if (bpf_core_field_exists(old->state)) return (uint32_t)old->state;
  return task->__state;
}

/* Sleeps that no signal interrupts: on a disk, or stalled on memory. Idle kernel threads have both of the
 * first two bits. All three values are the same in every kernel. */
#define KERNEL_TASK_UNINTERRUPTIBLE 0x2
#define KERNEL_TASK_NOLOAD 0x400
#define KERNEL_TASK_DEAD 0x80 /* after this switch the task never runs again */

static __always_inline struct cgroup* kernel_parent(struct cgroup* cgrp) {
  return BPF_CORE_READ(cgrp, self.parent, cgroup);
}

static __always_inline struct kernfs_node* kernel_parent_node(struct kernfs_node* node) {
  struct kernfs_node___rcu_parent* renamed = (void*)node;
  if (bpf_core_field_exists(renamed->__parent)) return BPF_CORE_READ(renamed, __parent);
  return BPF_CORE_READ(node, parent);
}

/* Number of tasks below this run queue that run or are runnable. */
static __always_inline uint32_t kernel_runnable(struct cfs_rq* queue) {
  struct cfs_rq___runnable* runnable = (void*)queue;
  struct cfs_rq___queued* queued = (void*)queue;
  if (bpf_core_field_exists(runnable->h_nr_runnable)) return BPF_CORE_READ(runnable, h_nr_runnable);
  if (bpf_core_field_exists(queued->h_nr_queued)) return BPF_CORE_READ(queued, h_nr_queued);
  return BPF_CORE_READ(queue, h_nr_running);
}
