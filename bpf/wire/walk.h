/* Shared by walk.bpf.c and the loader only: what userspace needs to complete a record in place. In the kernel
 * program's record the pressure totals are the kernel's own, up to two seconds old, and user and system time
 * are tick samples. */
#pragma once

#include "bpf/wire/record.h"

enum sluice_psi_state {
  SLUICE_PSI_IO_SOME,
  SLUICE_PSI_IO_FULL,
  SLUICE_PSI_MEM_SOME,
  SLUICE_PSI_MEM_FULL,
  SLUICE_PSI_CPU_SOME,
  SLUICE_PSI_CPU_FULL,
  SLUICE_PSI_STALLS, /* the states above are stalls; the last one is only their weight */
  SLUICE_PSI_NONIDLE = SLUICE_PSI_STALLS,
  SLUICE_PSI_STATES,
};

/* Time of this cgroup in each state on one CPU; wraps every 4.29 s. */
struct sluice_psi_cpu {
  uint32_t ns[SLUICE_PSI_STATES];
  uint32_t consistent; /* 0: a writer was active at each attempt, so the old values stay */
};

/* Counters that are read from struct memcg_vmstats, in longs. Their positions are not in BTF (see
 * walk_layout.hpp). */
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
  SLUICE_STAT_SCAN_KSWAPD, /* events: memory.stat sums up scans and steals over these */
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

#define SLUICE_STAT_LONGS 256              /* upper bound of longs that are read; twice what any kernel has */
#define SLUICE_STAT_NONE SLUICE_STAT_LONGS /* position of counters that this kernel lacks: always 0 */

/* Upper bound of CPUs that the walk can read. */
#define SLUICE_CPUS_MAX 1024

/* One per record, with the same index. */
struct sluice_walk_tail {
  uint64_t cgroup_serial; /* the kernel's unique number of the cgroup that the record belongs to */
  uint64_t shown_user_ns; /* the value that cpu.stat showed last; it never falls */
  uint64_t shown_system_ns;
#ifndef __cplusplus
  struct sluice_psi_cpu psi[]; /* one for each possible CPU */
#endif
};

/* .bss of the walk program. */
struct sluice_walk_state {
  uint64_t cgroups; /* visited so far, whether or not the map had space; userspace sets 0 before each walk */
  uint64_t now_ns;  /* CLOCK_MONOTONIC, a few cgroups ago */
  int64_t clock_offset_ns;
  uint64_t clock_offset_at_ns; /* 0: unknown */
};

SLUICE_STATIC_ASSERT(sizeof(struct sluice_psi_cpu) == 32, "one CPU's tail");
SLUICE_STATIC_ASSERT(sizeof(struct sluice_walk_tail) == 24, "the CPUs follow");
