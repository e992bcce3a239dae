/* Between throttle.bpf.c and the loader only. */
#pragma once

#include <stdint.h>

/* Value of the governed map: present = emits events. */
struct sluice_governed {
  uint64_t last_event_ns; /* 0: none yet */
  uint64_t suppressed;    /* since that event */
};

/* .bss of the throttle program. */
struct sluice_throttle_counts {
  uint64_t throttles;  /* of governed cgroups */
  uint64_t suppressed; /* swallowed by the rate limit */
  uint64_t lost;       /* the ring was full */
};
