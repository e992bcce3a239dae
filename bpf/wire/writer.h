/* Shared by writer.bpf.c and the loader only. */
#pragma once

#include <stdint.h>

/* One slot of the map `writes`. */
struct sluice_write_slot {
  uint64_t last_event_ns;
  uint64_t suppressed; /* since that event */
};

/* .bss of the writer program. */
struct sluice_write_counts {
  uint64_t suppressed; /* dropped by the rate limit */
  uint64_t lost;       /* the ring was full */
};
