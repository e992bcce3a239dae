// SPDX-License-Identifier: GPL-2.0
// One walk over the cgroups: each leaves its record in a map that userspace has mapped. Nothing is written to
// the iterator's seq_file, so one read() walks everything, however many there are.
#include "bpf/walk.h"

#include "bpf/kernel.h"

char LICENSE[] SEC("license") = "GPL";

// Set by the loader from what the kernel's BTF says.
const volatile uint32_t flush_cgroup = 0;  // a truth, as the two below; _Bool in a skeleton is no C++
const volatile uint32_t flush_css = 0;
const volatile uint32_t has_psi_seq = 0;
const volatile uint32_t cpus = 1;
const volatile uint64_t page_bytes = 4096;

// The loader sets how many, and how large: an entry's tail is as long as there are CPUs (thus no BTF of the
// value).
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __uint(key_size, sizeof(uint32_t));
  __uint(value_size, sizeof(struct sluice_walk_entry));
} entries SEC(".maps");

struct sluice_walk_state walk;

#define NSEC_PER_USEC 1000
#define CLOCK_MAX_DRIFT_SHIFT 10 /* an adjusted clock runs at most 1/1024 faster or slower */

// PSI's times are in sched_clock, for which there is no helper. Every run queue remembers when it last looked
// at that clock: the least distance to CLOCK_MONOTONIC, over all of them, is the offset. It may grow again as
// the clocks drift.
static __always_inline void learn_clock_offset(void) {
  uint64_t now = bpf_ktime_get_ns();
  int64_t least = INT64_MAX;
  for (uint32_t cpu = 0; cpu < cpus; cpu++) {
    const struct rq* rq = bpf_per_cpu_ptr(&runqueues, cpu);
    if (!rq) continue;
    int64_t offset = (int64_t)(bpf_ktime_get_ns() - BPF_CORE_READ(rq, clock));
    if (offset < least) least = offset;
  }
  if (walk.clock_offset_at_ns) {
    int64_t known =
        walk.clock_offset_ns + (int64_t)((now - walk.clock_offset_at_ns) >> CLOCK_MAX_DRIFT_SHIFT);
    if (known < least) least = known;
  }
  walk.clock_offset_ns = least;
  walk.clock_offset_at_ns = now;
}

static __always_inline uint32_t psi_sequence(struct psi_group_cpu* at, uint32_t cpu) {
  struct psi_group_cpu___own_seq* own = (void*)at;
  if (bpf_core_field_exists(own->seq)) return BPF_CORE_READ(own, seq.sequence);
  if (has_psi_seq) {
    const seqcount_t* seq = bpf_per_cpu_ptr(&psi_seq, cpu);
    if (seq) return ((volatile const seqcount_t*)seq)->sequence;
  }
  return 0;
}

#define PSI_ARRAY 16  // more than any kernel has of states

// An array that belongs to the states, in one go. `state` below is a constant of the running kernel.
#define READ_STATES(into, field)                                                                \
  do {                                                                                          \
    uint32_t bytes = bpf_core_field_size(field);                                                \
    if (bytes > sizeof(into)) bytes = sizeof(into);                                             \
    bpf_probe_read_kernel(into, bytes, (const void*)__builtin_preserve_access_index(&(field))); \
  } while (0)
#define STATE(name) (bpf_core_enum_value(enum psi_states, PSI_##name) & (PSI_ARRAY - 1))

// The kernel's get_recent_times() without its lock: what has been booked, plus the states that last. Booked
// first: a writer in between, where no sequence number tells of it, makes the sum too small, which the next
// walk makes good.
static __always_inline bool read_psi_cpu_once(struct sluice_psi_cpu* out, struct psi_group_cpu* at,
                                              uint32_t cpu) {
  uint32_t before = psi_sequence(at, cpu);
  uint32_t times[PSI_ARRAY] = {};
  READ_STATES(times, at->times);
  uint32_t mask = BPF_CORE_READ(at, state_mask);
  int64_t since_ns = (int64_t)(bpf_ktime_get_ns() - walk.clock_offset_ns - BPF_CORE_READ(at, state_start));
  uint32_t lasting_ns = since_ns > 0 ? (uint32_t)since_ns : 0;
#define RECENT(name) \
  out->ns[SLUICE_PSI_##name] = times[STATE(name)] + (mask & (1u << STATE(name)) ? lasting_ns : 0)
  RECENT(IO_SOME);
  RECENT(IO_FULL);
  RECENT(MEM_SOME);
  RECENT(MEM_FULL);
  RECENT(CPU_SOME);
  RECENT(CPU_FULL);
  RECENT(NONIDLE);
#undef RECENT
  return !(before & 1) && psi_sequence(at, cpu) == before;
}

static __always_inline void read_psi_cpu(struct sluice_psi_cpu* out, struct psi_group* group, uint32_t cpu) {
  uint64_t offset = 0;
  __builtin_memset(out, 0, sizeof(*out));
  out->consistent = !kernel_percpu_offset(cpu, &offset);  // a CPU that cannot be has nothing to tell
  if (out->consistent) return;
  struct psi_group_cpu* at = (void*)BPF_CORE_READ(group, pcpu) + offset;
#pragma clang loop unroll(disable)
  for (int attempt = 0; attempt < 4; attempt++) {
    if (!read_psi_cpu_once(out, at, cpu)) continue;
    out->consistent = 1;
    break;
  }
}

static __always_inline void read_pressure(struct cgroup* cgrp, struct sluice_walk_entry* entry) {
  struct sluice_record* r = &entry->record;
  struct psi_group* group = kernel_psi_group(cgrp);
  if (!group) return;
  if (bpf_core_field_exists(group->enabled) && !BPF_CORE_READ(group, enabled)) return;

  uint64_t totals[PSI_ARRAY] = {};  // [PSI_AVGS][states]: the first row
  READ_STATES(totals, group->total);
  r->pressure[SLUICE_CPU].some_ns = totals[STATE(CPU_SOME)];
  r->pressure[SLUICE_CPU].full_ns = totals[STATE(CPU_FULL)];
  r->pressure[SLUICE_MEMORY].some_ns = totals[STATE(MEM_SOME)];
  r->pressure[SLUICE_MEMORY].full_ns = totals[STATE(MEM_FULL)];
  r->pressure[SLUICE_IO].some_ns = totals[STATE(IO_SOME)];
  r->pressure[SLUICE_IO].full_ns = totals[STATE(IO_FULL)];
  for (uint32_t cpu = 0; cpu < cpus; cpu++) read_psi_cpu(&entry->psi[cpu], group, cpu);
  r->valid |= SLUICE_HAS_CPU_PRESSURE | SLUICE_HAS_MEMORY_PRESSURE | SLUICE_HAS_IO_PRESSURE;
}

static __always_inline void read_usage(struct cgroup* cgrp, struct sluice_walk_entry* entry) {
  if (!flush_cgroup && !flush_css) return;  // it would lag without bound
  struct sluice_record* r = &entry->record;
  // The iterator's cgroup is typed for the verifier: plain loads, without a helper's call each.
  r->usage_ns = cgrp->bstat.cputime.sum_exec_runtime;
  r->user_ns = cgrp->bstat.cputime.utime;
  r->system_ns = cgrp->bstat.cputime.stime;
  entry->shown_user_ns = cgrp->prev_cputime.utime;
  entry->shown_system_ns = cgrp->prev_cputime.stime;
  r->valid |= SLUICE_HAS_USAGE;
}

static __always_inline void read_bandwidth(struct cgroup* cgrp, struct sluice_record* r) {
  struct task_group* tg = NULL;
  if (!bpf_core_field_exists(tg->cfs_bandwidth) ||
      !bpf_core_enum_value_exists(enum cgroup_subsys_id, cpu_cgrp_id))
    return;
  tg = kernel_controller(cgrp, bpf_core_enum_value(enum cgroup_subsys_id, cpu_cgrp_id));
  if (!tg) return;
  r->nr_periods = (uint32_t)BPF_CORE_READ(tg, cfs_bandwidth.nr_periods);
  r->nr_throttled = (uint32_t)BPF_CORE_READ(tg, cfs_bandwidth.nr_throttled);
  r->throttled_ns = BPF_CORE_READ(tg, cfs_bandwidth.throttled_time);
  uint64_t quota_ns = BPF_CORE_READ(tg, cfs_bandwidth.quota);
  r->cfs_quota_us = quota_ns == UINT64_MAX ? SLUICE_NO_LIMIT : quota_ns / NSEC_PER_USEC;
  r->cfs_period_us = (uint64_t)BPF_CORE_READ(tg, cfs_bandwidth.period) / NSEC_PER_USEC;
  r->valid |= SLUICE_HAS_BANDWIDTH | SLUICE_HAS_CPU_MAX;
}

// PAGE_COUNTER_MAX, which the files call "max".
static __always_inline uint64_t pages_to_limit(uint64_t pages) {
  return pages >= (uint64_t)INT64_MAX / page_bytes ? SLUICE_NO_LIMIT : pages * page_bytes;
}

#define EVENTS 16  // more than any kernel has

static __always_inline void read_memory(struct cgroup* cgrp, struct sluice_record* r) {
  if (!bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id)) return;
  struct mem_cgroup* memcg =
      kernel_controller(cgrp, bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id));
  if (!memcg) return;
  r->memory_current_bytes = (uint64_t)BPF_CORE_READ(memcg, memory.usage.counter) * page_bytes;
  r->memory_high_bytes = pages_to_limit(BPF_CORE_READ(memcg, memory.high));
  r->memory_max_bytes = pages_to_limit(BPF_CORE_READ(memcg, memory.max));
  r->swap_current_bytes = (uint64_t)BPF_CORE_READ(memcg, swap.usage.counter) * page_bytes;
  r->swap_max_bytes = pages_to_limit(BPF_CORE_READ(memcg, swap.max));

#define EVENT(name) events[bpf_core_enum_value(enum memcg_memory_event, MEMCG_##name) & (EVENTS - 1)]
  uint64_t events[EVENTS] = {};
  uint32_t bytes = bpf_core_field_size(memcg->memory_events);
  if (bytes > sizeof(events)) bytes = sizeof(events);
  bpf_probe_read_kernel(events, bytes, (void*)__builtin_preserve_access_index(&memcg->memory_events));
  r->memory_events.low = EVENT(LOW);
  r->memory_events.high = EVENT(HIGH);
  r->memory_events.max = EVENT(MAX);
  r->memory_events.oom = EVENT(OOM);
  r->memory_events.oom_kill = EVENT(OOM_KILL);
#undef EVENT
  r->valid |= SLUICE_HAS_MEMORY | SLUICE_HAS_MEMORY_EVENTS | SLUICE_HAS_SWAP;
}

static __always_inline int walk_one(struct cgroup* cgrp, bool with_pressure) {
  if (!cgrp) return 0;  // the end
  // A count of our own: the iterator's also counts cgroups that it skips because they are dying.
  uint32_t index = (uint32_t)walk.cgroups;
  walk.cgroups = (uint64_t)index + 1;
  if (index == 0) {
    if (with_pressure) learn_clock_offset();
    if (flush_cgroup)
      cgroup_rstat_flush(cgrp);  // once, at the root of the walk: it takes everything below along
    if (flush_css) css_rstat_flush(&cgrp->self);
  }

  struct sluice_walk_entry* entry = bpf_map_lookup_elem(&entries, &index);
  if (!entry) return 0;  // counted all the same: the loader makes room and walks again
  struct sluice_record* r = &entry->record;
  r->cgroup_id = cgrp->kn->id;
  r->at_ktime_ns = bpf_ktime_get_ns();
  r->valid = 0;
  r->level = (uint32_t)cgrp->level;
  if (r->level == 0) return 0;  // the root keeps its accounts elsewhere, and has no knobs
  read_usage(cgrp, entry);
  read_bandwidth(cgrp, r);
  if (with_pressure) read_pressure(cgrp, entry);
  read_memory(cgrp, r);
  return 0;
}

// The loader takes one of the two.
SEC("iter.s/cgroup")
int BPF_PROG(walk_with_pressure, struct bpf_iter_meta* meta, struct cgroup* cgrp) {
  return walk_one(cgrp, true);
}

// For kernels that hide the run queues (no addresses of variables in kallsyms), where PSI cannot be read
// fresh.
SEC("iter.s/cgroup")
int BPF_PROG(walk_without_pressure, struct bpf_iter_meta* meta, struct cgroup* cgrp) {
  return walk_one(cgrp, false);
}
