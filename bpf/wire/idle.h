/* Shared by runqueue.bpf.c and the loader only: when all threads of a governed cgroup were last asleep. */
#pragma once

#include "bpf/wire/counters.h"

/* A stretch counts only if it began this long after counting began. By then a thread that was running before,
 * and is not counted, has been switched out once. */
#define SLUICE_IDLE_GRACE_NS 1000000000ull

/* One slot of the map `idles`. It fills a cache line, because several CPUs write to it. */
struct sluice_idle_slot {
  uint64_t awake; /* epoch << 32 | threads that run, or are runnable and have run since they woke */
  uint64_t counted_since_ns; /* when the epoch began */
  uint64_t asleep_since_ns;  /* when the count last fell to 0; written just before it does */
  uint64_t began_ns;         /* start of the last stretch that was long enough; 0: none yet */
  uint64_t until_ns;         /* its end */
  uint64_t before_until_ns;  /* end of the stretch before it */
  uint64_t unused[2];
};

/* Value of the map `threads`, by thread id. Counts as awake in the slot if the epoch is the slot's. */
struct sluice_thread {
  uint32_t slot;
  uint32_t epoch; /* 0: asleep */
  uint64_t cgroup_id;
};

SLUICE_STATIC_ASSERT(sizeof(struct sluice_idle_slot) == 64, "a cache line");
