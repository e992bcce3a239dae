/* Between the event programs and the loader: which cgroups are governed, and by which slot their counters are
 * found. One set for all programs: the loader makes the maps, and each object takes them over. */
#pragma once

#include <stdint.h>

#define SLUICE_NO_SLOT UINT32_MAX

/* The one entry of the map `governed_set`. */
struct sluice_governed_set {
  uint32_t generation; /* grows with each change: what was remembered before counts no more */
  uint32_t cgroups;    /* 0: nobody is governed, and nothing is worth a look */
};

/* Value of the map `known`: the slot that a cgroup, governed or not, was found to belong to. */
struct sluice_known {
  uint32_t generation;
  uint32_t slot; /* SLUICE_NO_SLOT: no ancestor is governed */
};
