/* Shared by throttle.bpf.c and the loader only. */
#pragma once

#include <stdint.h>

/* Start of the current stretch and number of throttled run queues, in one word so that both change together.
 * The time is in units of 1024 ns and wraps every nine years. */
#define SLUICE_STOPPED_BITS 16
#define SLUICE_STOPPED_MASK 0xffffull
#define SLUICE_STOPPED_TIME_SHIFT 10

/* One slot of the map `throttles`. */
struct sluice_throttle_slot {
  uint64_t stopped; /* as above; 0: no run queue is throttled */
  uint64_t count;
  uint64_t stopped_ns; /* of ended stretches */
  uint64_t stopped_tasks;
  uint64_t last_event_ns; /* 0: none yet */
  uint64_t suppressed;    /* since that event */
};

/* .bss of the throttle programs. */
struct sluice_throttle_counts {
  uint64_t throttles;  /* of governed cgroups */
  uint64_t suppressed; /* dropped by the rate limit */
  uint64_t lost;       /* the ring was full */
};
