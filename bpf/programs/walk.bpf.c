// SPDX-License-Identifier: GPL-2.0
// One walk over the cgroups: each leaves its record in a map that userspace has mapped. Nothing is written to
// the iterator's seq_file, so one read() walks all cgroups.
#include "bpf/wire/walk.h"

#include "bpf/programs/kernel.h"

char LICENSE[] SEC("license") = "GPL";

// Set by the loader from the kernel's BTF.
// boolean, like the one below; _Bool in a skeleton is not valid C++
const volatile uint32_t flush_cgroup = 0;
const volatile uint32_t flush_css = 0;
const volatile uint32_t cpus = 1;
const volatile uint64_t page_bytes = 4096;
// struct memcg_vmstats: start and length of what is read, and the position of each counter. 0 bytes: unknown.
const volatile uint32_t stat_from = 0;
const volatile uint32_t stat_bytes = 0;
const volatile uint32_t stat_at[SLUICE_STATS] = {};

// The loader sets the number of entries of both maps.
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, uint32_t);
  __type(value, struct sluice_record);
} records SEC(".maps");

// A tail's size depends on the number of CPUs. The loader sets it too, so the value has no BTF.
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __uint(key_size, sizeof(uint32_t));
  __uint(value_size, sizeof(struct sluice_walk_tail));
} tails SEC(".maps");

struct sluice_walk_state walk;

#define NSEC_PER_USEC 1000
#define CLOCK_MAX_DRIFT_SHIFT 10 /* an adjusted clock runs at most 1/1024 faster or slower */

// PSI's times are in sched_clock, for which there is no helper. Every run queue stores when it last read that
// clock. The smallest distance to CLOCK_MONOTONIC over all run queues is the offset. It may grow again as the
// clocks drift.
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

// Positions of each CPU's variables: found once per walk, not once per cgroup.
static struct sluice_cpu {
  uint64_t offset;
  uint64_t present;
} places[SLUICE_CPUS_MAX];

static __always_inline void learn_places(void) {
  for (uint32_t cpu = 0; cpu < cpus && cpu < SLUICE_CPUS_MAX; cpu++)
    places[cpu].present = kernel_percpu_offset(cpu, &places[cpu].offset);
}

// Only the needed part of a structure is copied, to the place that it would have in a full copy, so that its
// fields are read as from the structure itself. A helper call costs as much as some hundred bytes. One walk
// at a time.
#define COPY_BYTES 4096
static uint64_t copied[COPY_BYTES / sizeof(uint64_t)];
static uint64_t stats[SLUICE_STAT_LONGS + 1];

#define OFFSET(field) bpf_core_field_offset(field)
#define END(field) (bpf_core_field_offset(field) + bpf_core_field_size(field))
#define FARTHER(a, b) ((a) > (b) ? (a) : (b))
#define NEARER(a, b) ((a) < (b) ? (a) : (b))

// Copies the bytes between two offsets, which are constants of the running kernel.
static __always_inline bool copy(const void* structure, uint32_t from, uint32_t to) {
  if (from >= to || to > COPY_BYTES) return false;
  return bpf_probe_read_kernel((void*)copied + from, to - from, structure + from) == 0;
}

#define STATE(name) bpf_core_enum_value(enum psi_states, PSI_##name)
#define EACH_STATE(DO) \
  DO(IO_SOME);         \
  DO(IO_FULL);         \
  DO(MEM_SOME);        \
  DO(MEM_FULL);        \
  DO(CPU_SOME);        \
  DO(CPU_FULL);        \
  DO(NONIDLE)

// The kernel's get_recent_times() without its lock: the accounted times plus the current states. The sequence
// number shows whether a writer interfered.
static __always_inline bool read_psi_cpu_once(struct sluice_psi_cpu* out, struct psi_group_cpu* at,
                                              uint32_t cpu, uint64_t now_ns) {
  const struct psi_group_cpu* seen = (void*)copied;
  const void* times = (const void*)copied + OFFSET(at->times);
  const uint32_t bytes =
      FARTHER(FARTHER(END(at->tasks), END(at->times)), FARTHER(END(at->state_mask), END(at->state_start)));
#ifdef SLUICE_KERNEL_HAS_PSI_SEQ
  const volatile seqcount_t* seq = bpf_per_cpu_ptr(&psi_seq, cpu);
  if (!seq) return false;
  const uint32_t before = seq->sequence;
#define SEQUENCE_NOW() seq->sequence
  if (!copy(at, 0, bytes)) return false;
#else
  const struct psi_group_cpu___own_seq* own = (void*)at;  // its first member, so it is copied before the rest
  const struct psi_group_cpu___own_seq* own_seen = (void*)copied;
#define SEQUENCE_NOW() BPF_CORE_READ(own, seq.sequence)
  if (!copy(at, 0, bytes)) return false;
  const uint32_t before = own_seen->seq.sequence;
#endif
  const uint32_t mask = seen->state_mask;
#define BOOKED(name) (*(const uint32_t*)(times + STATE(name) * sizeof(uint32_t)))
  // No state is active and the accounted times are unchanged: nothing happened since the last walk, except
  // for a writer that has just begun. This holds for most CPUs and cgroups, and saves the second read.
  uint32_t changed = mask;
#define COMPARE(name) changed |= out->ns[SLUICE_PSI_##name] ^ BOOKED(name)
  EACH_STATE(COMPARE);
#undef COMPARE
  if (!changed) return true;
  if ((before & 1) || before != SEQUENCE_NOW()) return false;
#undef SEQUENCE_NOW

#define STORE(name) out->ns[SLUICE_PSI_##name] = BOOKED(name)
  EACH_STATE(STORE);
#undef STORE
#undef BOOKED
  if (!mask) return true;  // no state is active
  const int64_t since_ns = (int64_t)(now_ns - seen->state_start);
  const uint32_t lasting_ns = since_ns > 0 ? (uint32_t)since_ns : 0;
#define LASTING(name) out->ns[SLUICE_PSI_##name] += (mask >> STATE(name) & 1) * lasting_ns
  EACH_STATE(LASTING);
#undef LASTING
  return true;
}

// Returns the number of runnable tasks on the CPU.
static __always_inline uint32_t read_psi_cpu(struct sluice_psi_cpu* out, uint64_t pcpu, uint32_t cpu,
                                             uint64_t now_ns) {
  const struct sluice_cpu* where = &places[cpu & (SLUICE_CPUS_MAX - 1)];
  if (!where->present) {  // a CPU that is not possible has no values
    __builtin_memset(out, 0, sizeof(*out));
    out->consistent = 1;
    return 0;
  }
  struct psi_group_cpu* at = (void*)(pcpu + where->offset);
  out->consistent = 0;
#pragma clang loop unroll(disable)
  for (int attempt = 0; attempt < 4; attempt++) {
    if (!read_psi_cpu_once(out, at, cpu, now_ns)) continue;
    out->consistent = 1;
    break;
  }
  return *(const uint32_t*)((const void*)copied + OFFSET(at->tasks) +
                            bpf_core_enum_value(enum psi_task_count, NR_RUNNING) * sizeof(uint32_t));
}

static __always_inline void read_pressure(struct cgroup* cgrp, struct sluice_record* r,
                                          struct sluice_walk_tail* tail) {
  struct psi_group* group = kernel_psi_group(cgrp);
  if (!group) return;
  if (bpf_core_field_exists(group->enabled) && !group->enabled) return;

    // [PSI_AVGS][states]: the first row. Typed, so plain loads.
#define TOTAL(name) \
  (*(const uint64_t*)((const void*)group + OFFSET(group->total) + STATE(name) * sizeof(uint64_t)))
  r->pressure[SLUICE_CPU].some_ns = TOTAL(CPU_SOME);
  r->pressure[SLUICE_CPU].full_ns = TOTAL(CPU_FULL);
  r->pressure[SLUICE_MEMORY].some_ns = TOTAL(MEM_SOME);
  r->pressure[SLUICE_MEMORY].full_ns = TOTAL(MEM_FULL);
  r->pressure[SLUICE_IO].some_ns = TOTAL(IO_SOME);
  r->pressure[SLUICE_IO].full_ns = TOTAL(IO_FULL);
#undef TOTAL
  const uint64_t pcpu = kernel_address(group->pcpu);
  const uint64_t now_ns = r->at_ktime_ns - walk.clock_offset_ns;
  uint64_t runnable = 0;
  for (uint32_t cpu = 0; cpu < cpus; cpu++) runnable += read_psi_cpu(&tail->psi[cpu], pcpu, cpu, now_ns);
  r->runnable_threads = runnable;
  r->valid |=
      SLUICE_HAS_CPU_PRESSURE | SLUICE_HAS_MEMORY_PRESSURE | SLUICE_HAS_IO_PRESSURE | SLUICE_HAS_RUNNABLE;
}

static __always_inline void read_usage(struct cgroup* cgrp, struct sluice_record* r,
                                       struct sluice_walk_tail* tail) {
  if (!flush_cgroup && !flush_css) return;  // the values would lag without bound
  // The iterator's cgroup is typed for the verifier: plain loads without helper calls.
  r->usage_ns = cgrp->bstat.cputime.sum_exec_runtime;
  r->user_ns = cgrp->bstat.cputime.utime;
  r->system_ns = cgrp->bstat.cputime.stime;
  tail->shown_user_ns = cgrp->prev_cputime.utime;
  tail->shown_system_ns = cgrp->prev_cputime.stime;
  r->valid |= SLUICE_HAS_USAGE;
}

static __always_inline void read_bandwidth(struct cgroup* cgrp, struct sluice_record* r) {
  struct task_group* tg = NULL;
  if (!bpf_core_field_exists(tg->cfs_bandwidth) ||
      !bpf_core_enum_value_exists(enum cgroup_subsys_id, cpu_cgrp_id))
    return;
  tg = kernel_controller(cgrp, bpf_core_enum_value(enum cgroup_subsys_id, cpu_cgrp_id));
  if (!tg) return;
  const struct cfs_bandwidth* at = (void*)__builtin_preserve_access_index(&tg->cfs_bandwidth);
  const struct cfs_bandwidth* seen = (void*)copied;
  // Two timers lie between the knobs and the counters.
  const bool burst = bpf_core_field_exists(at->burst);
  const uint32_t knobs_from = NEARER(OFFSET(at->period), OFFSET(at->quota));
  const uint32_t knobs_to = FARTHER(FARTHER(END(at->period), END(at->quota)), burst ? END(at->burst) : 0);
  const uint32_t counts_from =
      NEARER(NEARER(OFFSET(at->nr_periods), OFFSET(at->nr_throttled)), OFFSET(at->throttled_time));
  const uint32_t counts_to =
      FARTHER(FARTHER(END(at->nr_periods), END(at->nr_throttled)), END(at->throttled_time));
  if (!copy(at, knobs_from, knobs_to) || !copy(at, counts_from, counts_to)) return;
  r->nr_periods = (uint32_t)seen->nr_periods;
  r->nr_throttled = (uint32_t)seen->nr_throttled;
  r->throttled_ns = seen->throttled_time;
  r->cfs_quota_us = seen->quota == UINT64_MAX ? SLUICE_NO_LIMIT : seen->quota / NSEC_PER_USEC;
  r->cfs_period_us = (uint64_t)seen->period / NSEC_PER_USEC;
  r->valid |= SLUICE_HAS_BANDWIDTH | SLUICE_HAS_CPU_MAX;
  if (!burst) return;
  r->cfs_burst_us = seen->burst / NSEC_PER_USEC;
  r->valid |= SLUICE_HAS_CPU_BURST;
}

// PAGE_COUNTER_MAX, which the files show as "max".
static __always_inline uint64_t pages_to_limit(uint64_t pages) {
  return pages >= (uint64_t)INT64_MAX / page_bytes ? SLUICE_NO_LIMIT : pages * page_bytes;
}

// The kernel clamps sums of per-CPU values, which may be negative for a moment.
#define PAGES(stat) ((int64_t)STAT(stat) > 0 ? STAT(stat) * page_bytes : 0)
#define STAT(stat) stats[stat_at[SLUICE_STAT_##stat] & (2 * SLUICE_STAT_LONGS - 1)]

static __always_inline void read_memory_stat(const void* vmstats, struct sluice_record* r) {
  // Without this flush the counters lag, and without a known layout they cannot be found.
  if (!flush_cgroup || !stat_bytes) return;
  if (bpf_probe_read_kernel(stats, stat_bytes, vmstats + stat_from)) return;
  struct sluice_memory_stat* m = &r->memory_stat;
  m->anon_bytes = PAGES(ANON);
  m->file_bytes = PAGES(FILE);
  m->shmem_bytes = PAGES(SHMEM);
  m->unevictable_bytes = PAGES(UNEVICTABLE);
  m->sock_bytes = PAGES(SOCK);
  m->kernel_bytes = PAGES(KERNEL);
  m->slab_reclaimable_bytes = (int64_t)STAT(SLAB_RECLAIMABLE) > 0 ? STAT(SLAB_RECLAIMABLE) : 0;
  m->workingset_refault_anon = STAT(REFAULT_ANON);
  m->workingset_refault_file = STAT(REFAULT_FILE);
  m->pgscan = STAT(SCAN_KSWAPD) + STAT(SCAN_DIRECT) + STAT(SCAN_KHUGEPAGED) + STAT(SCAN_PROACTIVE);
  m->pgsteal = STAT(STEAL_KSWAPD) + STAT(STEAL_DIRECT) + STAT(STEAL_KHUGEPAGED) + STAT(STEAL_PROACTIVE);
  r->valid |= SLUICE_HAS_MEMORY_STAT;
}

static __always_inline void read_memory(struct cgroup* cgrp, struct sluice_record* r) {
  if (!bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id)) return;
  struct mem_cgroup* memcg =
      kernel_controller(cgrp, bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id));
  if (!memcg) return;
  const struct mem_cgroup* seen = (void*)copied;
  // A counter's watermarks and protections lie between its usage and its limits. The memory limits and the
  // swap usage behind them are copied at once.
  const uint32_t limits_from = NEARER(OFFSET(memcg->memory.high), OFFSET(memcg->memory.max));
  const uint32_t limits_to = FARTHER(END(memcg->memory.high), END(memcg->memory.max));
  const uint32_t events_from = NEARER(OFFSET(memcg->memory_events), OFFSET(memcg->vmstats));
  const uint32_t events_to = FARTHER(END(memcg->memory_events), END(memcg->vmstats));
  if (!copy(memcg, OFFSET(memcg->memory.usage), END(memcg->memory.usage)) ||
      !copy(memcg, NEARER(limits_from, OFFSET(memcg->swap.usage)),
            FARTHER(limits_to, END(memcg->swap.usage))) ||
      !copy(memcg, OFFSET(memcg->swap.max), END(memcg->swap.max)) || !copy(memcg, events_from, events_to))
    return;
  r->memory_current_bytes = (uint64_t)seen->memory.usage.counter * page_bytes;
  r->memory_high_bytes = pages_to_limit(seen->memory.high);
  r->memory_max_bytes = pages_to_limit(seen->memory.max);
  r->swap_current_bytes = (uint64_t)seen->swap.usage.counter * page_bytes;
  r->swap_max_bytes = pages_to_limit(seen->swap.max);

  const void* events = (const void*)copied + OFFSET(memcg->memory_events);
#define EVENT(name) \
  *(const uint64_t*)(events + bpf_core_enum_value(enum memcg_memory_event, MEMCG_##name) * sizeof(uint64_t))
  r->memory_events.low = EVENT(LOW);
  r->memory_events.high = EVENT(HIGH);
  r->memory_events.max = EVENT(MAX);
  r->memory_events.oom = EVENT(OOM);
  r->memory_events.oom_kill = EVENT(OOM_KILL);
#undef EVENT
  r->valid |= SLUICE_HAS_MEMORY | SLUICE_HAS_MEMORY_EVENTS | SLUICE_HAS_SWAP;
  read_memory_stat(seen->vmstats, r);
}

#define CGROUPS_A_LOOK_AT_THE_CLOCK 16 /* some ten microseconds of a walk */

static __always_inline int walk_one(struct cgroup* cgrp, bool with_pressure) {
  if (!cgrp) return 0;  // the end
  // Own count: the iterator's count includes dying cgroups, which it skips.
  uint32_t index = (uint32_t)walk.cgroups;
  walk.cgroups = (uint64_t)index + 1;
  if (index == 0) {
    if (with_pressure) {
      learn_clock_offset();
      learn_places();
    }
    if (flush_cgroup) cgroup_rstat_flush(cgrp);  // once, at the root of the walk; it includes all descendants
    if (flush_css) css_rstat_flush(&cgrp->self);
  }

  struct sluice_record* r = bpf_map_lookup_elem(&records, &index);
  struct sluice_walk_tail* tail = bpf_map_lookup_elem(&tails, &index);
  if (!r || !tail) return 0;  // counted nevertheless: the loader enlarges the map and walks again
  if (index % CGROUPS_A_LOOK_AT_THE_CLOCK == 0) walk.now_ns = bpf_ktime_get_ns();
  if (tail->cgroup_serial != cgrp->self.serial_nr) {
    tail->cgroup_serial = cgrp->self.serial_nr;
    r->cgroup_id = cgrp->kn->id;  // expensive to read; usually the same cgroup was here in the last walk
  }
  r->at_ktime_ns = walk.now_ns;
  r->valid = 0;
  r->level = (uint32_t)cgrp->level;
  if (r->level == 0) return 0;  // the root is accounted elsewhere and has no knobs
  read_usage(cgrp, r, tail);
  read_bandwidth(cgrp, r);
  if (with_pressure) read_pressure(cgrp, r, tail);
  read_memory(cgrp, r);
  return 0;
}

// The loader loads one of the two.
SEC("iter.s/cgroup")
int BPF_PROG(walk_with_pressure, struct bpf_iter_meta* meta, struct cgroup* cgrp) {
  return walk_one(cgrp, true);
}

// For kernels that hide the run queues (no addresses of variables in kallsyms), in which up-to-date PSI
// cannot be read.
SEC("iter.s/cgroup")
int BPF_PROG(walk_without_pressure, struct bpf_iter_meta* meta, struct cgroup* cgrp) {
  return walk_one(cgrp, false);
}
