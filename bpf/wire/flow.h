/* Between flow.bpf.c and the loader only. */
#pragma once

#include <stdint.h>

/* One slot of the map `flows`. */
struct sluice_flow_slot {
  uint64_t cgroup_id;
  uint64_t governed_at_ns; /* what sockets had carried before is not this task's to show */
  uint64_t primed;         /* a pass since then has seen every socket: a new one counts from its first byte */
  uint64_t pass;           /* the pass that the three below are of; another: it has no socket now */
  uint64_t sockets;
  uint64_t unread_bytes;
  uint64_t unsent_bytes;
  uint64_t received_bytes; /* totals, to which a closing socket adds what no pass will see */
  uint64_t sent_bytes;
  uint64_t zero_window_ns;
  uint64_t elsewhere; /* the look that found one of its tasks in another network namespace */
};

/* .bss of the flow programs. */
struct sluice_flow_state {
  uint64_t pass;  /* number of the pass; userspace counts it up */
  uint64_t at_ns; /* when it began, CLOCK_MONOTONIC */
  uint64_t look;  /* number of the look over the tasks */
  uint64_t met;   /* TCP sockets met by the pass, anybody's */
  uint64_t lost;  /* sockets whose totals could not be followed, for want of memory */
};
