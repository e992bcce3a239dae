/* Shared by the event programs and the loader: which cgroups are governed, and the slots of their counters.
 * There is one set for all programs: the loader creates the maps, and each object uses them. */
#pragma once

#include <stdint.h>

#define SLUICE_NO_SLOT UINT32_MAX

/* The one entry of the map `governed_set`. */
struct sluice_governed_set {
  uint32_t generation; /* grows with each change; older entries of `known` are then invalid */
  uint32_t cgroups;    /* 0: no cgroup is governed, so programs return at once */
};

/* Value of the map `known`: the slot of a cgroup, governed or not. */
struct sluice_known {
  uint32_t generation;
  uint32_t slot; /* SLUICE_NO_SLOT: no ancestor is governed */
};
