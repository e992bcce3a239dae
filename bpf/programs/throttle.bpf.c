// SPDX-License-Identifier: GPL-2.0
// Reports at once when a governed cgroup is throttled because its quota is used up. Counts for how long, and
// how many tasks that stops. Only the cgroup's own quota counts, not limits of its descendants.
#include "bpf/wire/throttle.h"

#include "bpf/programs/governed.bpf.h"
#include "bpf/wire/record.h"

char LICENSE[] SEC("license") = "GPL";

const volatile uint64_t event_interval_ns = 0;
const volatile uint32_t cpus = 1;

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);  // set by the loader, like the two below
  __type(key, uint32_t);   // slot
  __type(value, struct sluice_throttle_slot);
} throttles SEC(".maps");

// Whether a run queue counts as throttled: a program attached during a throttle must not count only its end.
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, uint32_t);  // slot * cpus + cpu
  __type(value, uint32_t);
} stopped SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 4096);
} events SEC(".maps");

struct sluice_throttle_counts counts;

#define ATTEMPTS 32  // other CPUs change run queues of the same cgroup at the same time

static __always_inline bool start_one(struct sluice_throttle_slot* t, uint64_t now) {
  for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
    uint64_t old = *(volatile uint64_t*)&t->stopped;
    bool first = (old & SLUICE_STOPPED_MASK) == 0;
    uint64_t next = first ? now >> SLUICE_STOPPED_TIME_SHIFT << SLUICE_STOPPED_BITS | 1 : old + 1;
    if (__sync_val_compare_and_swap(&t->stopped, old, next) != old) continue;
    if (first) __sync_fetch_and_add(&t->count, 1);
    return true;
  }
  return false;
}

static __always_inline bool end_one(struct sluice_throttle_slot* t, uint64_t now) {
  for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
    uint64_t old = *(volatile uint64_t*)&t->stopped;
    uint64_t queues = old & SLUICE_STOPPED_MASK;
    if (queues == 0) return true;
    uint64_t next = queues == 1 ? 0 : old - 1;
    if (__sync_val_compare_and_swap(&t->stopped, old, next) != old) continue;
    if (next == 0) {
      uint64_t lasted =
          (now >> SLUICE_STOPPED_TIME_SHIFT << SLUICE_STOPPED_BITS) - (old & ~SLUICE_STOPPED_MASK);
      __sync_fetch_and_add(&t->stopped_ns, lasted >> SLUICE_STOPPED_BITS << SLUICE_STOPPED_TIME_SHIFT);
    }
    return true;
  }
  return false;
}

static __always_inline uint32_t* stopped_flag(struct cfs_rq* cfs_rq, uint32_t slot) {
  uint32_t at = slot * cpus + (uint32_t)BPF_CORE_READ(cfs_rq, rq, cpu);
  return bpf_map_lookup_elem(&stopped, &at);
}

static __always_inline void emit(struct sluice_throttle_slot* t, uint64_t id, uint64_t now) {
  // Two CPUs may throttle the same cgroup at once: the one that updates the time emits the event.
  uint64_t last = t->last_event_ns;
  if ((last && now - last < event_interval_ns) ||
      __sync_val_compare_and_swap(&t->last_event_ns, last, now) != last) {
    __sync_fetch_and_add(&t->suppressed, 1);
    __sync_fetch_and_add(&counts.suppressed, 1);
    return;
  }
  struct sluice_event* event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
  if (!event) {
    __sync_fetch_and_add(&counts.lost, 1);
    t->last_event_ns = 0;  // so that the next one is tried at once
    return;
  }
  uint64_t suppressed = __sync_lock_test_and_set(&t->suppressed, 0);
  event->cgroup_id = id;
  event->at_ktime_ns = now;
  event->cpu = bpf_get_smp_processor_id();
  event->kind = SLUICE_EVENT_THROTTLED;
  event->suppressed = suppressed;
  bpf_ringbuf_submit(event, 0);
}

// Both run briefly under the run queue's lock and never wait. On entry the function may still find quota left
// elsewhere; only its result shows that the cgroup was throttled.
SEC("fexit/throttle_cfs_rq")
int BPF_PROG(on_throttle, struct cfs_rq* cfs_rq, bool throttled) {
  if (!throttled) return 0;
  uint64_t id = BPF_CORE_READ(cfs_rq, tg, css.cgroup, kn, id);
  const uint32_t* slot = bpf_map_lookup_elem(&governed, &id);
  if (!slot) return 0;
  struct sluice_throttle_slot* t = bpf_map_lookup_elem(&throttles, slot);
  if (!t) return 0;
  uint64_t now = bpf_ktime_get_ns();
  __sync_fetch_and_add(&counts.throttles, 1);
  __sync_fetch_and_add(&t->stopped_tasks, kernel_runnable(cfs_rq));
  uint32_t* flag = stopped_flag(cfs_rq, *slot);
  if (flag && !*flag && start_one(t, now)) *flag = 1;
  emit(t, id, now);
  return 0;
}

SEC("fexit/unthrottle_cfs_rq")
int BPF_PROG(on_unthrottle, struct cfs_rq* cfs_rq) {
  // it stays throttled: there was no quota after all
  if (BPF_CORE_READ_BITFIELD_PROBED(cfs_rq, throttled)) return 0;
  uint64_t id = BPF_CORE_READ(cfs_rq, tg, css.cgroup, kn, id);
  const uint32_t* slot = bpf_map_lookup_elem(&governed, &id);
  if (!slot) return 0;
  struct sluice_throttle_slot* t = bpf_map_lookup_elem(&throttles, slot);
  uint32_t* flag = stopped_flag(cfs_rq, *slot);
  if (t && flag && *flag && end_one(t, bpf_ktime_get_ns())) *flag = 0;
  return 0;
}
