/* Between throttle.bpf.c and the loader only. */
#pragma once

#include <stdint.h>

/* When the stretch that goes on began, and how many run queues are stopped: one word, so that both change at
 * once. The time is in units of 1024 ns and wraps every nine years. */
#define SLUICE_STOPPED_BITS 16
#define SLUICE_STOPPED_MASK 0xffffull
#define SLUICE_STOPPED_TIME_SHIFT 10

/* One slot of the map `throttles`. */
struct sluice_throttle_slot {
  uint64_t stopped; /* as above; 0: none is */
  uint64_t count;
  uint64_t stopped_ns; /* of stretches that ended */
  uint64_t stopped_tasks;
  uint64_t last_event_ns; /* 0: none yet */
  uint64_t suppressed;    /* since that event */
};

/* .bss of the throttle programs. */
struct sluice_throttle_counts {
  uint64_t throttles;  /* of governed cgroups */
  uint64_t suppressed; /* swallowed by the rate limit */
  uint64_t lost;       /* the ring was full */
};
