/* SPDX-License-Identifier: GPL-2.0
 * The few kernel types that the programs read, by hand: CO-RE relocates each field by name against the
 * running kernel's BTF, so no generated vmlinux.h is needed and any machine can build for any architecture.
 * Every rename that kernels have been through is dealt with here and nowhere else. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* libbpf's headers need the types of this one, and do not include it. */
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
  uint64_t id;
};

struct cgroup_subsys_state {
  struct cgroup* cgroup;
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
  uint32_t state_mask;
  uint32_t times[1];
  uint64_t state_start;
};

struct seqcount {
  unsigned sequence;
};
typedef struct seqcount seqcount_t;

/* Where the sequence lock sits beside the times; elsewhere it is one per CPU, psi_seq. */
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

/* Where the pressure group is part of the cgroup, not pointed at. */
struct cgroup___embedded_psi {
  struct psi_group psi;
};

struct cfs_bandwidth {
  int64_t period; /* ktime_t */
  uint64_t quota;
  int nr_periods;
  int nr_throttled;
  uint64_t throttled_time;
};

struct task_group {
  struct cgroup_subsys_state css;
  struct cfs_bandwidth cfs_bandwidth;
};

struct cfs_rq {
  struct task_group* tg;
};

struct rq {
  uint64_t clock;
};

struct page_counter {
  atomic_long_t usage;
  unsigned long high;
  unsigned long max;
};

struct mem_cgroup {
  struct cgroup_subsys_state css;
  struct page_counter memory;
  struct page_counter swap;
  atomic_long_t memory_events[1];
};

struct bpf_iter_meta {
  uint64_t seq_num;
};

struct bpf_iter__cgroup {
  struct bpf_iter_meta* meta;
  struct cgroup* cgroup;
};

#pragma clang attribute pop

/* Only the names count: the values are the running kernel's. */
enum cgroup_subsys_id { cpu_cgrp_id = 1, memory_cgrp_id = 2 };
enum memcg_memory_event { MEMCG_LOW = 0, MEMCG_HIGH, MEMCG_MAX, MEMCG_OOM, MEMCG_OOM_KILL };
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
/*
 * An object names only what its kernel has. libbpf 1.1 looks for what is missing in the types of every
 * module, weak or not, and to list those takes CAP_SYS_ADMIN, which the daemon has not. So CMakeLists.txt
 * compiles the walk once for each of these choices, and the loader takes the one that fits; what is stubbed
 * here is never reached in it.
 */
#ifdef SLUICE_KERNEL_HAS_PSI_SEQ
extern const seqcount_t psi_seq __ksym __weak;
#else
#define psi_seq (*(const seqcount_t*)0)
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
  if (bpf_core_field_size(cgrp->psi) == sizeof(void*)) return BPF_CORE_READ(cgrp, psi);
  return (void*)__builtin_preserve_access_index(&embedded->psi);
}

/* The controller's own state, or NULL where it is not enabled in this very cgroup: subsys[] may point to an
 * ancestor's. */
static __always_inline void* kernel_controller(struct cgroup* cgrp, int id) {
  struct cgroup_subsys_state* css = NULL;
  void* slot = (void*)__builtin_preserve_access_index(&cgrp->subsys) + id * sizeof(void*);
  if (bpf_probe_read_kernel(&css, sizeof(css), slot) || !css) return NULL;
  return BPF_CORE_READ(css, cgroup) == cgrp ? css : NULL;
}

/* How far a CPU's per-CPU area lies from the template: two addresses of one per-CPU variable. Needs no
 * kallsyms. */
static __always_inline bool kernel_percpu_offset(uint32_t cpu, uint64_t* offset) {
  const void* there = bpf_per_cpu_ptr(&runqueues, cpu);
  if (!there) return false;
  uint64_t distance = (uint64_t)there - (uint64_t)&runqueues;
  barrier_var(distance); /* or the compiler adds to the pointer first, which the verifier forbids */
  *offset = distance;
  return true;
}
