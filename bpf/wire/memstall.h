/* Shared by memstall.bpf.c and the loader only. */
#pragma once

#include <stdint.h>

/* One slot of the map `stalls`. */
struct sluice_stall_slot {
  uint64_t cgroup_id;
  uint64_t stalled_ns;
  uint64_t high_throttled_ns;
  uint64_t oom_kills;
  uint64_t last_oom_event_ns;
  uint64_t suppressed;
};

/* .bss of the memory programs. */
struct sluice_stall_counts {
  uint64_t suppressed; /* OOM events dropped by the rate limit */
  uint64_t lost;       /* the ring was full */
};
