/* Counters of the event programs for each governed cgroup, in memory that the daemon has mapped: the second
 * part of the wire format, beside record.h. The programs find a cgroup's counters by its slot number, which
 * the loader assigns when the cgroup becomes governed. Totals start at 0 then, and never fall. */
#pragma once

#include "bpf/wire/record.h"

enum sluice_counted {
  SLUICE_COUNTS_THROTTLE = 1u << 0,
  SLUICE_COUNTS_RUN_QUEUE = 1u << 1,
  SLUICE_COUNTS_MEMORY_STALL = 1u << 2,
  SLUICE_COUNTS_HIGH = 1u << 3,      /* high_throttled_ns; needs its own hook */
  SLUICE_COUNTS_OOM_KILLS = 1u << 4, /* oom_kills; needs its own hook */
  SLUICE_COUNTS_FLOW = 1u << 5,
  SLUICE_COUNTS_IDLE = 1u << 6,
};

/* Throttling by the cgroup's own quota only, not by limits of its descendants. */
struct sluice_throttle_totals {
  uint64_t count;         /* stretches with a throttled run queue */
  uint64_t stopped_ns;    /* their wall time, including the current one */
  uint64_t stopped_tasks; /* runnable tasks that they stopped, over all run queues and stretches */
};

#define SLUICE_WAIT_BUCKETS 24

struct sluice_run_queue_wait {
  uint64_t total_ns;
  uint64_t log2_usec[SLUICE_WAIT_BUCKETS]; /* [2^i, 2^(i+1)) µs; the first and the last bucket are open */
};

/* Shorter stretches without a runnable thread do not count: they may be round trips to a broker. */
#define SLUICE_IDLE_MIN_NS 2000000ull

/* By CLOCK_MONOTONIC. Known from one second after the cgroup became governed. */
struct sluice_idle {
  uint64_t until_ns; /* end of the last stretch without a runnable thread; 0: none yet */
  uint64_t
      since_ns; /* no thread has run since then (one may have woken and wait); 0: a thread runs, or unknown */
};

/* Summed over tasks. A stall counts when it ends. */
struct sluice_memory_stall {
  uint64_t stalled_ns;
  uint64_t high_throttled_ns; /* sleep as penalty for exceeding memory.high; reclaim at memory.high is in
                                 stalled_ns */
  uint64_t oom_kills;         /* events, not tasks */
};

/* TCP sockets; payload only. `sockets`, `unread_bytes` and `unsent_bytes` are as of `at_ktime_ns`. */
struct sluice_flow {
  uint64_t at_ktime_ns;
  uint64_t sockets; /* connected */
  uint64_t unread_bytes;
  uint64_t unsent_bytes; /* written, not acknowledged */
  uint64_t received_bytes;
  uint64_t sent_bytes;
  uint64_t zero_window_ns; /* socket time with a closed receive window, sampled */
};

/* One governed cgroup, as returned by Source::counters(). */
struct sluice_counters {
  uint64_t cgroup_id;
  uint32_t valid; /* enum sluice_counted */
  uint32_t slot;
  struct sluice_throttle_totals throttle;
  struct sluice_run_queue_wait run_queue;
  struct sluice_memory_stall memory;
  struct sluice_flow flow;
  struct sluice_idle idle;
};

/* An external writer wrote a governed cgroup's cpu.max, memory.high or cpu.weight. Kind SLUICE_EVENT_WRITTEN.
 * */
#define SLUICE_WRITER_LEVELS 4
#define SLUICE_WRITER_NAME 64
#define SLUICE_WRITER_VALUE 32

enum sluice_knob { SLUICE_KNOB_CPU_MAX = 0, SLUICE_KNOB_MEMORY_HIGH = 1, SLUICE_KNOB_CPU_WEIGHT = 2 };

struct sluice_write_event {
  struct sluice_event event;
  uint32_t pid; /* of the process, in the first pid namespace */
  uint32_t uid;
  uint32_t knob; /* enum sluice_knob */
  uint32_t unused;
  uint64_t writer_cgroup_id;
  char comm[16];                                         /* of the thread */
  char value[SLUICE_WRITER_VALUE];                       /* as written, truncated to this size */
  char cgroup[SLUICE_WRITER_LEVELS][SLUICE_WRITER_NAME]; /* the writer's cgroup and its ancestors, by name */
};

SLUICE_STATIC_ASSERT(offsetof(struct sluice_counters, throttle) == 16, "the header is 16 bytes");
SLUICE_STATIC_ASSERT(sizeof(struct sluice_counters) == 16 + 24 + 200 + 24 + 56 + 16, "no padding");
SLUICE_STATIC_ASSERT(sizeof(struct sluice_write_event) == 32 + 24 + 16 + 32 + 256, "no padding");
