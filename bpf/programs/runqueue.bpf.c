// SPDX-License-Identifier: GPL-2.0
// How long tasks of governed cgroups wait for a CPU, from the scheduler's accounting, and when none of them
// was last runnable. One hook at each switch, none at wakeups.
#include "bpf/wire/runqueue.h"

#include "bpf/programs/governed.bpf.h"
#include "bpf/programs/idle.bpf.h"

char LICENSE[] SEC("license") = "GPL";

const volatile uint32_t stripes = 1;  // a power of two
const volatile uint32_t shared = 0;   // boolean: there are more CPUs than stripes

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);  // set by the loader
  __type(key, uint32_t);   // slot * stripes + stripe
  __type(value, struct sluice_run_queue_wait);
} waits SEC(".maps");

#define NSEC_PER_USEC 1000

static __always_inline uint32_t log2_floor(uint32_t value) {
  uint32_t log = 0;
#pragma unroll
  for (uint32_t step = 16; step; step >>= 1)
    if (value >> step) {
      value >>= step;
      log += step;
    }
  return log;
}

// Runs just before the switch, when the kernel has not yet accounted the wait of the next task.
SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, bool preempt, struct task_struct* prev, struct task_struct* next) {
  idle_leave(prev, preempt);
  uint64_t queued_at = next->sched_info.last_queued;
  if (!queued_at) return 0;  // the idle task, or a task that was not queued
  struct cgroup* cgrp = next->cgroups->dfl_cgrp;
  uint64_t id = cgrp->kn->id;
  uint32_t slot = governed_slot(cgrp, id);
  if (slot == SLUICE_NO_SLOT) return 0;
  const struct rq* rq = bpf_this_cpu_ptr(&runqueues);
  uint64_t clock = rq->clock;
  uint64_t waited_ns = clock > queued_at ? clock - queued_at : 0;
  idle_arrive((uint32_t)next->pid, id, slot, waited_ns);

  uint32_t at = slot * stripes + (bpf_get_smp_processor_id() & (stripes - 1));
  struct sluice_run_queue_wait* wait = bpf_map_lookup_elem(&waits, &at);
  if (!wait) return 0;
  uint64_t usec = waited_ns / NSEC_PER_USEC;
  uint32_t bucket = log2_floor(usec > UINT32_MAX ? UINT32_MAX : (uint32_t)usec);
  if (bucket >= SLUICE_WAIT_BUCKETS) bucket = SLUICE_WAIT_BUCKETS - 1;
  if (shared) {
    __sync_fetch_and_add(&wait->total_ns, waited_ns);
    __sync_fetch_and_add(&wait->log2_usec[bucket], 1);
  } else {  // no other CPU writes here, and a switch is not interrupted by another
    wait->total_ns += waited_ns;
    wait->log2_usec[bucket]++;
  }
  return 0;
}
