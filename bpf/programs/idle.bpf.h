/* SPDX-License-Identifier: GPL-2.0
 * Follows which threads of governed cgroups are awake, to tell when the last of them went to sleep and when
 * the first of them woke. Nothing is done at wakeups: a thread is counted when it first runs, and the
 * scheduler remembers since when it wanted to.
 *
 * Nothing may be allocated under the run queue's lock (before 6.4 task storage would be, and an allocation
 * may wake kswapd, which takes that lock), hence a hash with all its entries made beforehand. */
#pragma once

#include "bpf/programs/governed.bpf.h"
#include "bpf/wire/idle.h"

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1); /* set by the loader */
  __type(key, uint32_t);  /* slot */
  __type(value, struct sluice_idle_slot);
} idles SEC(".maps");

/* Of threads that have run in a governed cgroup and live. One that dies unseen, while nobody is governed,
 * would leave its entry behind. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 32768);
  __type(key, uint32_t); /* thread id */
  __type(value, struct sluice_thread);
} threads SEC(".maps");

#define IDLE_ATTEMPTS 8 /* other CPUs change the count at the same moment */

static __always_inline uint32_t epoch_of(uint64_t awake) {
  return (uint32_t)(awake >> 32);
}

/* A thread could not be counted. Whoever is awake is counted anew when it runs next. */
static __noinline void count_anew(struct sluice_idle_slot* slot) {
  uint32_t epoch = epoch_of(slot->awake) + 1;
  slot->counted_since_ns = bpf_ktime_get_ns();
  __sync_lock_test_and_set(&slot->awake, (uint64_t)(epoch ? epoch : 1) << 32);
}

/* Takes the thread out of the count, if it is in it. Flag and count change together, or not at all. */
static __noinline void uncount(struct sluice_thread* thread) {
  uint32_t at = thread->slot, epoch = thread->epoch;
  thread->epoch = 0;
  struct sluice_idle_slot* slot = bpf_map_lookup_elem(&idles, &at);
  if (!slot) return;
#pragma clang loop unroll(disable)
  for (int attempt = 0; attempt < IDLE_ATTEMPTS; attempt++) {
    uint64_t old = *(volatile uint64_t*)&slot->awake;
    if (epoch_of(old) != epoch || !(uint32_t)old) return; /* the slot has begun anew */
    /* Before the count falls: who finds 0 there finds a time that belongs to it. */
    if ((uint32_t)old == 1) *(volatile uint64_t*)&slot->asleep_since_ns = bpf_ktime_get_ns();
    if (__sync_val_compare_and_swap(&slot->awake, old, old - 1) == old) return;
  }
  count_anew(slot);
}

/* The first to run after all slept; it woke then. */
static __always_inline void end_stretch(struct sluice_idle_slot* slot, uint64_t woke_ns) {
  uint64_t began = slot->asleep_since_ns;
  if (began < slot->counted_since_ns + SLUICE_IDLE_GRACE_NS) return;
  if (woke_ns < began + SLUICE_IDLE_MIN_NS) return;
  slot->before_until_ns = slot->until_ns;
  slot->began_ns = began;
  slot->until_ns = woke_ns;
}

/* Threads that woke while the quota was spent run in any order: this one woke before the one that was taken
 * for the first. */
static __always_inline void mend_stretch(struct sluice_idle_slot* slot, uint64_t woke_ns) {
  uint64_t began = slot->began_ns, until = slot->until_ns;
  if (woke_ns >= until || woke_ns <= began) return;
  uint64_t mended = woke_ns < began + SLUICE_IDLE_MIN_NS ? slot->before_until_ns : woke_ns;
  __sync_val_compare_and_swap(&slot->until_ns, until, mended);
}

/* The previous thread leaves the CPU. Does it sleep, or has it left the cgroup where it was counted? */
static __always_inline void idle_leave(struct task_struct* prev, bool preempted) {
  uint32_t only = 0, tid = (uint32_t)prev->pid;
  if (!tid) return;
  uint32_t state = preempted ? 0 : kernel_state(prev);
  /* One that waits for a disk or for memory has work in its hands: it is not at rest. */
  if (state & KERNEL_TASK_UNINTERRUPTIBLE && !(state & KERNEL_TASK_NOLOAD)) state = 0;
  bool dies = state & KERNEL_TASK_DEAD;
  const struct sluice_governed_set* set = bpf_map_lookup_elem(&governed_set, &only);
  if (!set || (!set->cgroups && !dies)) return;
  struct sluice_thread* thread = bpf_map_lookup_elem(&threads, &tid);
  if (!thread) return;
  if (thread->epoch && (state || thread->cgroup_id != prev->cgroups->dfl_cgrp->kn->id)) uncount(thread);
  if (dies) bpf_map_delete_elem(&threads, &tid);
}

/* The next thread takes the CPU, for which it has waited. */
static __always_inline void idle_arrive(uint32_t tid, uint64_t cgroup_id, uint32_t at, uint64_t waited_ns) {
  struct sluice_idle_slot* slot = bpf_map_lookup_elem(&idles, &at);
  if (!slot) return;
  uint32_t epoch = epoch_of(*(volatile uint64_t*)&slot->awake);
  struct sluice_thread* thread = bpf_map_lookup_elem(&threads, &tid);
  if (thread) {
    if (thread->epoch == epoch && thread->slot == at) return; /* it was preempted, and is back */
    if (thread->epoch) uncount(thread);                       /* it has moved */
    thread->slot = at;
    thread->epoch = epoch;
    thread->cgroup_id = cgroup_id;
  } else {
    struct sluice_thread fresh = {at, epoch, cgroup_id};
    if (bpf_map_update_elem(&threads, &tid, &fresh, BPF_ANY)) return count_anew(slot);
  }
#pragma clang loop unroll(disable)
  for (int attempt = 0; attempt < IDLE_ATTEMPTS; attempt++) {
    uint64_t old = *(volatile uint64_t*)&slot->awake;
    if (epoch_of(old) != epoch) return; /* which voids the flag as well */
    if (__sync_val_compare_and_swap(&slot->awake, old, old + 1) != old) continue;
    uint64_t woke_ns = bpf_ktime_get_ns() - waited_ns;
    if ((uint32_t)old == 0)
      end_stretch(slot, woke_ns);
    else
      mend_stretch(slot, woke_ns);
    return;
  }
  count_anew(slot);
}
