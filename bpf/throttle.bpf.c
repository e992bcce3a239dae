// SPDX-License-Identifier: GPL-2.0
// Tells userspace at once when a governed cgroup is stopped because its quota is spent.
#include "bpf/throttle.h"

#include "bpf/kernel.h"
#include "bpf/record.h"

char LICENSE[] SEC("license") = "GPL";

const volatile uint64_t event_interval_ns = 0;

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1);  // set by the loader
  __type(key, uint64_t);   // cgroup id
  __type(value, struct sluice_governed);
} governed SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 4096);  // set by the loader
} events SEC(".maps");

struct sluice_throttle_counts counts;

// Runs under the run queue's lock, thus briefly, and never waits.
// On entry the function may yet find quota left elsewhere; only its result says that the cgroup was stopped.
SEC("fexit/throttle_cfs_rq")
int BPF_PROG(on_throttle, struct cfs_rq* cfs_rq, bool throttled) {
  if (!throttled) return 0;
  uint64_t id = BPF_CORE_READ(cfs_rq, tg, css.cgroup, kn, id);
  struct sluice_governed* g = bpf_map_lookup_elem(&governed, &id);
  if (!g) return 0;
  __sync_fetch_and_add(&counts.throttles, 1);

  // Two CPUs may throttle the same cgroup at once: who moves the time forward emits.
  uint64_t now = bpf_ktime_get_ns();
  uint64_t last = g->last_event_ns;
  if ((last && now - last < event_interval_ns) ||
      __sync_val_compare_and_swap(&g->last_event_ns, last, now) != last) {
    __sync_fetch_and_add(&g->suppressed, 1);
    __sync_fetch_and_add(&counts.suppressed, 1);
    return 0;
  }

  struct sluice_event* event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
  if (!event) {
    __sync_fetch_and_add(&counts.lost, 1);
    g->last_event_ns = 0;  // so that the next one is tried at once
    return 0;
  }
  uint64_t suppressed = __sync_lock_test_and_set(&g->suppressed, 0);
  event->cgroup_id = id;
  event->at_ktime_ns = now;
  event->cpu = bpf_get_smp_processor_id();
  event->kind = SLUICE_EVENT_THROTTLED;
  event->suppressed = suppressed;
  bpf_ringbuf_submit(event, 0);
  return 0;
}
