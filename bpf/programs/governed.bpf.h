/* SPDX-License-Identifier: GPL-2.0
 * Finds the slot of the governed cgroup that contains a cgroup: its own, or the nearest ancestor's. Called at
 * every context switch, so the result is remembered by cgroup id. */
#pragma once

#include "bpf/programs/kernel.h"
#include "bpf/wire/governed.h"

/* All three maps are created by the loader, which sets their sizes. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1);
  __type(key, uint64_t);   /* cgroup id */
  __type(value, uint32_t); /* slot */
} governed SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 1);
  __type(key, uint64_t); /* cgroup id */
  __type(value, struct sluice_known);
} known SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, uint32_t);
  __type(value, struct sluice_governed_set);
} governed_set SEC(".maps");

#define GOVERNED_DEPTH 16 /* levels that are searched upwards; real trees are not deeper */

static __noinline uint32_t find_governed_slot(struct cgroup* cgrp, uint64_t id, uint32_t generation) {
  struct sluice_known found = {generation, SLUICE_NO_SLOT};
  uint64_t at = id;
  for (int level = 0; level < GOVERNED_DEPTH && cgrp; level++) {
    const uint32_t* slot = bpf_map_lookup_elem(&governed, &at);
    if (slot) {
      found.slot = *slot;
      break;
    }
    cgrp = kernel_parent(cgrp);
    at = BPF_CORE_READ(cgrp, kn, id);
  }
  bpf_map_update_elem(&known, &id, &found, BPF_ANY);
  return found.slot;
}

/* The slot, or SLUICE_NO_SLOT. `id` is the cgroup's own; callers can often load it more cheaply. */
static __always_inline uint32_t governed_slot(struct cgroup* cgrp, uint64_t id) {
  uint32_t only = 0;
  const struct sluice_governed_set* set = bpf_map_lookup_elem(&governed_set, &only);
  if (!set || !set->cgroups) return SLUICE_NO_SLOT;
  uint32_t generation = set->generation;
  const struct sluice_known* seen = bpf_map_lookup_elem(&known, &id);
  if (seen && seen->generation == generation) return seen->slot;
  return find_governed_slot(cgrp, id, generation);
}
