/* SPDX-License-Identifier: GPL-2.0
 * Counts the awake threads of governed cgroups, to know when the last of them went to sleep and when the
 * first of them woke. Nothing is done at wakeups: a thread is counted when it first runs, and the scheduler
 * stores when it became runnable.
 *
 * Nothing may be allocated under the run queue's lock: an allocation may wake kswapd, which takes that lock
 * (task storage allocates before 6.4). So the threads are in a preallocated hash. */
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

/* Threads that ran in a governed cgroup and exist. A thread that exits while no cgroup is governed leaves its
 * entry behind. */
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

/* A thread could not be counted. Counting starts again: each awake thread is counted when it runs next. */
static __noinline void count_anew(struct sluice_idle_slot* slot) {
  uint32_t epoch = epoch_of(slot->awake) + 1;
  slot->counted_since_ns = bpf_ktime_get_ns();
  __sync_lock_test_and_set(&slot->awake, (uint64_t)(epoch ? epoch : 1) << 32);
}

/* Removes the thread from the count, if it is counted. Flag and count change together, or not at all. */
static __noinline void uncount(struct sluice_thread* thread) {
  uint32_t at = thread->slot, epoch = thread->epoch;
  thread->epoch = 0;
  struct sluice_idle_slot* slot = bpf_map_lookup_elem(&idles, &at);
  if (!slot) return;
#pragma clang loop unroll(disable)
  for (int attempt = 0; attempt < IDLE_ATTEMPTS; attempt++) {
    uint64_t old = *(volatile uint64_t*)&slot->awake;
    if (epoch_of(old) != epoch || !(uint32_t)old) return; /* a new epoch has begun */
    /* Set before the count falls, so that a reader of 0 finds the matching time. */
    if ((uint32_t)old == 1) *(volatile uint64_t*)&slot->asleep_since_ns = bpf_ktime_get_ns();
    if (__sync_val_compare_and_swap(&slot->awake, old, old - 1) == old) return;
  }
  count_anew(slot);
}

/* Ends the stretch: the first thread runs after all slept. It woke at `woke_ns`. */
static __always_inline void end_stretch(struct sluice_idle_slot* slot, uint64_t woke_ns) {
  uint64_t began = slot->asleep_since_ns;
  if (began < slot->counted_since_ns + SLUICE_IDLE_GRACE_NS) return;
  if (woke_ns < began + SLUICE_IDLE_MIN_NS) return;
  slot->before_until_ns = slot->until_ns;
  slot->began_ns = began;
  slot->until_ns = woke_ns;
}

/* Corrects the end of a stretch. Threads that woke while the quota was used up run in any order: this one
 * woke before the thread that ended the stretch. */
static __always_inline void mend_stretch(struct sluice_idle_slot* slot, uint64_t woke_ns) {
  uint64_t began = slot->began_ns, until = slot->until_ns;
  if (woke_ns >= until || woke_ns <= began) return;
  uint64_t mended = woke_ns < began + SLUICE_IDLE_MIN_NS ? slot->before_until_ns : woke_ns;
  __sync_val_compare_and_swap(&slot->until_ns, until, mended);
}

/* The previous thread leaves the CPU: it may sleep, or have left the cgroup where it was counted. */
static __always_inline void idle_leave(struct task_struct* prev, bool preempted) {
  uint32_t only = 0, tid = (uint32_t)prev->pid;
  if (!tid) return;
  uint32_t state = preempted ? 0 : kernel_state(prev);
  /* A thread that waits for a disk or for memory still has work, so it is not idle. */
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
    if (thread->epoch == epoch && thread->slot == at) return; /* it was preempted and runs again */
    if (thread->epoch) uncount(thread);                       /* it moved to another cgroup */
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
    if (epoch_of(old) != epoch) return; /* the thread's flag is then invalid too */
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
