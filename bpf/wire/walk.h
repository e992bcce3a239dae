/* Between walk.bpf.c and the loader only: what userspace needs to finish a record in place. As the kernel
 * program leaves it, the pressure totals in it are the kernel's own, up to two seconds old; user and system
 * time are tick samples. */
#pragma once

#include "bpf/wire/record.h"

enum sluice_psi_state {
  SLUICE_PSI_IO_SOME,
  SLUICE_PSI_IO_FULL,
  SLUICE_PSI_MEM_SOME,
  SLUICE_PSI_MEM_FULL,
  SLUICE_PSI_CPU_SOME,
  SLUICE_PSI_CPU_FULL,
  SLUICE_PSI_STALLS, /* the states above are stalls; the last only weighs them */
  SLUICE_PSI_NONIDLE = SLUICE_PSI_STALLS,
  SLUICE_PSI_STATES,
};

/* How long this cgroup has been in each state on one CPU, wrapping every 4.29 s. */
struct sluice_psi_cpu {
  uint32_t ns[SLUICE_PSI_STATES];
  uint32_t consistent; /* 0: a writer was at work each time: keep what was known */
};

/* What is read of struct memcg_vmstats, in longs; where each lies is in no type (see walk_layout.hpp). */
enum sluice_stat {
  SLUICE_STAT_ANON,
  SLUICE_STAT_FILE,
  SLUICE_STAT_SHMEM,
  SLUICE_STAT_UNEVICTABLE,
  SLUICE_STAT_SOCK,
  SLUICE_STAT_KERNEL,
  SLUICE_STAT_SLAB_RECLAIMABLE,
  SLUICE_STAT_REFAULT_ANON,
  SLUICE_STAT_REFAULT_FILE,
  SLUICE_STAT_SCAN_KSWAPD, /* the events: memory.stat sums up who scans, and who steals */
  SLUICE_STAT_SCAN_DIRECT,
  SLUICE_STAT_SCAN_KHUGEPAGED,
  SLUICE_STAT_SCAN_PROACTIVE,
  SLUICE_STAT_STEAL_KSWAPD,
  SLUICE_STAT_STEAL_DIRECT,
  SLUICE_STAT_STEAL_KHUGEPAGED,
  SLUICE_STAT_STEAL_PROACTIVE,
  SLUICE_STATS,
  SLUICE_STAT_FIRST_EVENT = SLUICE_STAT_SCAN_KSWAPD,
};

#define SLUICE_STAT_LONGS 256              /* as many as are read at most; twice what any kernel has */
#define SLUICE_STAT_NONE SLUICE_STAT_LONGS /* the place of what this kernel has not: always 0 */

/* Where a CPU's variables lie, from the template; the walk sees as many CPUs. */
#define SLUICE_CPUS_MAX 1024

/* Beside the record of the same index. */
struct sluice_walk_tail {
  uint64_t cgroup_serial; /* the kernel's, of which each is given once: whose id the record holds */
  uint64_t shown_user_ns; /* what cpu.stat last said: it never goes back below */
  uint64_t shown_system_ns;
#ifndef __cplusplus
  struct sluice_psi_cpu psi[]; /* one for each possible CPU */
#endif
};

/* .bss of the walk program. */
struct sluice_walk_state {
  uint64_t cgroups; /* met so far, whether or not the map had room; userspace sets 0 before each walk */
  uint64_t now_ns;  /* CLOCK_MONOTONIC, a few cgroups ago */
  int64_t clock_offset_ns;
  uint64_t clock_offset_at_ns; /* 0: not known yet */
};

SLUICE_STATIC_ASSERT(sizeof(struct sluice_psi_cpu) == 32, "one CPU's tail");
SLUICE_STATIC_ASSERT(sizeof(struct sluice_walk_tail) == 24, "the CPUs follow");
