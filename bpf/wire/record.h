/* Data from the kernel programs to userspace: the one wire format, for clang -target bpf, C and C++. Fields
 * have fixed width and their unit in the name. A group of fields is valid only if its bit in `valid` is set.
 * Totals never fall while the cgroup exists. Plain values: no I/O, usable everywhere. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define SLUICE_STATIC_ASSERT static_assert
#else
#define SLUICE_STATIC_ASSERT _Static_assert
#endif

/* Value of a knob that holds "max". */
#define SLUICE_NO_LIMIT UINT64_MAX

enum sluice_group {
  SLUICE_HAS_USAGE = 1u << 0,           /* usage_ns, user_ns, system_ns */
  SLUICE_HAS_BANDWIDTH = 1u << 1,       /* nr_periods … throttled_ns: the cpu controller is enabled here */
  SLUICE_HAS_CPU_MAX = 1u << 2,         /* cfs_quota_us, cfs_period_us */
  SLUICE_HAS_CPU_PRESSURE = 1u << 3,    /* pressure[SLUICE_CPU] */
  SLUICE_HAS_MEMORY_PRESSURE = 1u << 4, /* pressure[SLUICE_MEMORY] */
  SLUICE_HAS_IO_PRESSURE = 1u << 5,     /* pressure[SLUICE_IO] */
  SLUICE_HAS_MEMORY = 1u << 6,          /* memory_current_bytes, memory_high_bytes, memory_max_bytes */
  SLUICE_HAS_MEMORY_EVENTS = 1u << 7,   /* memory_events */
  SLUICE_HAS_SWAP = 1u << 8,            /* swap_current_bytes, swap_max_bytes */
  SLUICE_HAS_MEMORY_STAT = 1u << 9,     /* memory_stat */
  SLUICE_HAS_RUNNABLE = 1u << 10,       /* runnable_threads */
  SLUICE_HAS_CPU_BURST = 1u << 11,      /* cfs_burst_us */
};

enum sluice_resource { SLUICE_CPU = 0, SLUICE_MEMORY = 1, SLUICE_IO = 2, SLUICE_RESOURCES = 3 };

/* Totals of {cpu,memory,io}.pressure, up to date at the walk. */
struct sluice_pressure {
  uint64_t some_ns;
  uint64_t full_ns;
};

/* memory.events */
struct sluice_memory_events {
  uint64_t low;
  uint64_t high;
  uint64_t max;
  uint64_t oom;
  uint64_t oom_kill;
};

/* The parts of memory.stat that the governor uses, named as in the file. */
struct sluice_memory_stat {
  uint64_t anon_bytes;
  uint64_t file_bytes;
  uint64_t shmem_bytes;
  uint64_t unevictable_bytes;
  uint64_t sock_bytes;
  uint64_t kernel_bytes;
  uint64_t slab_reclaimable_bytes;
  uint64_t workingset_refault_anon;
  uint64_t workingset_refault_file;
  uint64_t pgscan;
  uint64_t pgsteal;
};

/* One cgroup in one walk. */
struct sluice_record {
  uint64_t cgroup_id;   /* the inode number of its directory */
  uint64_t at_ktime_ns; /* CLOCK_MONOTONIC when it was read */
  uint32_t valid;       /* enum sluice_group */
  uint32_t level;       /* 0 = the root of the hierarchy */

  uint64_t usage_ns; /* cpu.stat */
  uint64_t user_ns;
  uint64_t system_ns;

  uint64_t nr_periods;
  uint64_t nr_throttled;
  uint64_t throttled_ns; /* summed over CPUs: two throttled run queues count twice */

  uint64_t cfs_quota_us; /* cpu.max; SLUICE_NO_LIMIT = max */
  uint64_t cfs_period_us;
  uint64_t cfs_burst_us; /* cpu.max.burst */

  struct sluice_pressure pressure[SLUICE_RESOURCES];

  uint64_t memory_current_bytes;
  uint64_t memory_high_bytes; /* SLUICE_NO_LIMIT = max, also for the two below */
  uint64_t memory_max_bytes;
  uint64_t swap_current_bytes;
  uint64_t swap_max_bytes;

  struct sluice_memory_events memory_events;
  struct sluice_memory_stat memory_stat;

  uint64_t runnable_threads; /* on a run queue, or throttled */
};

enum sluice_event_kind {
  SLUICE_EVENT_THROTTLED = 1, /* throttled on one CPU because its quota is used up */
  SLUICE_EVENT_OOM_KILL = 2,  /* one of its tasks was selected by the OOM killer */
  SLUICE_EVENT_WRITTEN = 3,   /* another process wrote one of its knobs: struct sluice_write_event */
};

/* An event of a governed cgroup. */
struct sluice_event {
  uint64_t cgroup_id;
  uint64_t at_ktime_ns; /* CLOCK_MONOTONIC, when it began */
  uint32_t cpu;
  uint32_t kind;       /* enum sluice_event_kind */
  uint64_t suppressed; /* number of such events of this cgroup dropped by the rate limit since the last one */
};

SLUICE_STATIC_ASSERT(offsetof(struct sluice_record, valid) == 16, "the header is 24 bytes");
SLUICE_STATIC_ASSERT(offsetof(struct sluice_record, usage_ns) == 24, "no padding after the header");
SLUICE_STATIC_ASSERT(offsetof(struct sluice_record, pressure) == 96, "no padding before pressure");
SLUICE_STATIC_ASSERT(offsetof(struct sluice_record, memory_current_bytes) == 144, "no padding before memory");
SLUICE_STATIC_ASSERT(offsetof(struct sluice_record, memory_stat) == 224, "no padding before memory_stat");
SLUICE_STATIC_ASSERT(sizeof(struct sluice_record) == 320, "the wire format has a size of its own");
SLUICE_STATIC_ASSERT(sizeof(struct sluice_event) == 32, "the wire format has a size of its own");
