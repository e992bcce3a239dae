/* Shared by flow.bpf.c and the loader only. */
#pragma once

#include <stdint.h>

/* One slot of the map `flows`. */
struct sluice_flow_slot {
  uint64_t cgroup_id;
  uint64_t governed_at_ns; /* data from before is not counted */
  uint64_t primed; /* a pass since then has seen every socket, so new ones count from their first byte */
  uint64_t pass;   /* the pass that set the three below; an older one: the cgroup has no socket now */
  uint64_t sockets;
  uint64_t unread_bytes;
  uint64_t unsent_bytes;
  uint64_t received_bytes; /* totals; a closing socket adds what no pass will see */
  uint64_t sent_bytes;
  uint64_t zero_window_ns;
  uint64_t elsewhere; /* the check that found one of its tasks in another network namespace */
};

/* .bss of the flow programs. */
struct sluice_flow_state {
  uint64_t pass;  /* number of the pass; set by userspace */
  uint64_t at_ns; /* when it began, CLOCK_MONOTONIC */
  uint64_t look;  /* number of the check of all tasks */
  uint64_t met;   /* TCP sockets seen by the pass, of all processes */
  uint64_t lost;  /* sockets whose totals could not be followed for lack of memory */
};
